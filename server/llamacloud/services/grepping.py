"""Patterns in a parsed text: RE2, whose time grows with the lengths of the text and of the compiled pattern alone."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from rag.errors import InvalidInputError, SlowPatternError
from server.llamacloud.services.texts import ParsedText

MAX_PATTERN_CHARS = 1_000
MAX_PATTERN_BYTES = 4 << 20
"""Of memory that a compiled pattern may take: one that needs more is refused."""
WINDOW_BYTES = 32 << 10
"""A search can be stopped only between two of them. The slowest pattern takes a second or two for one."""
MAX_REACH_BYTES = 64 << 10
MAX_UNSTOPPABLE_S = 10.0
"""A search that needs the rest of the text at once is begun only if it ends sooner, as samples of the text tell."""
SAMPLES = 16
_READ_OTHERWISE = ("{,", "[:", "[[", "--", "&&", "~~", "||")
"""What Python's parser understands in another way than RE2, or warns of."""


@dataclass(frozen=True, slots=True)
class Match:
    """Characters `start` up to but excluding `end`, which may be equal; the next is looked for from `next_byte` on."""

    start: int
    end: int
    next_byte: int

    @property
    def is_empty(self) -> bool:
        return self.start == self.end


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a text, in characters and in bytes of its UTF-8; or its beginning."""

    char: int = 0
    byte: int = 0


class Pattern:
    """`^` and `$` match at each line. Raises InvalidInputError for what is no pattern, or too much of one."""

    def __init__(self, text: str) -> None:
        import re2  # type: ignore[import-untyped]  # it has none; imported here, as what is not used costs nothing

        if not text or len(text) > MAX_PATTERN_CHARS:
            raise InvalidInputError(f"pattern: expected 1 to {MAX_PATTERN_CHARS} characters, got {len(text)}")
        options = re2.Options()
        options.max_mem = MAX_PATTERN_BYTES
        options.log_errors = False
        self._text = text
        try:
            self._compiled = re2.compile(f"(?m){text}", options)
        except re2.error as error:
            said = error.args[0] if error.args else ""
            reason = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
            raise InvalidInputError(f"pattern {text[:100]!r} is not a regular expression of RE2: {reason}") from error
        except UnicodeEncodeError as error:
            raise InvalidInputError("pattern: it holds half of a surrogate pair and is not valid Unicode") from error
        self._reach = _reach(text)

    def matches(
        self, parsed: ParsedText, start: Position, *, goes_on: bool = False, ends_at: float = float("inf")
    ) -> Iterator[Match]:
        """In order, without overlap. Empty ones count, except right behind another one.

        Args:
            goes_on: another match, which was not empty, ends at `start`.
            ends_at: when to give up, by `time.monotonic`.

        Raises:
            SlowPatternError: it takes longer than that, or would.
        """
        data, is_ascii, here = parsed.encoded, parsed.is_ascii, start
        last_end = start.byte if goes_on else -1
        position = start.byte
        self._require_quick(data, position, ends_at)
        while (found := self._next(data, position, ends_at)) is not None:
            first, end = found.span()
            follows = end if first < end else _next_character(data, end)
            if first == end and (first == last_end or not _is_boundary(data, first)):
                if follows > len(data):
                    return
                position = follows
                continue
            begins = _position(data, here, first, is_ascii=is_ascii)
            here = _position(data, begins, end, is_ascii=is_ascii)
            last_end = end
            yield Match(begins.char, here.char, follows)
            if follows > len(data):
                return
            position = follows

    def _next(self, data: bytes, position: int, ends_at: float) -> Any:
        """The first match from there on. What cannot reach far is looked for in windows, which overlap by its reach."""
        while True:
            if time.monotonic() > ends_at:
                raise self._too_slow()
            if self._reach is None:
                return self._compiled.search(data, position)
            limit = min(position + WINDOW_BYTES + self._reach, len(data))
            found = self._compiled.search(data, position, limit)
            if limit == len(data) or (found is not None and found.start() < position + WINDOW_BYTES):
                return found
            position += WINDOW_BYTES

    def _require_quick(self, data: bytes, position: int, ends_at: float) -> None:
        """Try what cannot be stopped on samples first: its time grows with the length of the text."""
        size = len(data) - position
        if self._reach is not None or size <= SAMPLES * WINDOW_BYTES:
            return
        started_at = time.monotonic()
        for count in range(1, SAMPLES + 1):
            at = position + (count - 1) * size // SAMPLES
            self._compiled.search(data, at, at + WINDOW_BYTES)
            now = time.monotonic()
            expected_s = (now - started_at) * size / (count * WINDOW_BYTES)
            # A single sample does not decide: it may have been held up by something else.
            if count >= SAMPLES // 4 and expected_s > min(MAX_UNSTOPPABLE_S, ends_at - now):
                raise self._too_slow()

    def _too_slow(self) -> SlowPatternError:
        return slow_pattern(self._text)


def slow_pattern(text: str) -> SlowPatternError:
    return SlowPatternError(
        f"pattern {text[:100]!r} takes too long on this file; leave out nested or large counted repetitions such as "
        "(a{0,30}){0,30} and long chains of wildcards, or look for plainer words"
    )


def _reach(text: str) -> int | None:
    """Of bytes that decide on a match, from its beginning on; None where there is no bound, or none that is small."""
    if any(each in text for each in _READ_OTHERWISE):
        return None
    try:
        chars = import_module("re._parser").parse(text).getwidth()[1]
    except (re.error, OverflowError, RecursionError):
        return None
    # At most four bytes for a character, and the one behind, which `$` and `\b` look at.
    reach = 4 * (int(chars) + 1)
    return reach if reach <= MAX_REACH_BYTES else None


def is_position(parsed: ParsedText, byte: int) -> bool:
    """Whether a character begins there, or the text ends."""
    return 0 <= byte <= len(parsed.encoded) and _is_boundary(parsed.encoded, byte)


def position_at(parsed: ParsedText, byte: int) -> Position:
    return _position(parsed.encoded, Position(), byte, is_ascii=parsed.is_ascii)


def _position(data: bytes, known: Position, byte: int, *, is_ascii: bool) -> Position:
    """Counts on from a place before it: over all matches of a text, each byte is looked at once."""
    if is_ascii:
        return Position(byte, byte)
    if byte == known.byte:
        return known
    # Bytes that go on a character are 0x80 to 0xBF: below -64 as signed ones. Decoding takes five times as long.
    begun = np.frombuffer(data, np.int8, byte - known.byte, known.byte) >= -64
    return Position(known.char + int(np.count_nonzero(begun)), byte)


def _is_boundary(data: bytes, byte: int) -> bool:
    return byte >= len(data) or data[byte] & 0xC0 != 0x80


def _next_character(data: bytes, byte: int) -> int:
    byte += 1
    while not _is_boundary(data, byte):
        byte += 1
    return byte
