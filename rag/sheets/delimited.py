"""Tables in text files (CSV, TSV): delimiter and encoding are detected, and numbers, dates and booleans recognized."""

import csv
import datetime as dt
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from rag.errors import UnreadableFileError
from rag.parsers import media
from rag.parsers.base import FileProbe, ParseLimits
from rag.parsers.csv import sniff_delimiter
from rag.parsers.decoding import clean, read_text
from rag.sheets.model import PLAIN, Allowance, Sheet, SheetMaker, Value

_MAX_FIELD_CHARS: Final = 1_000_000
_INTEGER: Final = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,17})")
_DECIMAL: Final = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,17})?\.[0-9]{1,30}(?:[eE][+-]?[0-9]{1,3})?")
_POWER: Final = re.compile(r"[+-]?[1-9][0-9]{0,17}[eE][+-]?[0-9]{1,3}")
_GROUPED: Final = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3}){1,5}(?:\.[0-9]{1,30})?")
_COMMA: Final = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,2}(?:\.[0-9]{3}){1,5}|[1-9][0-9]{0,17})(?:,[0-9]{1,30})?")
_HAS_COMMA: Final = re.compile(r"(?:^|[;\t|])\"?[+-]?[0-9][0-9.]{0,24},[0-9]{1,30}\"?(?=[;\t|]|$)", re.MULTILINE)
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)?")
_SAMPLE_CHARS: Final = 65_536


@contextmanager
def opened_delimited(probe: FileProbe, limits: ParseLimits) -> Iterator["DelimitedBook"]:
    csv.field_size_limit(_MAX_FIELD_CHARS)
    yield DelimitedBook(probe, read_text(probe, limits).text)


class DelimitedBook:
    """One sheet, called as the file is."""

    def __init__(self, probe: FileProbe, text: str) -> None:
        self._probe = probe
        self._text = text
        self.names = [clean(Path(probe.filename).stem) or "Sheet1"]

    def sheets(self, is_wanted: Callable[[str, bool], bool]) -> Iterator[Sheet]:
        name = self.names[0]
        if not is_wanted(name, False):
            return
        text, delimiter = _delimiter(self._text, self._probe.media_type)
        has_commas = delimiter != "," and _HAS_COMMA.search(text[:_SAMPLE_CHARS]) is not None
        maker = SheetMaker(name, Allowance(self._probe.filename), with_texts=True)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            for row, cells in enumerate(reader):
                for column, cell in enumerate(cells):
                    if shown := cell.strip():
                        maker.add_text(row, column, _value(shown, has_commas), shown)
        except csv.Error as error:
            raise UnreadableFileError(f"'{self._probe.filename}', line {reader.line_num}: {error}") from error
        yield maker.finish(lambda _: PLAIN)


def _delimiter(text: str, media_type: str) -> tuple[str, str]:
    """The text without the line by which Excel is told the delimiter, and the delimiter."""
    head, _, rest = text.partition("\n")
    said = head.strip()
    if said.lower().startswith("sep=") and len(said) == len("sep=") + 1:
        return rest, said[-1]
    if media_type == media.TSV and "\t" in text[:_SAMPLE_CHARS]:
        return text, "\t"
    return text, sniff_delimiter(text)


def _value(text: str, has_commas: bool) -> Value:
    if not text[0].isdecimal() and text[0] not in "+-.tTfF":
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if has_commas and _COMMA.fullmatch(text):
        plain = text.replace(".", "")
        return float(plain.replace(",", ".")) if "," in plain else int(plain)
    if _DECIMAL.fullmatch(text) or _POWER.fullmatch(text):
        return float(text)
    if not has_commas and _GROUPED.fullmatch(text):
        plain = text.replace(",", "")
        return float(plain) if "." in plain else int(plain)
    if _MOMENT.fullmatch(text):
        with suppress(ValueError):
            return dt.datetime.fromisoformat(text)
    return {"true": True, "false": False}.get(text.lower(), text)
