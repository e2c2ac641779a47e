"""Where each chunker prefers to cut."""

import time

import pytest

from rag.chunkers import chunkers
from rag.chunkers.tokens import EstimatedCounter
from rag.types import Document, Heading, PageSpan

COUNTER = EstimatedCounter(8192)


def texts(name: str, document: Document, **values: int) -> list[str]:
    return [chunk.text for chunk in chunkers.build(name, values, counter=COUNTER).chunk(document)]


def markdown(text: str) -> Document:
    headings, start = [], 0
    for line in text.splitlines(keepends=True):
        if line.startswith("#"):
            title = line.lstrip("#")
            headings.append(Heading(start, len(line) - len(title), title.strip()))
        start += len(line)
    return Document(text, "test", headings=tuple(headings))


def test_paragraphs_are_kept_whole() -> None:
    document = Document("First here.\n\nSecond here.\n\nThird here.", "test")
    assert texts("paragraphs", document, chunk_size=30, chunk_overlap=0) == [
        "First here.\n\nSecond here.",
        "Third here.",
    ]


def test_long_paragraph_is_parted_between_sentences() -> None:
    document = Document("One is here. Two is here. Three is here.", "test")
    assert texts("paragraphs", document, chunk_size=26, chunk_overlap=0) == [
        "One is here. Two is here.",
        "Three is here.",
    ]


def test_overlap_repeats_the_last_sentence() -> None:
    document = Document("One is here. Two is here. Six is here.", "test")
    assert texts("sentences", document, chunk_size=26, chunk_overlap=13) == [
        "One is here. Two is here.",
        "Two is here. Six is here.",
    ]


def test_log_without_stops_is_parted_between_lines() -> None:
    document = Document("\n".join(f"line {n} ok" for n in range(4)), "test")
    assert texts("sentences", document, chunk_size=22, chunk_overlap=0) == [
        "line 0 ok\nline 1 ok",
        "line 2 ok\nline 3 ok",
    ]


def test_each_heading_begins_a_chunk() -> None:
    body = "Some text. " * 5
    document = markdown(f"# One\n\n{body}\n\n# Two\n\n{body}")
    chunks = texts("headings", document, chunk_size=150, chunk_overlap=20)
    assert [chunk.split("\n")[0] for chunk in chunks] == ["# One", "# Two"]


@pytest.mark.parametrize("name", ["headings", "paragraphs", "sentences"])
def test_a_heading_is_never_a_chunk_of_its_own(name: str) -> None:
    body = "Words of some length follow each other. " * 6
    document = markdown(f"# Book\n\n## Part\n\n### Chapter\n\n{body}\n\n## Next\n\n{body}")
    chunks = texts(name, document, chunk_size=120, chunk_overlap=0)
    assert len(chunks) > 3
    assert all("Words of some length" in chunk for chunk in chunks)


def test_small_sections_are_gathered_under_one_parent_only() -> None:
    document = markdown("# One\n\n" + "text. " * 40 + "\n\n## A\n\ntext a\n\n## B\n\ntext b\n\n# Two\n\ntext two")
    assert texts("headings", document, chunk_size=260)[1:] == ["## A\n\ntext a\n\n## B\n\ntext b", "# Two\n\ntext two"]


def test_a_page_is_a_chunk() -> None:
    document = Document("Page one.\fPage two.", "test", pages=(PageSpan(1, 0, 9), PageSpan(2, 10, 19)))
    assert texts("pages", document) == ["Page one.", "Page two."]


def test_rows_are_counted() -> None:
    lines = [f"a: {n}; b: {n}" for n in range(5)]
    starts = [sum(len(line) + 1 for line in lines[:n]) for n in range(5)]
    rows = tuple((start, start + len(line)) for start, line in zip(starts, lines, strict=True))
    document = Document("\n".join(lines), "test", rows=rows)
    assert texts("rows", document, chunk_size=2) == ["\n".join(lines[:2]), "\n".join(lines[2:4]), lines[4]]


def test_row_over_the_window_is_parted_between_fields() -> None:
    text = "name: aaaa bbbb cccc; note: dddd eeee ffff"
    document = Document(text, "test", rows=((0, len(text)),))
    chunks = chunkers.build("rows", {}, counter=EstimatedCounter(12)).chunk(document)
    assert [chunk.text for chunk in chunks] == ["name: aaaa bbbb cccc;", "note: dddd eeee ffff"]


def workbook() -> Document:
    text, headings, rows = "", [], []
    for sheet in ("Suppliers", "Equipment"):
        headings.append(Heading(len(text), 1, sheet))
        text += sheet + "\n"
        for number in range(3):
            line = f"{sheet}: {number}; note: one or two words"
            rows.append((len(text), len(text) + len(line)))
            text += line + "\n"
        text += "\n"
    return Document(text, "test", headings=tuple(headings), rows=tuple(rows))


@pytest.mark.parametrize("window", [24, 60, 8192])
@pytest.mark.parametrize("name", ["rows", "auto"])
def test_rows_of_two_sheets_are_never_in_one_chunk(name: str, window: int) -> None:
    chunks = chunkers.build(name, {}, counter=EstimatedCounter(window)).chunk(workbook())
    for chunk in chunks:
        (sheet,) = chunk.heading_path
        other = {"Suppliers": "Equipment", "Equipment": "Suppliers"}[sheet]
        assert sheet in chunk.text or "note" in chunk.text
        assert other not in chunk.text
    assert window < 8192 or len(chunks) == 2


def test_repeated_rows_stay_on_their_sheet() -> None:
    chunks = texts("rows", workbook(), chunk_size=2, chunk_overlap=1)
    assert all(("Suppliers" in chunk) != ("Equipment" in chunk) for chunk in chunks)


@pytest.mark.parametrize("name", list(chunkers))
@pytest.mark.parametrize("text", ["x" * 400_000, "." * 400_000, "a" + "\n" * 400_000 + "b"])
def test_time_is_linear_for_hostile_text(name: str, text: str) -> None:
    began = time.perf_counter()
    chunks = chunkers.build(name, {}, counter=EstimatedCounter(512)).chunk(Document(text, "test"))
    assert time.perf_counter() - began < 10.0  # quadratic work takes hours at this size
    assert chunks[-1].end == len(text)
