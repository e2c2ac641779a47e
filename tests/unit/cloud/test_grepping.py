"""Patterns in texts of any script, against Python's own engine."""

import random
import re
import time
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from rag.errors import InvalidInputError, SlowPatternError
from server.llamacloud.services import grepping
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


@given(
    some.sampled_from(
        [r"a{1,3}", r"\ba.?\b", "(a|ab){0,2}$", "^.{0,4}1", "ä?b{2}|€$", "(?s)a.{0,5}b", "a??|ab", r"\B.?"]
    ),
    TEXTS,
)
@settings(max_examples=500, deadline=None)
def test_windows_change_no_match(pattern: str, text: str) -> None:
    parsed, compiled = ParsedText(text, ("a", 0, 0)), Pattern(pattern)
    whole = list(compiled.matches(parsed, Position()))
    with patch.object(grepping, "WINDOW_BYTES", 3):
        assert list(compiled.matches(parsed, Position())) == whole


SLOW = "(([ab]{0,30}){0,30}){0,1}!"


def test_a_search_stops_soon_after_its_time() -> None:
    parsed = ParsedText("a" * 3_000_000 + "!", ("a", 0, 0))
    started = time.monotonic()
    with patch.object(grepping, "WINDOW_BYTES", 1_000), pytest.raises(SlowPatternError, match="takes too long"):
        next(Pattern(SLOW).matches(parsed, Position(), ends_at=started + 0.2))
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("text", ["(([ab]{0,30}){0,30})*!", ".*a" + "." * 800 + ".*!"])
def test_a_slow_pattern_that_cannot_be_stopped_is_refused_on_a_long_text_only(text: str) -> None:
    pattern, started = Pattern(text), time.monotonic()
    allowed = patch.object(grepping, "MAX_UNSTOPPABLE_S", 0.2)  # a quick machine may search all of it within the usual
    with allowed, pytest.raises(SlowPatternError, match="long chains of wildcards"):
        next(pattern.matches(ParsedText("a" * 5_000_000, ("a", 0, 0)), Position()))
    assert time.monotonic() - started < 10
    assert next(pattern.matches(ParsedText("a" * 1_000 + "!", ("b", 0, 0)), Position())).end == 1_001


def test_how_long_a_search_would_take_is_told_by_samples_of_the_whole_text() -> None:
    plain = "words and words " * 100_000
    pattern, text = (
        Pattern("(a|b)*a" + "(a|b)" * 150 + "!"),
        plain + "".join(random.Random(1).choices("ab", k=3_000_000)),
    )
    with pytest.raises(SlowPatternError):
        list(pattern.matches(ParsedText(text, ("a", 0, 0)), Position(), ends_at=time.monotonic() + 1.5))
    assert list(pattern.matches(ParsedText(plain, ("a", 0, 0)), Position(), ends_at=time.monotonic() + 1.5)) == []


@pytest.mark.parametrize(
    "pattern",
    [r"\d{4}-\d{2}\s+x", "word.*", r"(?s).*\p{L}+\d.*!$", "(?i)(ab|cd){1,20}\\s*$", ".{0,500}!", r"a.{0,300}b"],
)
def test_plain_patterns_are_looked_for_in_long_texts(pattern: str) -> None:
    parsed = ParsedText("a" * 3_000_000, ("a", 0, 0))
    assert list(Pattern(pattern).matches(parsed, Position(), ends_at=time.monotonic() + 20)) == []
