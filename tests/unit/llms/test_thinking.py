import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.llms.base import LLMRequest, Sampling
from rag.llms.thinking import ThinkSplitter, generation_limit


def split(pieces: list[str]) -> tuple[str, str]:
    splitter = ThinkSplitter()
    found = [*(splitter.feed(piece) for piece in pieces), splitter.flush()]
    return "".join(content for content, _ in found), "".join(thinking for _, thinking in found)


CASES = [
    ("<think>hm</think>\n\nYes.", ("Yes.", "hm")),
    ("\n<think>hm</think>Yes.", ("Yes.", "hm")),
    ("Yes.", ("Yes.", "")),
    ("", ("", "")),
    ("The tag <think> opens a thought.", ("The tag <think> opens a thought.", "")),
    ("<thin air>", ("<thin air>", "")),
    ("<think>never closed", ("", "never closed")),
    ("<think>a < b </thin </think>ok", ("ok", "a < b </thin ")),
    ("<thi", ("<thi", "")),
]


@pytest.mark.parametrize(("text", "parts"), CASES)
def test_a_leading_thought_is_split_off(text: str, parts: tuple[str, str]) -> None:
    assert split([text]) == parts


@pytest.mark.parametrize(("text", "parts"), CASES)
def test_it_does_not_matter_where_the_pieces_are_cut(text: str, parts: tuple[str, str]) -> None:
    assert split(list(text)) == parts


@given(st.lists(st.sampled_from(["<think>", "</think>", "<", "think", ">", "a", " ", "\n", "/"]), max_size=12))
def test_cutting_into_characters_changes_nothing(pieces: list[str]) -> None:
    assert split(list("".join(pieces))) == split(["".join(pieces)])


@pytest.mark.parametrize(
    ("think", "budget", "max_tokens", "limit"),
    [
        (False, None, None, None),
        (False, 500, 200, 200),
        (True, None, None, 1536),
        (True, 512, 200, 712),
        (True, None, 200, 1224),
        (True, 0, 200, 200),
    ],
)
def test_the_answer_and_the_thought_have_limits_of_their_own(
    think: bool, budget: int | None, max_tokens: int | None, limit: int | None
) -> None:
    request = LLMRequest((), Sampling(max_tokens=max_tokens), think=think, thinking_budget=budget)
    assert generation_limit(request) == limit
