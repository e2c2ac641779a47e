from typing import Any

import ollama
import pytest

from rag.llms.ollama_wire import ollama_tools


def tool(**parameters: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "description": "F.", "parameters": parameters}}


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"type": ["object", "null"], "properties": {"a": True, "b": {"type": 3, "enum": "x", "description": None}}},
        {"properties": [], "required": "a"},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}}},
        {"anyOf": [{"type": "object"}], "required": [1]},
    ],
    ids=["empty", "wrong-types", "wrong-shapes", "references", "any-of"],
)
def test_ollamas_client_accepts_every_schema(parameters: dict[str, Any]) -> None:
    (converted,) = ollama_tools([tool(**parameters)])
    assert ollama.Tool.model_validate(converted).function is not None


def test_what_the_client_would_drop_is_said_in_words() -> None:
    count = {"type": "integer", "title": "Count", "minimum": 1, "description": "How many."}
    kind = {"type": "string", "title": "Kind", "enum": ["heron"]}
    (converted,) = ollama_tools([tool(type="object", properties={"count": count, "kind": kind}, required=["kind"])])

    assert converted["function"]["parameters"] == {
        "type": "object",
        "properties": {
            "count": {
                "type": "integer",
                "description": 'How many. JSON schema: {"type": "integer", "minimum": 1, "description": "How many."}',
            },
            "kind": {"type": "string", "enum": ["heron"]},
        },
        "required": ["kind"],
    }
