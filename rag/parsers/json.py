"""JSON and JSON lines: every record becomes a block of `path: value` lines."""

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from rag.errors import NoTextError, UnreadableFileError
from rag.parsers import media
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.builder import DocumentBuilder
from rag.parsers.decoding import check_length, read_text
from rag.registry import ComponentOptions
from rag.types import Document

_MAX_DEPTH = 200
_PROGRESS_EVERY_RECORDS = 1000


class JSONParser:
    """A record is a line of a JSON-lines file, an element of a top-level list, or a member of a top-level object
    (each element of it, if that is a list). Null and empty values are left out; numbers stay as written.
    """

    media_types: ClassVar[frozenset[str]] = frozenset({media.JSON, media.JSONL})

    class Options(ComponentOptions):
        pass

    def __init__(self, options: Options) -> None:
        self.options = options

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        text, _, warnings = read_text(probe, limits)
        builder = DocumentBuilder("JSONParser", limits)
        for path, record in _records(text, probe):
            if block := _block(path, record, probe, limits):
                builder.add_row(block, separator="\n\n")
                if builder.row_count % _PROGRESS_EVERY_RECORDS == 0:
                    on_progress(builder.row_count, None)
        if not builder.row_count:
            raise NoTextError(f"'{probe.filename}' has no text: the JSON holds no values")
        on_progress(builder.row_count, builder.row_count)
        return builder.build(metadata={"record_count": builder.row_count}, warnings=warnings)


def _records(text: str, probe: FileProbe) -> Iterator[tuple[str, Any]]:
    if probe.media_type == media.JSONL:
        yield from _lines(text, probe)
        return
    try:
        value = _load(text, probe)
    except json.JSONDecodeError as error:
        # Many files named .json hold one value per line.
        if error.msg != "Extra data" or error.lineno == 1:
            raise _invalid(probe, error, error.lineno) from error
        yield from _lines(text, probe)
    else:
        yield from _members(value)


def _lines(text: str, probe: FileProbe) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield "", _load(line, probe)
            except json.JSONDecodeError as error:
                raise _invalid(probe, error, number) from error


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        yield from (("", element) for element in value)
    elif isinstance(value, dict):
        for key, member in value.items():
            if isinstance(member, list):
                yield from ((f"{key}[{index}]", element) for index, element in enumerate(member))
            else:
                yield key, member
    else:
        yield "", value


def _load(text: str, probe: FileProbe) -> Any:
    try:
        # Numbers stay text: 1.10 is not 1.1 to a reader, and an identifier may have any number of digits.
        return json.loads(text, parse_float=str, parse_int=str)
    except RecursionError as error:
        raise _too_deep(probe) from error


def _block(path: str, record: Any, probe: FileProbe, limits: ParseLimits) -> str:
    lines, length = [], 0
    for line in _flatten(path, record, probe):
        length += len(line) + 1
        check_length(length, limits)  # here, not after: a long key repeats in every line below it
        lines.append(line)
    return "\n".join(lines)


def _flatten(path: str, value: Any, probe: FileProbe) -> Iterator[str]:
    """`path: value` per scalar, in the order of the file; iterative, so that depth costs no stack."""
    pending: list[Iterator[tuple[str, Any]]] = [iter([(path, value)])]
    while pending:
        if len(pending) > _MAX_DEPTH:
            raise _too_deep(probe)
        entry = next(pending[-1], None)
        if entry is None:
            pending.pop()
            continue
        where, item = entry
        if isinstance(item, dict | list):
            pending.append(_inside(where, item))
        elif (shown := _scalar(item)) != "":
            yield f"{where}: {shown}" if where else shown


def _inside(where: str, item: dict[str, Any] | list[Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(item, dict):
        yield from ((f"{where}.{key}" if where else key, member) for key, member in item.items())
    else:
        yield from ((f"{where}[{index}]", element) for index, element in enumerate(item))


def _scalar(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value).strip()


def _invalid(probe: FileProbe, error: json.JSONDecodeError, line: int) -> UnreadableFileError:
    return UnreadableFileError(f"'{probe.filename}' is not valid JSON: line {line}, column {error.colno}: {error.msg}")


def _too_deep(probe: FileProbe) -> UnreadableFileError:
    return UnreadableFileError(f"'{probe.filename}' is nested deeper than {_MAX_DEPTH} levels")
