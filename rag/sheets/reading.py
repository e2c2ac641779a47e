"""A file on disk → an open workbook, whatever its format."""

from contextlib import AbstractContextManager
from pathlib import PurePath
from typing import Final

from rag.errors import EncryptedFileError, NoTextError, UnreadableFileError
from rag.parsers import media
from rag.parsers.base import FileProbe, ParseLimits
from rag.sheets.model import Workbook

READ: Final = ".xlsx, .xlsm, .xltx, .xltm, .xls, .ods, .csv and .tsv"
WORKBOOKS: Final = frozenset({".xlsx", ".xlsm", ".xltx", ".xltm", ".xls", ".ods"})


def opened_workbook(probe: FileProbe, limits: ParseLimits) -> AbstractContextManager[Workbook]:
    """Each library is imported for its own format only.

    Raises:
        UnreadableFileError: it is no spreadsheet, or a damaged one.
        LimitExceededError: larger than a bound of the parsers.
    """
    kind = probe.media_type
    if kind == media.XLSX:
        from rag.sheets.xlsx import opened_xlsx

        return opened_xlsx(probe, limits)
    if kind == media.XLS:
        from rag.sheets.xls import opened_xls

        return opened_xls(probe, limits)
    if kind == media.ODS:
        from rag.sheets.ods import opened_ods

        return opened_ods(probe, limits)
    if kind in {media.CSV, media.TSV}:
        from rag.sheets.delimited import opened_delimited

        return opened_delimited(probe, limits)
    raise _refusal(probe)


def _refusal(probe: FileProbe) -> UnreadableFileError:
    name, kind = f"'{probe.filename}'", probe.media_type
    if kind == media.XLSB:
        return UnreadableFileError(f"{name} is a binary workbook (.xlsb); save it as .xlsx and try again")
    if kind == media.ENCRYPTED_OFFICE:
        return EncryptedFileError(f"{name}: password required; save it without a password and try again")
    if kind == media.EMPTY:
        return NoTextError(f"{name} has no cells: the file is empty")
    if PurePath(probe.filename).suffix.lower() not in WORKBOOKS:
        return UnreadableFileError(f"{name} is not a spreadsheet ({kind}); {READ} are read")
    if kind == media.HTML:
        return UnreadableFileError(f"{name}: its content is a web page, not a workbook; save it as .xlsx and try again")
    if kind.startswith("text/"):
        return UnreadableFileError(
            f"{name}: its content is text, not a workbook; if it is a table, name it .csv or .tsv"
        )
    if kind == media.BINARY:
        return UnreadableFileError(f"{name}: its content is no workbook, or one that is damaged from its first byte on")
    return UnreadableFileError(f"{name}: its content is {kind}, not a workbook")
