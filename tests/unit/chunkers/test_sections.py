"""Mails, whole documents, and parents with their children."""

import pytest

from rag.chunkers import chunkers
from rag.chunkers.tokens import EstimatedCounter
from rag.errors import InvalidInputError
from rag.types import Document, Heading, PageSpan, Part

COUNTER = EstimatedCounter(8192)
dashes = "-- "
MAIL = f"""Subject: Offer

From: ada@example.org
To: bob@example.org

We take the second offer.

On Mon, 3 May 2024, Bob wrote:
> Two offers came.
> Which one do you take?

{dashes}
Ada
"""


def texts(name: str, document: Document, **values: int) -> list[str]:
    return [chunk.text for chunk in chunkers.build(name, values, counter=COUNTER).chunk(document)]


def test_what_was_written_is_not_mixed_with_what_is_quoted() -> None:
    found = texts("email_sections", Document(MAIL, "test"))
    assert [text.split("\n")[-1] for text in found] == [
        "Subject: Offer",
        "We take the second offer.",
        "On Mon, 3 May 2024, Bob wrote:",
        "> Which one do you take?",
        "Ada",
    ]


def test_an_attachment_begins_a_chunk() -> None:
    text = "Body here.\n\nprices.txt\n\nBread 3.20"
    document = Document(text, "test", headings=(Heading(12, 2, "prices.txt"),))
    assert texts("email_sections", document) == ["Body here.", "prices.txt\n\nBread 3.20"]


def test_full_is_one_chunk_where_the_window_allows() -> None:
    text = "\n\n".join(f"Paragraph {n} is here." for n in range(100))
    assert texts("full", Document(text, "test")) == [text]
    chunks = chunkers.build("full", {}, counter=EstimatedCounter(300)).chunk(Document(text, "test"))
    assert all(chunk.text.startswith("Paragraph") and chunk.text.endswith("here.") for chunk in chunks)
    assert 1 < len(chunks) < 10


def test_a_parent_goes_over_pages_and_not_over_parts() -> None:
    sentences = [f"Sentence number {n} is here." for n in range(8)]
    text = "\n\n".join(sentences)
    starts = [text.index(sentence) for sentence in sentences]
    document = Document(
        text,
        "test",
        pages=(PageSpan(1, 0, starts[2]), PageSpan(2, starts[2], len(text))),
        parts=(Part("sheet", "one", 0, starts[4]), Part("sheet", "two", starts[4], len(text))),
    )
    chunks = chunkers.build("parent_child", {"chunk_size": 40}, counter=COUNTER).chunk(document)
    assert [chunk.text for chunk in chunks] == sentences
    one, two = (0, starts[4] - 2), (starts[4], len(text))
    assert [chunk.parent for chunk in chunks] == [one] * 4 + [two] * 4


def test_a_section_is_a_parent() -> None:
    body = "Words are here. " * 30
    text = f"# One\n\n{body}\n\n# Two\n\n{body}"
    document = Document(text, "test", headings=(Heading(0, 1, "One"), Heading(text.index("# Two"), 1, "Two")))
    chunks = chunkers.build("parent_child", {"chunk_size": 100, "parent_size": 600}, counter=COUNTER).chunk(document)
    parents = dict.fromkeys(text[slice(*chunk.parent)].partition("\n")[0] for chunk in chunks if chunk.parent)
    assert list(parents) == ["# One", "# Two"]


def test_a_parent_smaller_than_its_chunks_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="parent_size = 100 must not be less than chunk_size = 400"):
        chunkers.options("parent_child", {"parent_size": 100})
    assert texts("parent_child", Document("word " * 2000, "test"), chunk_size=5000)


@pytest.mark.parametrize(
    ("parser", "text", "expected"),
    [
        ("EmailParser", MAIL, "email_sections"),
        ("MsgParser", MAIL, "email_sections"),
        ("CodeParser", "def one():\n    return 1\n\n\ndef two():\n" + "    work()\n" * 90, "code"),
        ("TextParser", "Words here.\n\n" * 90, "paragraphs"),
    ],
)
def test_auto_cuts_as_the_format_asks(parser: str, text: str, expected: str) -> None:
    document = Document(text, parser)
    overlap = {} if expected == "code" else {"chunk_overlap": 50}
    assert texts("auto", document, chunk_size=300, **overlap) == texts(expected, document, chunk_size=300, **overlap)
