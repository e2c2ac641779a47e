"""A JSON schema for documents of a kind, out of a wish in words, an example or both."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from rag.asking import clean_text, json_object
from rag.errors import InvalidInputError
from rag.extraction.prompts import INFER, MAX_EXAMPLE_CHARS
from rag.extraction.run import Ask
from rag.extraction.schemas import Schema, read_schema

MAX_FIELDS = 30
MAX_WISH_CHARS = 4_000
_TYPES = ("string", "number", "integer", "boolean", "date", "object")
_NAME = re.compile(r"[^a-z0-9]+")


def _field_schema(levels: int) -> Schema:
    properties: Schema = {
        "name": {"type": "string"},
        "description": {"type": "string"},
        "type": {"type": "string", "enum": list(_TYPES)},
        "is_list": {"type": "boolean"},
    }
    required = list(properties)
    if levels:
        properties["fields"] = {"type": "array", "items": _field_schema(levels - 1)}
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


ANSWER_SCHEMA: Schema = {
    "type": "object",
    "properties": {"fields": {"type": "array", "items": _field_schema(1)}},
    "required": ["fields"],
    "additionalProperties": False,
}


def infer_schema(ask: Ask, *, wish: str | None = None, draft: Schema | None = None, text: str | None = None) -> Schema:
    """Of an object none of whose fields is required: documents differ, and what is required is never guessed.

    Args:
        draft: its fields stay as they are; others are added.

    Raises:
        InvalidInputError: nothing to go by, or the model named no field.
        UpstreamError: the model's server failed.
    """
    if not (wish or draft or text):
        raise InvalidInputError("give a prompt, a file or a data_schema that a schema can be made from")
    data = {
        "wish": (wish or "")[:MAX_WISH_CHARS],
        "schema": draft,
        "text": None if text is None else text[:MAX_EXAMPLE_CHARS],
    }
    given = {key: value for key, value in data.items() if value}
    answer = json_object(ask(INFER, orjson.dumps(given).decode(), ANSWER_SCHEMA), "the model")
    properties = _properties(answer.get("fields"))
    own = dict(draft or {})
    if not properties and not own:
        raise InvalidInputError("the model named no field: say in the prompt what is to be read out of the documents")
    kept = own.get("properties") or {}
    return read_schema({**own, "type": "object", "properties": {**properties, **kept}})


def _properties(fields: Any) -> Schema:
    found: Schema = {}
    for each in fields[:MAX_FIELDS] if isinstance(fields, Sequence) and not isinstance(fields, str) else ():
        if not isinstance(each, Mapping):
            continue
        name = _NAME.sub("_", clean_text(each.get("name"), 60).lower()).strip("_")
        if name and name not in found:
            found[name] = _field(each)
    return found


def _field(each: Mapping[str, Any]) -> Schema:
    kind = each.get("type") if each.get("type") in _TYPES else "string"
    described = {"description": text} if (text := clean_text(each.get("description"), 300)) else {}
    one: Schema
    if kind == "date":
        one = {"type": "string", "format": "date"}
    elif kind == "object" and (inner := _properties(each.get("fields"))):
        one = {"type": "object", "properties": inner}
    else:
        one = {"type": "string" if kind == "object" else kind}
    return {"type": "array", "items": one, **described} if each.get("is_list") is True else {**one, **described}
