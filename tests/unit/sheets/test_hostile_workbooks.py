"""No workbook, however it was made, does more than fail by name: in bounded time, in bounded memory."""

import io
import multiprocessing
import random
import resource
import zipfile
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest

from rag.errors import RagError
from rag.parsers.base import ParseLimits
from rag.parsers.detect import probe_file
from rag.sheets.extraction import FoundRegion, Wish, extract

MEMORY_BYTES = 1_500_000_000
CPU_S = 30


def sheet_xml(content: str, *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A workbook whose only sheet is this."""
    plain, made = io.BytesIO(), io.BytesIO()
    openpyxl.Workbook().save(plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(made, "w", method) as new:
        for name in old.namelist():
            new.writestr(name, content if name.endswith("sheet1.xml") else old.read(name))
    return made.getvalue()


def with_data(rows: str, after: str = "", before: str = "") -> bytes:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return sheet_xml(
        f'<worksheet xmlns="{main}">{before}<sheetData>{rows}</sheetData>{after}</worksheet>', method=zipfile.ZIP_STORED
    )


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a zip bomb": lambda: sheet_xml("<worksheet>" + " " * 100_000_000),
    "one row of 200,000 cells at one place": lambda: with_data(
        "<row r='1'>" + "<c r='A1'><v>1</v></c>" * 200_000 + "</row>"
    ),
    "a diagonal over half the sheet": lambda: with_data(
        "".join(f"<row r='{at}'><c r='{_name(at)}{at}'><v>1</v></c></row>" for at in range(1, 9_000))
    ),
    "merged cells over everything": lambda: with_data(
        "<row r='1'><c r='A1'><v>1</v></c></row>",
        "<mergeCells>" + "<mergeCell ref='A1:XFD1048576'/>" * 1_000 + "</mergeCells>",
    ),
    "all columns hidden, many times": lambda: with_data(
        "<row r='1'><c r='A1'><v>1</v></c></row>",
        before="<cols>" + "<col min='1' max='999999999' hidden='1'/>" * 300 + "</cols>",
    ),
    "references that are none": lambda: with_data("<row r='x'><c r='A99999999999'><v>1</v></c><c r='1A'/></row>"),
    "a text that is not there": lambda: with_data("<row r='1'><c r='A1' t='s'><v>-77</v></c></row>"),
    "numbers that are none": lambda: with_data(
        "<row r='1'><c r='A1'><v>1e999</v></c><c r='B1'><v>nan</v></c><c r='C1' s='4000'><v>"
        + "9" * 6_000
        + "</v></c></row>"
    ),
    "an entity bomb": lambda: sheet_xml(
        "<!DOCTYPE a [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;&b;'>]>"
        "<worksheet><sheetData><row><c t='inlineStr'><is><t>&c;</t></is></c></row></sheetData></worksheet>"
    ),
    "no sheet": lambda: sheet_xml(""),
}


def _name(number: int) -> str:
    from rag.sheets.places import letters

    return letters(number - 1)


def keep(_number: int, _region: FoundRegion, _table: pa.Table, cells: Iterator[pa.Table]) -> None:
    for _ in cells:
        pass


def _child(sender: Connection, path: Path) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    ceiling = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
    spent = int(resource.getrusage(resource.RUSAGE_SELF).ru_utime)
    resource.setrlimit(resource.RLIMIT_CPU, (spent + CPU_S, spent + CPU_S))
    sender.send(_verdict(path))
    sender.close()


def _verdict(path: Path) -> str:
    try:
        for with_hidden in (True, False):
            extract(probe_file(path, "book.xlsx"), ParseLimits(), Wish(with_hidden=with_hidden), keep)
    except RagError as error:
        return f"refused: {error}"
    except BaseException as error:  # noqa: BLE001  # whatever else is what the test looks for
        return f"crashed: {type(error).__name__}: {error}"[:2000]
    return "read"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_workbook_is_refused_by_name_or_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / "stored"
    path.write_bytes(HOSTILE[name]())
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(sender, path))
    child.start()
    sender.close()
    try:
        verdict = receiver.recv() if receiver.poll(3 * CPU_S) else "crashed: took too long"
    except EOFError:
        verdict = "crashed: the process ended"
    finally:
        child.kill()
        child.join()
    assert verdict == "read" or verdict.startswith("refused: 'book.xlsx'"), verdict


def test_changed_bytes_raise_only_errors_of_the_project(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["Name", "Units"], ["a", 1], ["b", 2.5]):
        book.worksheets[0].append(row)
    stream = io.BytesIO()
    book.save(stream)
    with zipfile.ZipFile(stream) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    chance = random.Random(7)  # of a test
    path = tmp_path / "stored"
    for _ in range(60):
        name = chance.choice(sorted(parts))
        content = bytearray(parts[name])
        for _ in range(3):
            content[chance.randrange(len(content))] = chance.randrange(256)
        with zipfile.ZipFile(path, "w") as archive:
            for each, kept in parts.items():
                archive.writestr(each, bytes(content) if each == name else kept)
        verdict = _verdict(path)
        assert not verdict.startswith("crashed"), (name, bytes(content))
