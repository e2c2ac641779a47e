"""Wordings of a question, made by rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.retrievers.multi_query import variants


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is the boundary layer?", ["What is the boundary layer?", "boundary layer"]),
        ("wing", ["wing"]),
        (
            "Can you tell me what drag and lift do to a wing?",
            ["Can you tell me what drag and lift do to a wing?", "drag and lift do to a wing", "tell drag lift wing"],
        ),
    ],
)
def test_wordings(text: str, expected: list[str]) -> None:
    assert variants(text, 3) == expected


@given(st.text(max_size=80), st.integers(1, 10))
def test_there_is_always_one_and_never_too_many(text: str, number: int) -> None:
    found = variants(text, number)
    assert 1 <= len(found) <= number
    assert len({each.lower() for each in found}) == len(found)
    assert found[0].strip() == text.strip()
