"""Rows of tables stay whole, and a chunk that begins in mid-table carries the header."""

import pytest

from rag.chunkers import chunkers
from rag.chunkers.base import TokenCounter
from rag.chunkers.tables import find_tables
from rag.chunkers.tokens import EstimatedCounter
from rag.types import Chunk, Document

HEADER = "| part | price | remark |\n|------|------:|--------|"
ROWS = [f"| P-{n} | {n}.50 | Sold by Dr. Smith. Since {1990 + n}. |" for n in range(30)]
TEXT = "Prices follow.\n\n" + "\n".join([HEADER, *ROWS]) + "\n\nThey hold until May."
CUTTERS = ("characters", "sentences", "paragraphs", "headings", "pages", "auto", "tokens")


def cut(name: str, text: str = TEXT, counter: TokenCounter | None = None, **values: int) -> list[Chunk]:
    return chunkers.build(name, values, counter=counter or EstimatedCounter(4096)).chunk(Document(text, "test"))


@pytest.mark.parametrize("name", CUTTERS)
def test_rows_are_kept_whole_under_a_repeated_header(name: str) -> None:
    chunks = cut(name, chunk_size=250, chunk_overlap=0)
    assert len(chunks) > 2
    held = [line for chunk in chunks for line in chunk.text.splitlines() if line.startswith("| P-")]
    assert held == ROWS
    in_table = [chunk for chunk in chunks if chunk.text.startswith("| P-")]
    assert in_table
    assert all(chunk.table_header == HEADER for chunk in in_table)
    assert all(chunk.embedded_text == f"{HEADER}\n{chunk.text}" for chunk in in_table)
    assert all(not chunk.table_header for chunk in chunks if chunk not in in_table)


@pytest.mark.parametrize("window", [60, 90, 200])
def test_header_and_rows_fit_the_window_together(window: int) -> None:
    counter = EstimatedCounter(window)
    chunks = cut("paragraphs", counter=counter, chunk_size=5000, chunk_overlap=100)
    assert all(chunk.token_count == counter.count(chunk.embedded_text) <= window for chunk in chunks)
    assert (counter.count(HEADER) * 2 < window) == any(chunk.table_header for chunk in chunks)


def test_a_table_that_fits_is_one_chunk() -> None:
    table = "\n".join([HEADER, *ROWS[:4]])
    chunks = cut("paragraphs", f"{'Prose here. ' * 20}\n\n{table}\n\nAfter it.", chunk_size=300, chunk_overlap=0)
    assert any(table in chunk.text for chunk in chunks)


def test_a_table_without_a_rule_has_no_header_to_repeat() -> None:
    [table] = find_tables("| a | b |\n| 1 | 2 |\n| 3 | 4 |")
    assert table.header == ""


def test_tables_are_told_from_lines_with_a_pipe() -> None:
    tables = find_tables(f"| alone |\n\nx | y\n\n  {HEADER}\n  {ROWS[0]}\ntext | more")
    assert [(table.header.count("\n"), len(table.rows)) for table in tables] == [(1, 3)]


def test_a_row_over_the_limit_is_parted_and_the_rest_kept_whole() -> None:
    long = f"| P-x | 1 | {'word ' * 100}|"
    chunks = cut("sentences", "\n".join([HEADER, ROWS[0], long, ROWS[1]]), chunk_size=200, chunk_overlap=0)
    assert sum(chunk.text.count(ROWS[0]) + chunk.text.count(ROWS[1]) for chunk in chunks) == 2
    assert all(len(chunk.text) <= 200 for chunk in chunks)
