"""Reads a config file as plain data, bounded in size, depth and count, whoever wrote it."""

import datetime as dt
import json
import math
import re
import tomllib
from pathlib import Path
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, DuplicateKeyError, SafeConstructor
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
from ruamel.yaml.nodes import Node
from ruamel.yaml.parser import Parser

from config.plain_yaml import MAX_DEPTH, BadFileError, NotPlainError, check_bounds, parse_plain_yaml
from rag.errors import ConfigError

MAX_FILE_BYTES = 5_000_000

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
    except (BadFileError, RecursionError, ValueError) as error:
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
    except BadFileError as error:
        raise _refusal(error, file_name) from None


def _refusal(error: Exception, file_name: str) -> ConfigError:
    reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    return ConfigError(f"{file_name}: {reason}")


def _from_json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise BadFileError(f"line {error.lineno}, column {error.colno}: {error.msg}") from error


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise BadFileError(f"the key '{key}' appears twice in one mapping; remove one")
        found[key] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise BadFileError(f"{name} is no number that can be used")


def _from_toml(text: str) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadFileError(str(error)) from error


def _from_yaml(text: str) -> Any:
    try:
        return parse_plain_yaml(text)
    except NotPlainError:
        return _from_any_yaml(text)


def _from_any_yaml(text: str) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.Parser = _BoundedParser
    yaml.Constructor = _PlacingConstructor
    yaml.composer.warn_double_anchors = False  # YAML 1.2 lets a later anchor take the name of an earlier one
    try:
        return yaml.load(text)
    except DuplicateKeyError as error:
        key = re.search(r'duplicate key "([^"]*)"', str(error.problem))
        name = f" '{key[1]}'" if key else ""
        raise BadFileError(f"{_place(error)}the key{name} appears twice in one mapping; remove one") from error
    except MarkedYAMLError as error:
        raise BadFileError(f"{_place(error)}{error.problem or error.context or 'not readable as YAML'}") from error
    except YAMLError as error:
        raise BadFileError(f"not readable as YAML: {getattr(error, 'reason', 'malformed')}") from error
    except TypeError as error:  # what ruamel makes of a list of lists as a key
        raise BadFileError("a key that is no text is not accepted") from error
    except AssertionError as error:  # what ruamel makes of %YAML 1.3 and of !!omap with a key twice
        raise BadFileError(f"not readable as YAML 1.2: {str(error) or 'malformed'}") from error


def _place(error: MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""


class _PlacingConstructor(SafeConstructor):
    """Tells the place of a value that its look or its tag promises to be another, such as 2024-13-45 or !!bool x."""

    def construct_non_recursive_object(self, node: Node, tag: str | None = None) -> Any:
        try:
            return super().construct_non_recursive_object(node, tag)
        except (LookupError, ValueError) as error:
            reason = str(error) if isinstance(error, ValueError) else f"the value does not fit its tag {node.tag}"
            raise ConstructorError(None, None, reason, node.start_mark) from error


class _BoundedParser(Parser):
    """Bounds depth and count before anything is built, so that aliases cannot multiply and nesting cannot overflow."""

    def __init__(self, loader: YAML) -> None:
        super().__init__(loader)
        self._open_nodes: list[tuple[str | None, int]] = []
        self._sizes: dict[str, int] = {}
        self._total = 0

    def get_event(self) -> Event:
        """The next event.

        Raises:
            BadFileError: names the line.
        """
        event: Event = super().get_event()
        self._count(event, event.start_mark.line + 1)
        return event

    def _count(self, event: Event, line: int) -> None:
        if isinstance(event, (MappingStartEvent, SequenceStartEvent)):
            self._open_nodes.append((event.anchor, self._total))
        if isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            anchor, before = self._open_nodes.pop()
            if anchor:
                self._sizes[anchor] = self._total - before
        self._total += self._weight(event, line)
        if isinstance(event, ScalarEvent) and event.anchor:
            self._sizes[event.anchor] = 1
        check_bounds(line, len(self._open_nodes), self._total)

    def _weight(self, event: Event, line: int) -> int:
        """How many values an event stands for."""
        if not isinstance(event, AliasEvent):
            return 1 if isinstance(event, NodeEvent) else 0
        if event.anchor not in self._sizes:
            raise BadFileError(f"line {line}: the alias *{event.anchor} is not defined before it is used")
        return self._sizes[event.anchor]


def _plain(value: Any, depth: int = 0) -> Any:
    """JSON-safe data: texts for keys and dates, finite numbers, nothing shared."""
    if depth > MAX_DEPTH:
        raise BadFileError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return _plain_mapping(value, depth)
    if isinstance(value, list):
        return [_plain(entry, depth + 1) for entry in value]
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise BadFileError(f"{value} is no number that can be used")
    if isinstance(value, str):
        return _plain_text(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    raise BadFileError(f"a value of the kind {type(value).__name__} is not accepted")


def _plain_mapping(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    plain = {_plain_key(key): _plain(entry, depth + 1) for key, entry in value.items()}
    if len(plain) != len(value):
        raise BadFileError("a key appears twice in one mapping, once as a number and once as a text; remove one")
    return plain


def _plain_key(key: Any) -> str:
    if isinstance(key, str):
        return _plain_text(key)
    if isinstance(key, bool):
        return str(key).lower()
    if isinstance(key, (int, float, dt.date)):
        return str(key)
    raise BadFileError("a key that is no text is not accepted")


def _plain_text(text: str) -> str:
    if not text.isascii() and _SURROGATE.search(text):
        raise BadFileError("half a surrogate pair is no character; remove it")
    return text
