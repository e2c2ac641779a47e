"""The document that a database is exported to and imported from: JSON, written and read piece by piece.

    {"version": "1", "export_date": …, "database": …, "metadata": {"model_id", "dimension", "metric", …},
     "documents": [{"id", "content", "embedding": [..], "metadata": {..}}, …]}

Each entry of `documents` is one chunk. Its metadata names the file (`dataset`, `file_hash`, `filename`) and the place
in it. `embedding` is empty where it was left out. Floats are written so that they read back as the same 32 bits.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import orjson

from rag.errors import InvalidInputError, LimitExceededError
from rag.types import Record, Scalar, Vector

VERSION = "1"
READ_CHARS = 1 << 20
MAX_VALUE_CHARS = 16_000_000
"""Of one entry, as JSON."""
MAX_CONTENT_CHARS = 1_000_000
MAX_KEYS = 1_000
LARGEST_NUMBER = 1e300
_SPACE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class ExportedChunk:
    id: str
    content: str
    embedding: Vector | None
    metadata: Mapping[str, Scalar]


def head(facts: Mapping[str, Any]) -> bytes:
    """Everything before the first entry."""
    return orjson.dumps({"version": VERSION, **facts})[:-1] + b',"documents":['


TAIL = b"]}\n"


def entry(record: Record, *, with_embedding: bool) -> bytes:
    embedding: Vector | list[float] = np.ascontiguousarray(record.vector, np.float32) if with_embedding else []
    value = {"id": record.id, "content": record.text, "embedding": embedding, "metadata": dict(record.metadata)}
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def read_facts(stream: IO[str]) -> dict[str, Any]:
    """Everything but the entries, all of which are checked on the way.

    Raises:
        InvalidInputError: this is no such document; says where. LimitExceededError: an entry is too large.
    """
    facts = {key: value for key, value in _Reader(stream).items() if key != "documents" or _is_wrong(value)}
    version = facts.get("version")
    if str(version).partition(".")[0] != VERSION:
        raise InvalidInputError(f"the export has version {str(version)[:20]!r}; this server reads version {VERSION}")
    if not isinstance(facts.get("metadata", {}), Mapping):
        raise InvalidInputError("metadata of the export is not an object")
    return facts


def read_chunks(stream: IO[str]) -> Iterator[ExportedChunk]:
    return (value for key, value in _Reader(stream).items() if key == "documents")


def _is_wrong(value: Any) -> bool:
    return not isinstance(value, ExportedChunk)


class _Reader:
    """Reads one JSON object whose member `documents` may be larger than memory."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._text = ""
        self._position = 0
        self._decoder = json.JSONDecoder(parse_constant=_no_constant)

    def items(self) -> Iterator[tuple[str, Any]]:
        """(key, value) of each member, and ("documents", chunk) of each entry."""
        self._expect("{")
        if self._peek() == "}":
            raise InvalidInputError("the export is empty: expected version, database and documents")
        while True:
            key = self._value()
            if not isinstance(key, str):
                raise self._problem("a key in quotes")
            self._expect(":")
            if key == "documents":
                yield from ((key, chunk) for chunk in self._entries())
            else:
                yield key, self._value()
            if self._next_of(",}") == "}":
                break
        if self._peek():
            raise self._problem("nothing more")

    def _entries(self) -> Iterator[ExportedChunk]:
        self._expect("[")
        if self._peek() == "]":
            self._position += 1
            return
        number = 0
        while True:
            yield _chunk(self._value(), number)
            number += 1
            if self._next_of(",]") == "]":
                return

    def _value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._position)
            except json.JSONDecodeError as error:
                if not self._more():
                    raise self._problem(error.msg) from error
            except ValueError as error:  # a number of thousands of digits
                raise self._problem("a smaller number") from error
            except RecursionError as error:
                raise self._problem("fewer levels of nesting") from error
            else:
                # A number at the end of what was read may go on.
                if end < len(self._text) or not self._more():
                    self._position = end
                    return value

    def _peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self._position < len(self._text):
                if self._text[self._position] not in _SPACE:
                    return self._text[self._position]
                self._position += 1
            if not self._more():
                return ""

    def _expect(self, character: str) -> None:
        self._next_of(character)

    def _next_of(self, characters: str) -> str:
        found = self._peek()
        if not found or found not in characters:
            raise self._problem(" or ".join(repr(each) for each in characters))
        self._position += 1
        return found

    def _more(self) -> bool:
        if len(self._text) - self._position > MAX_VALUE_CHARS:
            raise LimitExceededError(f"an entry of the export has more than {MAX_VALUE_CHARS:,} characters")
        try:
            piece = self._stream.read(max(READ_CHARS, len(self._text) - self._position))
        except UnicodeDecodeError as error:
            raise InvalidInputError("the export is not valid UTF-8") from error
        self._text = self._text[self._position :] + piece
        self._position = 0
        return bool(piece)

    def _problem(self, expected: str) -> InvalidInputError:
        rest = self._text[self._position : self._position + 40]
        return InvalidInputError(f"the export is not the JSON that is expected here: {expected}; at {rest!r}")


def _no_constant(name: str) -> None:
    raise InvalidInputError(f"the export holds {name}, which is no JSON")


def _chunk(value: Any, number: int) -> ExportedChunk:
    where = f"documents[{number}]"
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"{where} is not an object")
    content, chunk_id = value.get("content"), value.get("id", "")
    if not isinstance(content, str) or not content.strip() or len(content) > MAX_CONTENT_CHARS:
        raise InvalidInputError(f"{where}.content is to be text of 1 to {MAX_CONTENT_CHARS:,} characters")
    if not isinstance(chunk_id, str | int):
        raise InvalidInputError(f"{where}.id is to be text")
    metadata = _metadata(value.get("metadata"), where)
    _check_unicode([content, str(chunk_id), *metadata, *metadata.values()], where)
    return ExportedChunk(str(chunk_id), content, _embedding(value.get("embedding"), where), metadata)


def _metadata(value: Any, where: str) -> dict[str, Scalar]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or len(value) > MAX_KEYS:
        raise InvalidInputError(f"{where}.metadata is to be an object of at most {MAX_KEYS} keys")
    for key, each in value.items():
        is_number = isinstance(each, int | float)
        if not (isinstance(each, str | None) or (is_number and abs(each) < LARGEST_NUMBER)):
            raise InvalidInputError(f"{where}.metadata.{key[:100]} is to be text, a number or true/false")
    return {key: each for key, each in value.items() if each is not None and not key.startswith("_")}


def _embedding(value: Any, where: str) -> Vector | None:
    if not value:
        return None
    numbers = value if isinstance(value, list) else [None]
    if not all(isinstance(each, int | float) and not isinstance(each, bool) for each in numbers):
        raise InvalidInputError(f"{where}.embedding is to be a list of numbers")
    try:
        with np.errstate(over="ignore"):
            vector: Vector = np.asarray(numbers, dtype=np.float64).astype(np.float32)
    except OverflowError:
        vector = np.full(1, np.inf, np.float32)
    if not np.isfinite(vector).all() or not vector.any():
        raise InvalidInputError(f"{where}.embedding holds a number that is too large, or zeros only")
    return vector


def _check_unicode(values: list[Any], where: str) -> None:
    try:
        for each in values:
            if isinstance(each, str):
                each.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"{where} holds half of a surrogate pair and is not valid Unicode") from error
