"""Patterns in texts of any script, against Python's own engine."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from rag.errors import InvalidInputError
from server.llamacloud.services.grepping import Pattern, Position, is_position, position_at
from server.llamacloud.services.texts import ParsedText

TEXTS = some.text(alphabet="abA1 \n.äß€🐦", max_size=60)
PATTERNS = some.sampled_from(
    ["a", "a+", "a*", "ä|🐦", "[^a]", ".", ".+$", "^", "$", "^.", "\n", "(a)(b)?", "[äß]{2}", "€*", "(?i)A", "(?s)a.*b"]
)


def expected(pattern: str, text: str) -> list[tuple[int, int]]:
    """Without empty matches right behind another one, which RE2 does not look for."""
    found = [match.span() for match in re.finditer(pattern, text, re.MULTILINE)]
    ends = {end for start, end in found if start < end}
    return [(start, end) for start, end in found if start < end or start not in ends]


@given(PATTERNS, TEXTS)
@settings(max_examples=500, deadline=None)
def test_matches_are_counted_in_characters(pattern: str, text: str) -> None:
    parsed = ParsedText(text, ("a", 0, 0))
    found = [(each.start, each.end) for each in Pattern(pattern).matches(parsed, Position())]
    assert found == expected(pattern, text)


@given(PATTERNS, TEXTS)
@settings(max_examples=200, deadline=None)
def test_going_on_behind_any_match_gives_the_rest(pattern: str, text: str) -> None:
    parsed, compiled = ParsedText(text, ("a", 0, 0)), Pattern(pattern)
    everything = list(compiled.matches(parsed, Position()))
    for number, each in enumerate(everything[:-1], 1):
        assert is_position(parsed, each.next_byte)
        start = position_at(parsed, each.next_byte)
        assert list(compiled.matches(parsed, start, goes_on=not each.is_empty)) == everything[number:]


@pytest.mark.parametrize("pattern", ["(", "\\", "a**", "(?<=a)b", "\\1", "", "a" * 2_000, "(((a{99}){99}){99}){99}"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidInputError, match="pattern"):
        Pattern(pattern)
