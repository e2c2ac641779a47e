"""What a model is asked for: the same fields, each of which may be null.

A schema that requires a field makes a model invent one. So every field is there and may be empty, and what the schema
requires is held against what was found (run.py).
"""

from collections.abc import Mapping
from typing import Any

from rag.extraction.schemas import Schema

SHAPE = frozenset({"type", "title", "description", "enum", "const", "format"})
"""Keywords that servers which write by a schema know."""
CONSTRAINTS = frozenset(
    {"pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"}
)
"""Of single values: held against each answer, so that the model can mend it."""


def answer_schema(schema: Schema) -> Schema:
    """What the answer is written by."""
    return _relaxed(schema, SHAPE, is_required=True)


def checked_schema(schema: Schema) -> Schema:
    """What the answer is held against."""
    return _relaxed(schema, SHAPE | CONSTRAINTS, is_required=False)


def branches(schema: Any) -> list[Schema]:
    """A schema and everything that it joins or offers to choose from."""
    if not isinstance(schema, Mapping):
        return []
    found = [dict(schema)]
    for key in ("allOf", "anyOf", "oneOf"):
        for each in schema.get(key) or ():
            found += branches(each)
    return found


def property_schema(schema: Any, name: str) -> Schema:
    for branch in branches(schema):
        known = branch.get("properties") or {}
        if name in known:
            return known[name] if isinstance(known[name], dict) else {}
    extra = [branch["additionalProperties"] for branch in branches(schema) if branch.get("additionalProperties")]
    return next((each for each in extra if isinstance(each, dict)), {})


def item_schema(schema: Any) -> Schema:
    return next((branch["items"] for branch in branches(schema) if isinstance(branch.get("items"), dict)), {})


def takes_null(schema: Any) -> bool:
    if schema is True or schema == {}:
        return True
    return any(
        "null" in ([kind] if isinstance(kind := branch.get("type"), str) else kind or ())
        or None in (branch.get("enum") or ())
        for branch in branches(schema)
    )


def without_unknown(value: Any, schema: Any) -> Any:
    """A value without the properties that its schema does not name, where it names any."""
    if isinstance(value, list):
        items = item_schema(schema)
        return [without_unknown(each, items) for each in value]
    if not isinstance(value, Mapping):
        return value
    known = {name for branch in branches(schema) for name in branch.get("properties") or ()}
    is_open = not known or any(isinstance(each.get("additionalProperties"), dict) for each in branches(schema))
    return {
        name: without_unknown(each, property_schema(schema, name))
        for name, each in value.items()
        if is_open or name in known
    }


def _relaxed(schema: Any, kept: frozenset[str], *, is_required: bool) -> Schema:
    if not isinstance(schema, Mapping):
        return {}
    result = {key: value for key, value in schema.items() if key in kept}
    for each in schema.get("allOf") or ():
        joined = _relaxed(each, kept, is_required=is_required)
        result = {**joined, **result, **_both(joined, result)}
    choices = [*(schema.get("anyOf") or ()), *(schema.get("oneOf") or ())]
    if choices:
        result["anyOf"] = [_relaxed(each, kept, is_required=is_required) for each in choices]
    if isinstance(schema.get("properties"), Mapping):
        own = {
            name: nullable(_relaxed(each, kept, is_required=is_required)) for name, each in schema["properties"].items()
        }
        result["properties"] = {**result.get("properties", {}), **own}
        result["additionalProperties"] = False
    if isinstance(schema.get("additionalProperties"), Mapping):
        result["additionalProperties"] = nullable(
            _relaxed(schema["additionalProperties"], kept, is_required=is_required)
        )
    if isinstance(schema.get("items"), Mapping):
        result["items"] = _relaxed(schema["items"], kept, is_required=is_required)
    if is_required and "properties" in result:
        result["required"] = list(result["properties"])
    return result


def _both(one: Schema, other: Schema) -> Schema:
    joined = {**one.get("properties", {}), **other.get("properties", {})}
    return {"properties": joined} if joined else {}


def nullable(schema: Schema) -> Schema:
    """The same, or null."""
    if not ({"type", "enum", "const", "anyOf"} & set(schema)):
        return schema
    if "const" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    result = dict(schema)
    if "anyOf" in result:
        result["anyOf"] = [*result["anyOf"], {"type": "null"}]
    if "enum" in result:
        result["enum"] = [*result["enum"], *([] if None in result["enum"] else [None])]
    kind = result.get("type")
    if kind is not None:
        kinds = [kind] if isinstance(kind, str) else list(kind)
        result["type"] = kinds if "null" in kinds else [*kinds, "null"]
    return result
