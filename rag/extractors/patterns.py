"""Matches of regular expressions, predefined or the user's own."""

from collections.abc import Iterator
from typing import Any, Protocol

import regex  # type: ignore[import-untyped]  # beside re for its time limit: a user's pattern may need exponential time
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator

from rag.errors import InvalidInputError
from rag.extractors.named_patterns import NAMES, named_matches
from rag.extractors.options import ExtractorOptions
from rag.types import Document, Scalar

PATTERN_TIMEOUT_S = 0.25
"""Time for one user's pattern on one chunk; what was found until then is kept."""

CONTEXT_CHARS = 30


class CustomPattern(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str = Field(min_length=1, max_length=100)
    pattern: str = Field(min_length=1, max_length=1000)
    description: str = ""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            regex.compile(pattern)
        except regex.error as error:
            raise InvalidInputError(f"pattern {pattern!r} is not a regular expression: {error}") from error
        return pattern


class _Match(Protocol):
    def group(self) -> str: ...
    def start(self) -> int: ...
    def end(self) -> int: ...


class PatternExtractor:
    class Options(ExtractorOptions):
        predefined_patterns: tuple[str, ...] = Field(
            (),
            validation_alias=AliasChoices("predefined_patterns", "patterns"),
            description=f"Any of: {', '.join(sorted(NAMES))}.",
        )
        custom_patterns: tuple[CustomPattern, ...] = ()
        case_sensitive: bool = False
        return_positions: bool = Field(
            False,
            validation_alias=AliasChoices("return_positions", "include_positions"),
            description="Adds `start-end` of each match within the chunk.",
        )
        include_context: bool = Field(False, description="Adds the text around each match.")
        max_matches_per_pattern: int = Field(100, ge=1)
        deduplicate_matches: bool = True

        @field_validator("predefined_patterns")
        @classmethod
        def _are_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
            for name in names:
                if name not in NAMES:
                    raise InvalidInputError(f"pattern '{name}' is not known. Known: {', '.join(sorted(NAMES))}")
            return names

    def __init__(self, options: Options) -> None:
        self._options = options
        flags = 0 if options.case_sensitive else regex.IGNORECASE
        self._own = {custom.name: regex.compile(custom.pattern, flags) for custom in options.custom_patterns}

    def extract(self, text: str, document: Document) -> dict[str, Scalar | list[str]]:
        result: dict[str, Scalar | list[str]] = {}
        for name in self._options.predefined_patterns:
            found = named_matches(name, text, case_sensitive=self._options.case_sensitive)
            result |= self._described(name, self._kept(found), text)
        for name, pattern in self._own.items():
            result |= self._described(name, self._kept(_until_timeout(pattern, text)), text)
        return result

    def _kept(self, found: Iterator[_Match]) -> list[_Match]:
        kept: list[_Match] = []
        seen: set[str] = set()
        for match in found:
            value = match.group()
            if not value or (self._options.deduplicate_matches and value in seen):
                continue
            seen.add(value)
            kept.append(match)
            if len(kept) == self._options.max_matches_per_pattern:
                break
        return kept

    def _described(self, name: str, found: list[_Match], text: str) -> dict[str, list[str]]:
        if not found:
            return {}
        result = {f"patterns_{name}": [match.group() for match in found]}
        if self._options.return_positions:
            result[f"patterns_{name}_positions"] = [f"{match.start()}-{match.end()}" for match in found]
        if self._options.include_context:
            result[f"patterns_{name}_context"] = [
                text[max(0, match.start() - CONTEXT_CHARS) : match.end() + CONTEXT_CHARS] for match in found
            ]
        return result


def _until_timeout(pattern: Any, text: str) -> Iterator[_Match]:
    try:
        yield from pattern.finditer(text, timeout=PATTERN_TIMEOUT_S)
    except TimeoutError:
        return
