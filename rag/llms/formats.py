"""What shape an answer is to have, out of OpenAI's `response_format`."""

from collections.abc import Mapping
from typing import Any, Literal

from rag.errors import BadRequestError


def wanted_format(response_format: Mapping[str, Any] | None) -> Literal["json"] | dict[str, Any] | None:
    """`json` for any JSON, a schema for exactly that, None for text.

    Raises:
        BadRequestError: it is none of OpenAI's three forms.
    """
    kind = (response_format or {}).get("type", "text")
    if response_format is None or kind == "text":
        return None
    if kind == "json_object":
        return "json"
    described = response_format.get("json_schema")
    schema = described.get("schema") if isinstance(described, Mapping) else None
    if kind == "json_schema" and isinstance(schema, Mapping):
        return dict(schema)
    raise BadRequestError(
        "response_format must be {type: text}, {type: json_object} or {type: json_schema, json_schema: {schema: …}}"
    )
