"""How long a workbook takes: reading it, finding its regions, writing both Parquet files of each.

    python -m benchmarks.sheets [--cells 100000] [--runs 5]

Processor time of one thread, so of one core; Arrow's own threads are off.
"""

import argparse
import csv
import datetime as dt
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.report import print_header, spread
from rag.parsers.base import ParseLimits
from rag.parsers.detect import probe_file
from rag.sheets.extraction import FoundRegion, Wish, extract

COLUMNS = 10
START = dt.datetime(2020, 1, 1)  # noqa: DTZ001  # sheets know no zones
GAP_EVERY = 500


def rows_of(cells: int, *, is_strewn: bool) -> Iterator[list[Any]]:
    """Names above numbers, texts, dates and booleans; strewn: a table of its own every 500 rows."""
    names = [f"column {number}" for number in range(COLUMNS)]
    yield names
    for number in range(1, cells // COLUMNS):
        if is_strewn and number % GAP_EVERY == 0:
            yield from ([], names)
        yield [
            number, number * 1.5, f"name {number % 100}", START + dt.timedelta(days=number % 300), number % 2 == 0,
            number / 3, f"unique text {number}", "same", -number, number % 7,
        ]  # fmt: skip


def write_xlsx(path: Path, rows: Iterator[list[Any]]) -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Data")
    for row in rows:
        sheet.append(row)
    book.save(path)


def write_csv(path: Path, rows: Iterator[list[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)


def measure(folder: Path, path: Path) -> tuple[float, int]:
    """Seconds of processor time, and how many regions were found."""

    def keep(number: int, _region: FoundRegion, table: pa.Table, cells: Iterator[pa.Table]) -> None:
        pq.write_table(table, folder / f"{number}.parquet")
        pq.write_table(pa.concat_tables(cells), folder / f"{number}.cells.parquet")

    before = time.process_time()
    found = extract(probe_file(path, path.name), ParseLimits(), Wish(), keep)
    return time.process_time() - before, len(found.regions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    pa.set_cpu_count(1)
    print_header(f"sheets: {options.cells:,} cells in {COLUMNS} columns")
    kinds: dict[str, tuple[Callable[[Path, Iterator[list[Any]]], None], bool]] = {
        "one table.xlsx": (write_xlsx, False),
        "many tables.xlsx": (write_xlsx, True),
        "one table.csv": (write_csv, False),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, (write, is_strewn) in kinds.items():
            write(folder / title, rows_of(options.cells, is_strewn=is_strewn))
            measure(folder, folder / title)  # imports
            runs = [measure(folder, folder / title) for _ in range(options.runs)]
            print(f"{title}: {spread([seconds for seconds, _ in runs], 's')}, {runs[0][1]} regions")


if __name__ == "__main__":
    main()
