"""Where sentences end, and where a stop does not end one."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.chunkers.sentences import sentence_spans


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Smith left. He was late.", ["Dr. Smith left.", "He was late."]),
        ("See Nos. 4 and 5. They fit.", ["See Nos. 4 and 5.", "They fit."]),
        ("The answer is no. Ask again.", ["The answer is no.", "Ask again."]),
        ("Under 21 CFR 208.24(d) a guide is due. See it.", ["Under 21 CFR 208.24(d) a guide is due.", "See it."]),
        ("The U.S. Army came. Later it left.", ["The U.S. Army came.", "Later it left."]),
        ("He lives in the U.S. The house is big.", ["He lives in the U.S.", "The house is big."]),
        ("J. R. Smith wrote it. I read it.", ["J. R. Smith wrote it.", "I read it."]),
        ("It was I. Then he left.", ["It was I.", "Then he left."]),
        ("Apples, pears, etc. are fruit. So are figs.", ["Apples, pears, etc. are fruit.", "So are figs."]),
        ("Pi is 3.14. Not 3.2.", ["Pi is 3.14.", "Not 3.2."]),
        ("Wait... what? Yes… No.", ["Wait... what?", "Yes…", "No."]),
        ('"Really?" he said. "Yes." She left.', ['"Really?" he said.', '"Yes."', "She left."]),
        ("今天很好。我们走吧！真的？好", ["今天很好。", "我们走吧！", "真的？", "好"]),
        ("他说「好。」然后走了。", ["他说「好。」", "然后走了。"]),
        ("A title\n\nThe text goes\non here.", ["A title", "The text goes\non here."]),
        ("Needed:\n- a hammer\n- a nail\n1. Go\n2. Come", ["Needed:", "- a hammer", "- a nail", "1. Go", "2. Come"]),
        ("In 2019. The year after.", ["In 2019.", "The year after."]),
        ("| a | b |\n| 1 | 2 |", ["| a | b |", "| 1 | 2 |"]),
        ("file.name and www.example.org are one", ["file.name and www.example.org are one"]),
        ("all in lower case . as here", ["all in lower case .", "as here"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text(alphabet=st.sampled_from(" \n\r\tab.A!?…。\"')-1"), max_size=200))
def test_spans_are_in_order_and_leave_out_only_white_space(text: str) -> None:
    reached = 0
    for start, end in sentence_spans(text):
        assert not text[reached:start].strip()
        assert text[start:end] == text[start:end].strip() != ""
        reached = end
    assert not text[reached:].strip()


@pytest.mark.parametrize(
    "text",
    [
        "." * 300_000 + "a",
        "\n" * 300_000 + "a",
        " " * 300_000 + ".a",
        "a. " * 60_000,
        "5. " * 60_000,
        "x" * 300_000,
        '."' * 150_000,
    ],
    ids=["dots", "line breaks", "blanks", "initials", "numbers", "one word", "quotes"],
)
def test_time_is_linear_for_hostile_text(text: str) -> None:
    began = time.perf_counter()
    sentence_spans(text)
    assert time.perf_counter() - began < 3.0  # quadratic work takes minutes at this size
