"""Columns of tables as metadata of chunks: what filters can then ask for."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from openpyxl import Workbook

from rag.chunkers import chunkers
from rag.document_format import dump_document, load_document
from rag.embedders.hash import HashEmbedder
from rag.errors import InvalidInputError
from rag.parsers import parsers
from rag.parsers.base import ParseLimits
from rag.parsers.detect import probe_file
from rag.pipelines.ingest import FileIdentity, ParseRoute, build_metadata, parse_file
from rag.types import OWN_KEYS, PageSpan, Part, PartKind

TABLE = """sku,name,category,price,stock
T-1,Pine,tents,249.00,3
T-2,Larch,tents,99.5,0
007,Alder,stoves,40,
"""
IDENTITY = FileIdentity("shop", "ab" * 32, "shop.csv", "text/csv", len(TABLE), "generation-1")


def metadata(path: Path, parser: str, *, rows: int, **options: Any) -> list[dict[str, Any]]:
    counter = HashEmbedder(HashEmbedder.Options()).token_counter
    chunker = chunkers.build("rows", {"chunk_size": rows}, counter=counter)
    route = ParseRoute(parser, parsers.build(parser, options), chunker, "rows", rows)
    parsed = parse_file(probe_file(path, path.name), [route], ParseLimits())
    document = load_document(dump_document(parsed.document))  # as a worker finds it
    return list(build_metadata(IDENTITY, document, parsed.chunks, route, []))


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "shop.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def test_a_chunk_of_one_row_carries_its_values_with_numbers_as_numbers(csv: Path) -> None:
    found = metadata(csv, "CSVParser", rows=1, metadata_columns=["sku", "category", "price", "stock"])
    wanted = ("sku", "category", "price", "stock")
    assert [{key: each[key] for key in wanted if key in each} for each in found] == [
        {"sku": "T-1", "category": "tents", "price": 249.0, "stock": 3},
        {"sku": "T-2", "category": "tents", "price": 99.5, "stock": 0},
        {"sku": "007", "category": "stoves", "price": 40},
    ]


def test_a_chunk_of_several_rows_carries_what_they_share(csv: Path) -> None:
    first, second = metadata(csv, "CSVParser", rows=2, metadata_columns=["category", "price"])
    assert (first["category"], "price" in first) == ("tents", False)
    assert (second["category"], second["price"]) == ("stoves", 40)


def test_without_the_option_rows_carry_no_values(csv: Path) -> None:
    assert all("category" not in each for each in metadata(csv, "CSVParser", rows=1))


def test_sheets_of_a_workbook_carry_their_own_columns(tmp_path: Path) -> None:
    workbook = Workbook()
    workbook.active.title = "Tents"
    workbook.active.append(["name", "price"])
    workbook.active.append(["Pine", 249])
    other = workbook.create_sheet("Stock")
    other.append(["name", "shelf"])
    other.append(["Pine", "B-07"])
    path = tmp_path / "shop.xlsx"
    workbook.save(path)
    tents, stock = metadata(path, "ExcelParser", rows=1, metadata_columns=["price", "shelf"])
    assert (tents["price"], "shelf" in tents) == (249, False)
    assert (stock["shelf"], "price" in stock) == ("B-07", False)


def test_a_column_that_is_not_there_is_a_warning(csv: Path) -> None:
    parser = parsers.build("CSVParser", {"metadata_columns": ["colour"]})
    document = parser.parse(probe_file(csv, csv.name), ParseLimits())
    assert document.warnings == ("There is no column 'colour' to take metadata from.",)


@pytest.mark.parametrize("name", ["size", "filename", "_own", "$gte", ""])
def test_a_column_that_would_hide_a_key_of_ours_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match="cannot be a metadata key"):
        parsers.build("CSVParser", {"metadata_columns": [name]})


def test_the_keys_of_ours_are_those_that_every_chunk_may_have(csv: Path) -> None:
    """With slides, headings, every kind of part and an unusual gap, so that none is missing."""
    counter = HashEmbedder(HashEmbedder.Options()).token_counter
    route = ParseRoute(
        "x", parsers.build("MarkdownParser", {}), chunkers.build("headings", {}, counter=counter), "h", 9
    )
    path = csv.with_suffix(".md")
    path.write_text("# Title\n\nText.\nMore.", encoding="utf-8")
    document = parse_file(probe_file(path, path.name), [route], ParseLimits()).document
    end = len(document.text)
    paged = replace(
        document,
        pages=(PageSpan(1, 0, end, "slide"),),
        parts=tuple(Part(kind, "x", 0, end) for kind in get_args(PartKind)),
    )
    (whole,) = route.chunker.chunk(paged)
    first = replace(whole, text=whole.text[:-6], end=end - 6, table_header="| a |", parent=(0, end))
    first = replace(first, section_titles=("A", "B"))
    second = replace(whole, index=1, start=end - 5)
    found, _ = build_metadata(IDENTITY, paged, [first, second], route, [])
    assert set(found) == OWN_KEYS
