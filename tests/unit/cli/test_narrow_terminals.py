"""What is shown on a narrow terminal can be read."""

import re
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest

from cli.client.columns import column_widths
from cli.client.output import Output, counted
from cli.client.watch import _shown
from tests.unit.cli.client_run import Lf, P

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
FILES = [("f" * 64, "employee handbook.pdf", "2.0 KB", 3), ("e" * 64, "b.md", "12.0 KB", 30)]


class Screen(StringIO):
    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        return [line.rstrip() for line in re.split(r"[\r\n]", ESCAPES.sub("", self.getvalue())) if line.strip()]


ShowAt = Callable[[int, Callable[[], Any]], list[str]]


@pytest.fixture
def show_at(monkeypatch: pytest.MonkeyPatch) -> ShowAt:
    """The lines that a function shows on a terminal of some columns."""

    def show(width: int, function: Callable[[], Any]) -> list[str]:
        screen = Screen()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", screen)
            patch.setattr(sys, "stderr", screen)
            patch.setenv("TERM", "xterm")
            patch.setenv("COLUMNS", str(width))
            function()
        return screen.lines()

    return show


def show_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    def tasks(*_: Any) -> Iterator[dict[str, Any]]:
        yield {"state": "STARTED", "meta": {"current": 2345, "total": 10000, "stored_count": 123456}}

    monkeypatch.setattr("cli.client.watch.follow", tasks)
    _shown(Output(), None, "")  # type: ignore[arg-type]  # nobody is asked


@pytest.mark.parametrize(
    ("width", "shown", "left_out"),
    [
        (30, "2345/10000", "left"),
        (60, "-:--:-- left", "chunks"),
        (80, "123456 chunks", "elapsed"),
        (120, "elapsed", "…"),
    ],
)
def test_a_progress_display_drops_columns_instead_of_cutting_them(
    width: int, shown: str, left_out: str, monkeypatch: pytest.MonkeyPatch, show_at: ShowAt
) -> None:
    *_, line = show_at(width, lambda: show_progress(monkeypatch))
    assert line.startswith("processing ")
    assert shown in line
    assert left_out not in line
    assert "…" not in line
    assert len(line) <= width


def test_hashes_are_shortened_before_words_break(show_at: ShowAt) -> None:
    remark, _, *lines = show_at(43, lambda: Output().table(("HASH", "NAME", "SIZE", "CHUNKS"), FILES))
    assert "--json shows them whole" in remark
    assert lines == [
        "ffffffffffff  employee      2.0 KB   3",
        "              handbook.pdf",
        "eeeeeeeeeeee  b.md          12.0 KB  30",
    ]


def test_hashes_stay_whole_where_there_is_room(show_at: ShowAt) -> None:
    lines = show_at(120, lambda: Output().table(("HASH", "NAME", "SIZE", "CHUNKS"), FILES))
    assert lines[1].startswith("f" * 64)


def test_widths_are_taken_from_the_widest_and_break_no_word() -> None:
    rows = [["a b c d e f", "one two three", "x"]]
    assert column_widths(["A", "B", "C"], rows, 40) == [11, 13, 1]
    assert column_widths(["A", "B", "C"], rows, 20) == [7, 8, 1]
    assert column_widths(["A", "B", "C"], rows, 11) == [1, 5, 1]
    assert column_widths(["A", "B", "C"], rows, 10) is None
    assert column_widths(["A", "B", "C"], rows, 28, fits_whole=True) is None


def test_one_is_not_counted_as_many(lf: Lf) -> None:
    assert [counted(count, "file") for count in (0, 1, 2, None)] == ["0 files", "1 file", "2 files", "? files"]
    lf.api.on("POST", f"{P}/rag/compact", {"success": False, "errors": ["the store is away"]})
    lf.api.on("GET", f"{P}/rag/databases", {"databases": [], "default_database": "d"})
    assert "lf: 1 error\n" in lf("rag", "compact", code=4).stderr
