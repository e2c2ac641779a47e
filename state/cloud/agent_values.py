"""What a JSON document of an agent is found by: its scalars as small values that an index holds.

A path is the keys that lead to a value, joined by dots. Where two ways of nesting give the same path (`{"a.b": 1}` and
`{"a": {"b": 1}}`), the first in the document counts. In the index a path ends with the kind of its value, so that the
numbers of a field stand together and its texts do; entries of lists stand apart from single values, under the list's
path. Lists and objects themselves are a digest, so that documents can be grouped by them.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

import orjson

from rag.errors import InvalidInputError

ValueKind: TypeAlias = Literal["text", "long", "number", "time", "bool", "null", "list", "object"]
KINDS: Mapping[ValueKind, str] = {
    "number": "n",
    "time": "t",
    "text": "x",
    "long": "x",
    "bool": "b",
    "null": "v",
    "list": "l",
    "object": "o",
}
"""What a path ends with; in capitals for entries of lists."""
MAX_TEXT_CHARS = 300
PREFIX_CHARS = 230
"""What is kept of a longer text, before its digest."""
MAX_PATH_CHARS = 280
MAX_DEPTH = 100
MAX_VALUES = 20_000
EXACT_FLOAT = 2**53
INTEGER_END = 1e25
"""No integer that a request can carry is as large: beyond, two numbers are equal when their floats are."""
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
_LIKE_LONG = re.compile(r"\x1f[0-9a-f]{64}\Z")
"""How the index keeps long texts ends; a text that ends so itself is kept as one, so that no two look alike."""
_UNSAFE = re.compile(r"[\x00-\x1f]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Value:
    """
    Args:
        text: of a text, a time, a truth value and an integer that no float holds; a digest of a list or an object.
        real: a number, or microseconds since 1970.
    """

    kind: ValueKind
    text: str | None = None
    real: float | None = None


NULL = Value("null")


def value_of(scalar: Any) -> Value:
    match scalar:
        case None:
            return NULL
        case bool():
            return Value("bool", "true" if scalar else "false")
        case int() | float():
            return Value("number", _exact(scalar), float(scalar))
        case _:
            return _text(str(scalar))


def values_of(document: Mapping[str, Any]) -> list[tuple[str, Value]]:
    """(path, value) of everything in a document.

    Raises:
        InvalidInputError: it is nested more deeply, or holds more, than can be searched.
    """
    walk = _Walk()
    for key, value in document.items():
        walk.into(key, value, is_entry=False, depth=1)
    return walk.found


class _Walk:
    def __init__(self) -> None:
        self.found: list[tuple[str, Value]] = []
        self._taken: set[str] = set()

    def into(self, path: str, value: object, *, is_entry: bool, depth: int) -> bytes:
        """Keep what stands at a path and below; returns a digest of it."""
        if depth > MAX_DEPTH:
            raise InvalidInputError(f"data is nested more than {MAX_DEPTH} levels deep")
        if not isinstance(value, dict | list):
            small = value_of(value)
            self._keep(path, small, is_entry=is_entry)
            return orjson.dumps([small.kind, small.text, small.real])
        is_known, place = path in self._taken, len(self.found)
        if not is_entry:
            self._taken.add(path)
        digest = self._inside(path, value, is_entry=is_entry, depth=depth)
        if not is_entry and not is_known:
            kind: ValueKind = "object" if isinstance(value, dict) else "list"
            self._check_size()
            self.found.insert(place, (path_key(path, KINDS[kind]), Value(kind, digest.hex())))
        return digest

    def _inside(self, path: str, value: dict[str, Any] | list[Any], *, is_entry: bool, depth: int) -> bytes:
        if isinstance(value, list):
            parts = [self.into(path, each, is_entry=True, depth=depth + 1) for each in value]
            return hashlib.sha256(b"[" + b"".join(_sized(each) for each in parts)).digest()
        parts = []
        for key, each in value.items():
            digest = self.into(f"{path}.{key}", each, is_entry=is_entry, depth=depth + 1)
            parts.append(orjson.dumps(key) + _sized(digest))
        return hashlib.sha256(b"{" + b"".join(sorted(parts))).digest()

    def _keep(self, path: str, value: Value, *, is_entry: bool) -> None:
        if not is_entry:
            if path in self._taken:
                return
            self._taken.add(path)
        self._check_size()
        letter = KINDS[value.kind]
        self.found.append((path_key(path, letter.upper() if is_entry else letter), value))

    def _check_size(self) -> None:
        if len(self.found) >= MAX_VALUES:
            raise InvalidInputError(f"data holds more than {MAX_VALUES} values: store it as several items")


def path_key(path: str, letter: str) -> str:
    """The path as it stands in the index. Keys with control characters are known by a digest."""
    if len(path) > MAX_PATH_CHARS or _UNSAFE.search(path):
        path = "\x1e" + hashlib.sha256(path.encode()).hexdigest()
    return f"{path}\x1f{letter}"


def path_keys(path: str, letters: str) -> list[str]:
    return [path_key(path, each) for each in letters]


def look_up(document: Mapping[str, Any], path: str) -> Any:
    """What stands at a path, as `values_of` finds it; None where nothing does."""
    return next(_at(document, path), None)


def microseconds(text: str) -> float | None:
    """A date or a time of ISO 8601, without a zone in UTC; None for any other text."""
    if not _TIME.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:  # the 31st of February
        return None
    passed = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    return float((passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds)


def _at(holder: Mapping[str, Any], path: str) -> Iterator[Any]:
    for key, value in holder.items():
        if key == path:
            yield value
        elif isinstance(value, dict) and path.startswith(f"{key}."):
            yield from _at(value, path[len(key) + 1 :])


def _text(text: str) -> Value:
    if len(text) > MAX_TEXT_CHARS or "\x00" in text or _LIKE_LONG.search(text):
        digest = hashlib.sha256(text.encode()).hexdigest()
        return Value("long", f"{text[:PREFIX_CHARS]}\x1f{digest}".replace("\x00", "\x01"))
    time = microseconds(text)
    return Value("text", text) if time is None else Value("time", text, time)


def _exact(number: float) -> str | None:
    """An integer's digits, where its float stands for others as well."""
    is_large = EXACT_FLOAT < abs(number) < INTEGER_END
    return str(int(number)) if is_large and number == int(number) else None


def _sized(digest: bytes) -> bytes:
    return len(digest).to_bytes(4, "big") + digest
