"""Reads ordinary YAML with libyaml, some twenty times faster than the pure parser does.

Ordinary is what nearly every project file is: one document of mappings, lists, texts, numbers, true, false and
null. At all else – tags, aliases, merge keys, directives, dates, numbers in rare notations, and whatever is wrong –
`parse_plain_yaml` gives up and the caller asks ruamel, which alone decides what is accepted and words the refusal.
"""

import re
from typing import Any, TypeVar

import yaml
from ruamel.yaml.resolver import Resolver
from yaml.events import (
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

try:
    from yaml import CSafeLoader
except ImportError:  # PyYAML built from source on a machine without libyaml: ruamel reads everything
    HAS_LIBYAML = False
else:
    HAS_LIBYAML = True

_UNSURE = re.compile(
    "[^\r\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"  # tabs, controls …
    r"|\r(?!\n)"  # an old Macintosh's end of line
    r"|^(?:\.\.\.|%)"  # an end of document, a directive
    r"|[|>][-+0-9]* *#"  # a comment behind the head of a block text
    r"|[|>][-+0-9]* *\r?\n(?:\r?\n)* +\r?$"  # a block text that begins with a line of blanks
    r"""|["']:[^ \r\n]"""  # a quoted key right before its value, as in JSON
    r"|(?:^|[ \[{,])\?",  # a key marked as one
    re.MULTILINE,
)
"""Where libyaml and ruamel disagree, or might."""

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?")

MAX_DEPTH = 100
MAX_VALUES = 50_000
"""Keys and values in one file, those behind aliases counted each time."""

_E = TypeVar("_E", bound=Event)


class NotPlainError(Exception):
    """The text is no ordinary YAML, or no YAML at all."""


class BadFileError(Exception):
    """What is wrong with a file, in words that follow its name."""


def check_bounds(line: int, depth: int, value_count: int) -> None:
    """Refuse what is nested too deeply or holds too much, before it is built.

    Raises:
        BadFileError: names the line.
    """
    if depth > MAX_DEPTH:
        raise BadFileError(f"line {line}: nested deeper than {MAX_DEPTH} levels")
    if value_count > MAX_VALUES:
        raise BadFileError(f"line {line}: more than {MAX_VALUES} values, aliases counted each time they are used")


def parse_plain_yaml(text: str) -> Any:
    """The value of an ordinary YAML text, as ruamel's safe loader (YAML 1.2) would build it.

    Raises:
        NotPlainError: says nothing of what is wrong, if anything is.
        BadFileError: nested too deeply, or too much in it.
    """
    if not HAS_LIBYAML or _UNSURE.search(text):
        raise NotPlainError
    parser = CSafeLoader(text)
    try:
        return _Document(parser).value()
    except (yaml.YAMLError, ValueError) as error:  # ValueError: an int of thousands of digits
        raise NotPlainError from error
    finally:
        parser.dispose()


class _Document:
    """Builds the value from the parser's events, one pass, bounded on the way."""

    def __init__(self, parser: "CSafeLoader") -> None:
        self._next = parser.get_event
        self._value_count = 0

    def value(self) -> Any:
        self._expect(StreamStartEvent)
        start = self._expect(DocumentStartEvent)
        if start.version or start.tags:
            raise NotPlainError
        value = self._node(self._expect(MappingStartEvent), 0)
        self._expect(DocumentEndEvent)
        self._expect(StreamEndEvent)
        return value

    def _expect(self, kind: type[_E]) -> _E:
        event = self._next()
        if not isinstance(event, kind):
            raise NotPlainError
        return event

    def _node(self, event: Event | None, depth: int) -> Any:
        if not isinstance(event, (ScalarEvent, MappingStartEvent, SequenceStartEvent)):
            raise NotPlainError  # an alias
        if event.anchor is not None or event.tag is not None:
            raise NotPlainError
        self._value_count += 1
        is_scalar = isinstance(event, ScalarEvent)
        if self._value_count > MAX_VALUES or depth >= MAX_DEPTH:
            assert event.start_mark is not None  # of events made by hand only
            check_bounds(event.start_mark.line + 1, depth if is_scalar else depth + 1, self._value_count)
        if isinstance(event, ScalarEvent):
            return _plain_scalar(event.value) if event.implicit[0] else event.value
        return self._mapping(depth + 1) if isinstance(event, MappingStartEvent) else self._list(depth + 1)

    def _mapping(self, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        while not isinstance(event := self._next(), MappingEndEvent):
            if not isinstance(event, ScalarEvent):
                raise NotPlainError
            key = self._node(event, depth)
            if key in found:
                raise NotPlainError
            found[key] = self._node(self._next(), depth)
        return found

    def _list(self, depth: int) -> list[Any]:
        found = []
        while not isinstance(event := self._next(), SequenceEndEvent):
            found.append(self._node(event, depth))
        return found


def _plain_scalar(text: str) -> Any:
    """The value of an unquoted text; ruamel's own table tells which other texts are no texts."""
    if text in _WORDS:
        return _WORDS[text]
    patterns = Resolver.yaml_implicit_resolvers.get(text[0], ())
    if not any(pattern.match(text) for _, pattern in patterns):
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    raise NotPlainError
