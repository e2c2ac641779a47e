"""Reads a config file as plain data, bounded in size, depth and count, whoever wrote it."""

import datetime as dt
import json
import math
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from rag.errors import ConfigError

MAX_FILE_BYTES = 5_000_000
MAX_DEPTH = 100
MAX_VALUES = 50_000
"""Keys and values in one file, those behind aliases counted each time."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def read_bounded(path: Path) -> bytes:
    """The file's bytes; of one that is too large, just enough for `parse_config` to refuse it."""
    with path.open("rb") as file:
        return file.read(MAX_FILE_BYTES + 1)


def parse_config(content: bytes, file_name: str) -> dict[str, Any]:
    """A file's content as JSON-safe data; the ending of `file_name` tells the format.

    Raises:
        ConfigError: names the file (never its folder), the place and what is wrong.
    """
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(f"{file_name}: larger than {MAX_FILE_BYTES} bytes; that is no configuration")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file_name}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    parse = {".toml": _from_toml, ".json": _from_json}.get(Path(file_name).suffix, _from_yaml)
    try:
        value = _plain(parse(text))
    except (_BadFileError, RecursionError, ValueError) as error:
        raise _refusal(error, file_name) from None
    if not isinstance(value, dict):
        raise ConfigError(f"{file_name}: holds no mapping; accepted: keys such as version, name, runtime")
    return value


def plain_config(value: dict[str, Any], file_name: str) -> dict[str, Any]:
    """A copy of a config that did not come from a file, under the same rules.

    Raises:
        ConfigError: as `parse_config`.
    """
    try:
        return _plain_mapping(value, depth=0)
    except _BadFileError as error:
        raise _refusal(error, file_name) from None


def _refusal(error: Exception, file_name: str) -> ConfigError:
    reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    return ConfigError(f"{file_name}: {reason}")


class _BadFileError(Exception):
    """What is wrong, in words that follow the file's name."""


def _from_json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise _BadFileError(f"line {error.lineno}, column {error.colno}: {error.msg}") from error


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _BadFileError(f"the key '{key}' appears twice in one mapping; remove one")
        found[key] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise _BadFileError(f"{name} is no number that can be used")


def _from_toml(text: str) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _BadFileError(str(error)) from error


def _from_yaml(text: str) -> Any:
    try:
        _check_events(YAML(typ="safe", pure=True).parse(text))
        return YAML(typ="safe", pure=True).load(text)
    except DuplicateKeyError as error:
        key = re.search(r'duplicate key "([^"]*)"', str(error.problem))
        name = f" '{key[1]}'" if key else ""
        raise _BadFileError(f"{_place(error)}the key{name} appears twice in one mapping; remove one") from error
    except MarkedYAMLError as error:
        raise _BadFileError(f"{_place(error)}{error.problem or error.context or 'not readable as YAML'}") from error
    except YAMLError as error:
        raise _BadFileError(f"not readable as YAML: {getattr(error, 'reason', 'malformed')}") from error


def _place(error: MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""


def _check_events(events: Iterator[Event]) -> None:
    """Bound depth and count before anything is built, so that aliases cannot multiply and nesting cannot overflow.

    Raises:
        _BadFileError: names the line.
    """
    open_nodes: list[tuple[str | None, int]] = []
    sizes: dict[str, int] = {}
    total = 0
    for event in events:
        line = event.start_mark.line + 1
        if isinstance(event, (MappingStartEvent, SequenceStartEvent)):
            open_nodes.append((event.anchor, total))
        if isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            anchor, before = open_nodes.pop()
            if anchor:
                sizes[anchor] = total - before
        total += _weight(event, sizes, line)
        if isinstance(event, ScalarEvent) and event.anchor:
            sizes[event.anchor] = 1
        if len(open_nodes) > MAX_DEPTH:
            raise _BadFileError(f"line {line}: nested deeper than {MAX_DEPTH} levels")
        if total > MAX_VALUES:
            raise _BadFileError(f"line {line}: more than {MAX_VALUES} values, aliases counted each time they are used")


def _weight(event: Event, sizes: dict[str, int], line: int) -> int:
    """How many values an event stands for."""
    if not isinstance(event, AliasEvent):
        return 1 if isinstance(event, NodeEvent) else 0
    if event.anchor not in sizes:
        raise _BadFileError(f"line {line}: the alias *{event.anchor} is not defined before it is used")
    return sizes[event.anchor]


def _plain(value: Any, depth: int = 0) -> Any:
    """JSON-safe data: texts for keys and dates, finite numbers, nothing shared."""
    if depth > MAX_DEPTH:
        raise _BadFileError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return _plain_mapping(value, depth)
    if isinstance(value, list):
        return [_plain(entry, depth + 1) for entry in value]
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise _BadFileError(f"{value} is no number that can be used")
    if isinstance(value, str):
        return _plain_text(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    raise _BadFileError(f"a value of the kind {type(value).__name__} is not accepted")


def _plain_mapping(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    plain = {_plain_key(key): _plain(entry, depth + 1) for key, entry in value.items()}
    if len(plain) != len(value):
        raise _BadFileError("a key appears twice in one mapping, once as a number and once as a text; remove one")
    return plain


def _plain_key(key: Any) -> str:
    if isinstance(key, str):
        return _plain_text(key)
    if isinstance(key, bool):
        return str(key).lower()
    if isinstance(key, (int, float, dt.date)):
        return str(key)
    raise _BadFileError("a key that is no text is not accepted")


def _plain_text(text: str) -> str:
    if not text.isascii() and _SURROGATE.search(text):
        raise _BadFileError("half a surrogate pair is no character; remove it")
    return text
