"""JSON Schemas that others wrote: checked, bounded, and with their references put in place.

Nothing is ever fetched; patterns run in an engine whose time is linear in the text; a schema that refers to itself is
refused, as are a nesting or a size that would keep a validator busy.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import unquote

import orjson
import re2  # type: ignore[import-untyped]  # beside re, which a pattern can keep busy for ever
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]  # comes without types
from jsonschema.exceptions import SchemaError, ValidationError, best_match  # type: ignore[import-untyped]  # as above
from jsonschema.validators import extend  # type: ignore[import-untyped]  # as above

from rag.errors import InvalidInputError

Schema = dict[str, Any]

MAX_BYTES = 100_000
MAX_DEPTH = 40
MAX_NODES = 2_000
"""Subschemas, as they are written and once every reference is in place: checking each takes a good half millisecond."""
MAX_PATTERN_CHARS = 1_000
SHOWN_CHARS = 300
BY_NAME = frozenset({"properties", "dependentSchemas"})
LISTED = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
SINGLE = frozenset(
    {
        "items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedItems",
        "unevaluatedProperties", "contentSchema",
    }
)  # fmt: skip
DEFINITIONS = frozenset({"$defs", "definitions", "$schema", "$id", "$comment"})
ANNOTATIONS = frozenset({"description", "title", "default", "examples", "deprecated", "readOnly", "writeOnly"})
REFUSED = {
    "$dynamicRef": "write the schema out",
    "$recursiveRef": "write the schema out",
    "$anchor": "refer by place, as in '#/$defs/Address'",
    "$dynamicAnchor": "refer by place, as in '#/$defs/Address'",
    "patternProperties": "name the properties, or use additionalProperties",
}


def read_schema(given: Any) -> Schema:
    """The schema as it was given, once it is known to be good; JSON text is read.

    Raises:
        InvalidInputError: it is no JSON Schema of an object, or one that is not followed here; says what and where.
    """
    schema = _parsed(given)
    _check_shape(schema)
    try:
        Draft202012Validator.check_schema(schema, format_checker=FormatChecker(formats=()))
    except SchemaError as error:
        raise _refused(f"at {place(error.absolute_path)}: {_short(error.message)}") from error
    resolved(schema)
    return schema


def resolved(schema: Schema) -> Schema:
    """The same schema without references, definitions and base addresses.

    Raises:
        InvalidInputError: a reference leads nowhere, elsewhere, or back to itself; or a keyword is refused.
    """
    found = _Resolver(schema).resolve(schema, (), 0)
    kind = found.get("type", "object" if "properties" in found else None)
    if kind != "object":
        raise _refused(f"it must describe an object (type: object, properties: …), not {_short(kind or 'anything')}")
    return {**found, "type": "object"}


def problems(schema: Schema, value: Any, *, limit: int = 8) -> list[str]:
    """What is wrong with a value, each as `place: sentence`; empty when it is valid."""
    return [described(error) for error in first_errors(schema, value, limit)]


def first_errors(schema: Schema, value: Any, limit: int) -> list[ValidationError]:
    found = []
    for error in validator()(schema, format_checker=_formats()).iter_errors(value):
        found.append(error if not error.context else best_match([error]) or error)
        if len(found) >= limit:
            break
    return found


def described(error: ValidationError) -> str:
    return f"{place(error.absolute_path)}: {_short(error.message)}"


def place(path: Any) -> str:
    """`items[3].price`; `the whole` for an empty path."""
    shown = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in path)
    return shown.lstrip(".")[:SHOWN_CHARS] or "the whole"


@cache
def validator() -> Any:
    """Draft 2020-12 with patterns that cannot run away."""
    return extend(Draft202012Validator, {"pattern": _pattern})


@cache
def _formats() -> FormatChecker:
    """Formats that say how a value is to be written; others are remarks."""
    return FormatChecker(formats=("date", "email", "ipv4", "ipv6"))


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not compiled(pattern).search(value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


@cache
def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 4 << 20
    return options


def compiled(pattern: str) -> Any:
    """Raises InvalidInputError for a pattern that the linear-time engine does not take."""
    if len(pattern) > MAX_PATTERN_CHARS:
        raise _refused(f"a pattern has {len(pattern)} characters, {MAX_PATTERN_CHARS} are allowed")
    try:
        return re2.compile(pattern, _options())
    except re2.error as error:
        raise _refused(
            f"pattern {_short(pattern)!r} is not known to the linear-time engine: see "
            "https://github.com/google/re2/wiki/Syntax"
        ) from error


def _parsed(given: Any) -> Schema:
    if isinstance(given, str):
        if len(given) > MAX_BYTES:
            raise _refused(f"it has {len(given)} characters, {MAX_BYTES} are allowed")
        try:
            given = orjson.loads(given)
        except orjson.JSONDecodeError as error:
            raise _refused(f"it is a text that is no JSON: {error.msg}") from error
    if not isinstance(given, Mapping):
        raise _refused("it must be a JSON object")
    return dict(given)


def _check_shape(schema: Schema) -> None:
    """Without recursion: whatever is nested too deep for Python's own is found here."""
    waiting: list[tuple[Any, int]] = [(schema, 1)]
    object_count = 0
    while waiting:
        value, depth = waiting.pop()
        object_count += isinstance(value, Mapping)
        if object_count > MAX_NODES:
            raise _refused(f"it has more than {MAX_NODES} parts")
        if depth > MAX_DEPTH:
            raise _refused(f"it is nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, Mapping):
            waiting.extend((each, depth + 1) for each in value.values())
        elif isinstance(value, list):
            waiting.extend((each, depth + 1) for each in value)
    try:
        size = len(orjson.dumps(schema))
    except (TypeError, ValueError) as error:
        raise _refused(f"it holds what JSON cannot carry: {_short(error)}") from error
    if size > MAX_BYTES:
        raise _refused(f"it has {size} bytes, {MAX_BYTES} are allowed")


class _Resolver:
    def __init__(self, root: Schema) -> None:
        self._root = root
        self._node_count = 0

    def resolve(self, schema: Any, refs: tuple[str, ...], depth: int) -> Any:
        self._node_count += 1
        if self._node_count > MAX_NODES:
            raise _refused(f"with its references in place it has more than {MAX_NODES} parts")
        if depth > MAX_DEPTH:
            raise _refused(f"with its references in place it is nested deeper than {MAX_DEPTH} levels")
        if not isinstance(schema, Mapping):
            return schema
        for key, remedy in REFUSED.items():
            if key in schema:
                raise _refused(f"'{key}' is not supported: {remedy}")
        if isinstance(schema.get("pattern"), str):
            compiled(schema["pattern"])
        plain = {key: self._part(key, value, refs, depth) for key, value in schema.items() if key not in DEFINITIONS}
        reference = plain.pop("$ref", None)
        return plain if reference is None else self._joined(reference, plain, refs, depth)

    def _part(self, key: str, value: Any, refs: tuple[str, ...], depth: int) -> Any:
        if key in BY_NAME and isinstance(value, Mapping):
            return {name: self.resolve(each, refs, depth + 1) for name, each in value.items()}
        if key in LISTED and isinstance(value, list):
            return [self.resolve(each, refs, depth + 1) for each in value]
        return self.resolve(value, refs, depth + 1) if key in SINGLE else value

    def _joined(self, reference: str, beside: Schema, refs: tuple[str, ...], depth: int) -> Schema:
        if reference in refs:
            raise _refused(f"'{_short(reference)}' refers to itself; write out as many levels as there are")
        target = self.resolve(self._target(reference), (*refs, reference), depth + 1)
        if not isinstance(target, Mapping):
            return {"allOf": [target], **beside}
        if set(beside) <= ANNOTATIONS:
            return {**target, **beside}
        return {**beside, "allOf": [target, *beside.get("allOf", [])]}

    def _target(self, reference: str) -> Any:
        if not reference.startswith("#"):
            raise _refused(f"$ref '{_short(reference)}': only places inside the schema (#/…) are followed")
        found: Any = self._root
        for part in unquote(reference[1:]).split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            elif isinstance(found, Mapping) and key in found:
                found = found[key]
            else:
                raise _refused(f"$ref '{_short(reference)}' leads nowhere")
        return found


def _refused(reason: str) -> InvalidInputError:
    return InvalidInputError(f"data_schema cannot be used: {reason}")


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"
