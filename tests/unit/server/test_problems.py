"""What is told of a malformed request: in the words of whoever sent it, never in those of the program."""

from datetime import datetime
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, StrictBool, StrictInt, ValidationError, field_validator

from server.problems import sentence, shown, told


class Bound(BaseModel):
    operator: Literal["gt", "lt"]
    value: float


class Part(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=5)]

    @field_validator("name")
    @classmethod
    def _is_not_bad(cls, name: str) -> str:
        if name == "bad":
            raise ValueError("a bad name: choose another")
        return name


class Request(BaseModel):
    metadata: dict[str, StrictBool | StrictInt | str | list[str] | None] | None = None
    data_schema: dict[str, Any] | Annotated[str, Field(max_length=10)] | None = None
    filters: dict[str, Bound | list[Bound]] | None = None
    parts: list[Part] | None = Field(None, max_length=2)
    part: Part | None = None
    count: int | None = Field(None, ge=1, le=1000)
    moment: datetime | None = None


def message(sent: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        Request.model_validate(sent)
    problems = [{**each, "loc": ("body", *each["loc"])} for each in caught.value.errors()]
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in told(problems, sent))


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (
            {"metadata": {"a": {"b": 1}}},
            "body.metadata.a: expected true or false, a whole number, a text or a list, got an object",
        ),
        ({"metadata": {"a": ["x", 1]}}, "body.metadata.a.1: expected a text, got 1"),
        ({"metadata": {"str": {"x": 1}}}, "body.metadata.str: expected"),
        ({"data_schema": 5}, "body.data_schema: expected an object or a text, got 5"),
        ({"data_schema": "x" * 11}, "body.data_schema: expected at most 10 characters, got 'xxxxxxxxxxx'"),
        ({"filters": {"a": {"operator": "x", "value": 1}}}, "body.filters.a.operator: expected 'gt' or 'lt', got 'x'"),
        ({"filters": {"year": {"operator": "gt"}}}, "body.filters.year.value: Field required"),
        ({"filters": {"a": [{"operator": "gt", "value": "x"}]}}, "body.filters.a.0.value: expected a number, got 'x'"),
        ({"filters": {"year": 5}}, "body.filters.year: expected an object or a list, got 5"),
        ({"parts": [{"name": ""}]}, "body.parts.0.name: expected at least 1 character, got ''"),
        ({"parts": [{}, {}, {}]}, "body.parts: expected at most 2 items, got a list of 3"),
        ({"part": {"name": "bad"}}, "body.part.name: a bad name: choose another"),
        ({"part": []}, "body.part: expected an object, got a list of 0"),
        ({"count": "x"}, "body.count: expected a whole number, got 'x'"),
        ({"count": 1.5}, "body.count: expected a whole number, got 1.5"),
        ({"count": 0}, "body.count: expected at least 1, got 0"),
        ({"count": 10**30}, "body.count: expected at most 1000, got 100000000000000000000000000000… (31 digits)"),
        ({"moment": "soon"}, "body.moment: expected a date and time such as 2026-01-31T12:00:00Z, got 'soon'"),
    ],
    ids=lambda value: None if isinstance(value, str) else str(value)[:40],
)  # fmt: skip
def test_a_problem_names_field_value_and_what_is_expected(sent: dict[str, Any], expected: str) -> None:
    found = message(sent)
    assert found.startswith(expected)
    assert ";" not in found
    assert not any(word in found for word in ("Bound", "Part", "Input should", "dict[", "list[", "Value error"))


def test_names_of_queries_and_places_in_their_lists_stay() -> None:
    problem = {"loc": ("query", "types", 1), "type": "int_parsing", "msg": "", "input": "x"}
    assert told([problem], None)[0]["loc"] == ("query", "types", 1)


def test_what_is_checked_outside_of_a_request_is_told_alike() -> None:
    with pytest.raises(ValidationError) as caught:
        Request.model_validate({"count": "x", "part": {}})
    assert sentence(caught.value, {"count": "x", "part": {}}, "job_config") == "job_config.part.name: Field required"


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "null"), (True, "true"), (2.0, "2"), (1234567, "1234567"), ("a" * 61, f"'{'a' * 60}…' (61 characters)")],
)
def test_values_are_shown_in_few_words(value: object, words: str) -> None:
    assert shown(value) == words
