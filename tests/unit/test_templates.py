import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import BadRequestError
from rag.templates import Filler


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("Hello {{name}}!", "Hello Ada!"),
        ("Hello {{ name }}!", "Hello Ada!"),
        ("{{name|Bob}} {{ other | some one }}", "Ada some one"),
        ("{{other | }}.", "."),
        ("{{count}} {{share}} {{yes}}", "3 0.5 true"),
        ("{{gone | none}}", "none"),
        ("{name} {{}} {{ 1x }} {{a b}} {% name %}", "{name} {{}} {{ 1x }} {{a b}} {% name %}"),
        ("{{sly}}", "{{name}}"),
    ],
)
def test_references_are_filled_in_and_nothing_else_is(text: str, filled: str) -> None:
    variables = {"name": "Ada", "count": 3, "share": 0.5, "yes": True, "gone": None, "sly": "{{name}}"}
    assert Filler(variables).fill(text) == filled


def test_texts_are_found_however_deep_they_stand() -> None:
    tool = {"name": "f_{{a}}", "parameters": {"enum": ["{{a}}", 1, None], "n": True}}
    assert Filler({"a": "x"}).fill(tool) == {"name": "f_x", "parameters": {"enum": ["x", 1, None], "n": True}}


@pytest.mark.parametrize("variables", [None, {"b": 1}, {"a": None}])
def test_a_variable_that_is_missing_is_named(variables: dict[str, int | None] | None) -> None:
    with pytest.raises(BadRequestError, match=r"^Template resolution failed: the variable 'a' is missing"):
        Filler(variables).fill("{{a}}")


def test_a_long_variable_that_is_named_often_is_refused() -> None:
    with pytest.raises(BadRequestError, match="more than 2000000 characters"):
        Filler({"a": "x" * 100_000}).fill("{{a}}" * 10_000)


@pytest.mark.parametrize("text", ["{{" * 200_000, "{{a" + " " * 200_000, "{{ a |" * 100_000, "{{a|" + "x" * 300_000])
def test_a_text_full_of_braces_takes_no_time(text: str) -> None:
    started_at = time.process_time()
    assert Filler({"a": 1}).fill(text) == text
    assert time.process_time() - started_at < 1


@given(st.text(max_size=200))
def test_a_value_is_never_read_as_a_template(value: str) -> None:
    assert Filler({"a": value}).fill("<{{a}}>") == f"<{value}>"
