"""Which section a chunk is said to be from, and where bare headings go."""

from collections.abc import Sequence

import pytest

from rag.chunkers import chunkers
from rag.chunkers.tokens import EstimatedCounter
from rag.document_format import dump_chunks, load_chunks
from rag.parsers.base import ParseLimits
from rag.parsers.builder import DocumentBuilder
from rag.types import Chunk, Document, Heading

COUNTER = EstimatedCounter(8192)


def sections(*parts: tuple[int, str, str], before: str = "") -> Document:
    builder = DocumentBuilder("MarkdownParser", ParseLimits())
    builder.add(before)
    for level, title, body in parts:
        builder.add_heading(title, level, prefix="#" * level + " ")
        builder.add(body)
    return builder.build()


def cut(document: Document, strategy: str = "headings", **options: int) -> list[Chunk]:
    return chunkers.build(strategy, options, counter=COUNTER).chunk(document)


def told(document: Document) -> tuple[Sequence[str], Sequence[str]]:
    (chunk,) = load_chunks(dump_chunks(cut(document)), document)  # as a worker finds it
    return chunk.heading_path, chunk.section_titles


def test_a_chunk_of_several_sections_names_what_they_have_in_common() -> None:
    beasts = [(1, "Alpha", "Gnus."), (1, "Beta", "Okapis.")]
    assert told(sections(*beasts)) == ((), ("Alpha", "Beta"))
    inner = [(2, "Gamma", "Gnus."), (2, "Delta", "Okapis.")]
    assert told(sections((1, "Top", ""), *inner)) == (("Top",), ("Gamma", "Delta"))
    assert told(sections((1, "Top", "Words."), *inner)) == (("Top",), ("Top", "Gamma", "Delta"))


def test_a_heading_without_text_is_not_the_section_of_what_stands_under_the_next() -> None:
    assert told(sections((1, "Alpha", ""), (1, "Beta", "Okapis."))) == (("Beta",), ())
    assert told(sections((1, "Alpha", "Gnus."), (1, "Beta", ""))) == (("Alpha",), ())


def test_text_before_the_first_heading_goes_by_that_heading() -> None:
    one = sections((1, "Alpha", "Okapis."), before="author: Ada")
    assert told(one) == (("Alpha",), ())
    assert told(sections((1, "Alpha", "Gnus."), (1, "Beta", "Okapis."), before="author: Ada"))[0] == ()


def test_a_heading_with_nothing_below_it_is_no_chunk() -> None:
    text = "Long words are here. " * 20
    document = sections((1, "A", ""), (2, "B", text), (3, "Empty", ""), (1, "C", text), (2, "Last", ""))
    chunks = cut(document, chunk_size=440)
    assert [chunk.text.split("\n")[0].strip() for chunk in chunks[:2]] == ["# A", "### Empty"]
    assert [chunk.heading_path for chunk in chunks] == [("A", "B"), ("C",), ("C",)]
    assert all("Long words" in chunk.text for chunk in chunks)
    assert chunks[-1].text.endswith("## Last")


def test_the_name_of_a_sheet_goes_with_the_title_of_its_first_table() -> None:
    builder = DocumentBuilder("ExcelParser", ParseLimits())
    with builder.part("sheet", "Prices"):
        builder.add_heading("Prices", 1)
        builder.add_heading("Bread", 2)
        builder.add_row("kind: rye; price: 3")
        builder.add_heading("Cake", 2)
        builder.add_row("kind: plum; price: 4")
    assert [" ".join(chunk.text.split()) for chunk in cut(builder.build(), "rows")] == [
        "Prices Bread kind: rye; price: 3", "Cake kind: plum; price: 4",
    ]  # fmt: skip


@pytest.mark.parametrize("strategy", ["headings", "paragraphs", "characters", "rows", "auto", "parent_child"])
def test_the_path_of_a_member_goes_with_what_the_member_begins_with(strategy: str) -> None:
    book = DocumentBuilder("ExcelParser", ParseLimits())
    for sheet in ("Prices", "Costs"):
        with book.part("sheet", sheet):
            book.add_heading(sheet, 1)
            book.add_row(f"{sheet}: 3 and 4")
    paper = DocumentBuilder("PDFParser", ParseLimits())
    paper.add_page(1, "On page one.")
    paper.add_page(2, "On page two.")
    archive = DocumentBuilder("ArchiveParser", ParseLimits())
    for name, inner in (("a.xlsx", book.build()), ("b.pdf", paper.build())):
        with archive.part("member", name):
            archive.add_heading(name, 1)
            archive.add_document(inner, "member", name, heading_shift=1)
    chunks = cut(archive.build(), strategy)
    assert [" ".join(chunk.text.split()) for chunk in chunks] == [
        "a.xlsx Prices Prices: 3 and 4", "Costs Costs: 3 and 4", "b.pdf On page one.", "On page two.",
    ]  # fmt: skip
    assert [chunk.page_start for chunk in chunks] == [None, None, 1, 2]


def test_a_page_that_holds_only_its_title_stays_a_chunk() -> None:
    builder = DocumentBuilder("PDFParser", ParseLimits())
    with builder.page(1):
        builder.add_heading("Report", 1)
    with builder.page(2):
        builder.add("Words.")
    assert [(chunk.text, chunk.page_end) for chunk in cut(builder.build())] == [("Report", 1), ("Words.", 2)]


def test_a_subject_goes_with_the_mail_below_it() -> None:
    text = "Offer\n\nFrom: ada@example.org\nTo: bob@example.org\n\nWe take it."
    document = Document(text, "EmailParser", headings=(Heading(0, 1, "Offer"),))
    assert [chunk.text for chunk in cut(document, "auto")] == [text]
    text = text.replace("We take it.", "We take it. " * 100).strip()
    first, *_ = cut(Document(text, "EmailParser", headings=(Heading(0, 1, "Offer"),)), "auto", chunk_size=400)
    assert first.text.startswith("Offer\n\nFrom: ada@example.org")
