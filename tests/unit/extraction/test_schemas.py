"""JSON Schemas of strangers: what is taken, and what is refused before it can do harm."""

import time
from typing import Any

import pytest

from rag.errors import InvalidInputError
from rag.extraction.relaxed import answer_schema, checked_schema, takes_null, without_unknown
from rag.extraction.schemas import problems, read_schema, resolved

ADDRESS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = an_object(inner=schema)
    return schema


def billion_laughs() -> dict[str, Any]:
    definitions: dict[str, Any] = {"d0": {"type": "string"}}
    for level in range(1, 12):
        definitions[f"d{level}"] = an_object(**{f"p{n}": {"$ref": f"#/$defs/d{level - 1}"} for n in range(10)})
    return {**an_object(all={"$ref": "#/$defs/d11"}), "$defs": definitions}


def test_references_inside_the_schema_are_put_in_place() -> None:
    schema = {**an_object(home={"$ref": "#/$defs/Address", "description": "Where"}), "$defs": {"Address": ADDRESS}}
    found = resolved(read_schema(schema))
    assert found == {**an_object(home={**ADDRESS, "description": "Where"})}


def test_a_schema_may_be_json_text() -> None:
    assert read_schema('{"type": "object", "properties": {}}') == {"type": "object", "properties": {}}


REFUSED = {
    "no JSON": ("{", "no JSON"),
    "a list": ([], "must be a JSON object"),
    "of a text": ({"type": "string"}, "must describe an object"),
    "of anything": ({}, "must describe an object"),
    "an unknown type": (an_object(a={"type": "text"}), "is not valid under any"),
    "properties that are a list": ({"type": "object", "properties": []}, "properties"),
    "too deep": (nested(50), "nested deeper than 40"),
    "deep JSON text": ('{"a":' * 3_000 + "1" + "}" * 3_000, "JSON|deeper"),
    "too large": (an_object(a={"type": "string", "description": "x" * 200_000}), "bytes, 100000 are allowed"),
    "a reference to itself": (an_object(a={"$ref": "#"}), "refers to itself"),
    "two references in a ring": (
        {**an_object(a={"$ref": "#/$defs/b"}), "$defs": {"b": {"$ref": "#/$defs/c"}, "c": {"$ref": "#/$defs/b"}}},
        "refers to itself",
    ),
    "a reference that grows": (billion_laughs(), "more than 2000 parts"),
    "many parts": (an_object(**{f"p{n}": {} for n in range(2_500)}), "more than 2000 parts"),
    "a remote reference": (an_object(a={"$ref": "http://169.254.169.254/latest"}), "only places inside the schema"),
    "a file reference": (an_object(a={"$ref": "file:///etc/passwd"}), "only places inside the schema"),
    "a reference to nowhere": (an_object(a={"$ref": "#/$defs/b"}), "leads nowhere"),
    "a bad pattern": (an_object(a={"type": "string", "pattern": "("}), "linear-time engine"),
    "a pattern that looks back": (an_object(a={"type": "string", "pattern": r"(a)\1"}), "linear-time engine"),
    "a huge pattern": (an_object(a={"type": "string", "pattern": "((a{1000}){1000}){1000}"}), "linear-time engine"),
    "patterns of names": ({**an_object(), "patternProperties": {"(a+)+$": {}}}, "'patternProperties' is not supported"),
    "dynamic references": (an_object(a={"$dynamicRef": "#x"}), "'\\$dynamicRef' is not supported"),
}


@pytest.mark.parametrize(("schema", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_schema_is_refused_at_once_with_a_reason(schema: Any, reason: str) -> None:
    started = time.monotonic()
    with pytest.raises(InvalidInputError, match=reason):
        read_schema(schema)
    assert time.monotonic() - started < 2


def test_a_pattern_that_would_run_away_in_other_engines_is_harmless() -> None:
    schema = read_schema(an_object(a={"type": "string", "pattern": "^(a+)+$"}))
    started = time.monotonic()
    assert problems(schema, {"a": "a" * 50_000 + "!"})
    assert time.monotonic() - started < 1


def test_problems_name_the_place() -> None:
    schema = an_object(items={"type": "array", "items": an_object(price={"type": "number", "minimum": 0})})
    assert problems(schema, {"items": [{"price": 1}, {"price": -1}]}) == [
        "items[1].price: -1 is less than the minimum of 0"
    ]


def test_days_have_to_be_written_as_such() -> None:
    schema = an_object(day={"type": "string", "format": "date"})
    assert problems(schema, {"day": "31 March 2024"})
    assert not problems(schema, {"day": "2024-03-31"})


def test_the_model_may_leave_every_field_empty_but_has_to_name_it() -> None:
    schema = resolved(
        {
            **an_object(
                total={"type": "number", "minimum": 0},
                kind={"enum": ["a", "b"]},
                home={"anyOf": [ADDRESS, {"type": "null"}]},
                lines={"type": "array", "items": ADDRESS, "minItems": 3},
            ),
            "required": ["total"],
        }
    )
    asked = answer_schema(schema)
    assert asked["required"] == ["total", "kind", "home", "lines"]
    assert asked["properties"]["total"] == {"type": ["number", "null"]}
    assert asked["properties"]["kind"] == {"enum": ["a", "b", None]}
    assert "minItems" not in asked["properties"]["lines"]
    assert not problems(asked, {"total": None, "kind": None, "home": {"city": None}, "lines": []})
    assert problems(checked_schema(schema), {"total": -1})
    assert not problems(checked_schema(schema), {})


def test_joined_schemas_give_all_their_fields() -> None:
    schema = resolved({"type": "object", "allOf": [an_object(a={"type": "string"}), an_object(b={"type": "string"})]})
    assert set(answer_schema(schema)["properties"]) == {"a", "b"}


def test_what_the_schema_does_not_name_is_taken_away() -> None:
    schema = an_object(a={"type": "string"}, more={"type": "object"})
    assert without_unknown({"a": "x", "b": "y", "more": {"c": 1}}, schema) == {"a": "x", "more": {"c": 1}}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [({"type": "string"}, False), ({"type": ["string", "null"]}, True), ({"anyOf": [{"type": "null"}]}, True)],
)
def test_null_is_known_where_it_may_be(schema: dict[str, Any], *, expected: bool) -> None:
    assert takes_null(schema) is expected
