"""Matches of regular expressions, predefined or the user's own."""

from collections.abc import Iterator
from typing import Any, Protocol

import re2  # type: ignore[import-untyped]  # beside re, which a user's pattern can keep busy for ever
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator

from rag.errors import InvalidInputError
from rag.extractors.named_patterns import GROUPS, NAMES, named_matches
from rag.extractors.options import ExtractorOptions
from rag.types import Document, Scalar

CONTEXT_CHARS = 30


class CustomPattern(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str = Field(min_length=1, max_length=100)
    pattern: str = Field(min_length=1, max_length=1000)
    description: str = ""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        compiled(pattern)
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
            description=f"Any of: {', '.join(sorted(NAMES))}; pii stands for {', '.join(GROUPS['pii'])}.",
        )
        custom_patterns: tuple[CustomPattern, ...] = Field(
            (),
            description="Each with `name` and `pattern`, a regular expression of RE2, which takes time that grows with "
            "the text and no more: it has no look-around and no back-references.",
        )
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
                if name not in NAMES and name not in GROUPS:
                    raise InvalidInputError(
                        f"pattern '{name}' is not known. Known: {', '.join(sorted([*NAMES, *GROUPS]))}"
                    )
            return tuple(dict.fromkeys(each for name in names for each in GROUPS.get(name, (name,))))

    def __init__(self, options: Options) -> None:
        self._options = options
        self._own = {
            custom.name: compiled(custom.pattern, case_sensitive=options.case_sensitive)
            for custom in options.custom_patterns
        }

    def extract(self, text: str, document: Document) -> dict[str, Scalar | list[str]]:
        result: dict[str, Scalar | list[str]] = {}
        for name in self._options.predefined_patterns:
            found = named_matches(name, text, case_sensitive=self._options.case_sensitive)
            result |= self._described(name, self._kept(found), text)
        for name, pattern in self._own.items():
            result |= self._described(name, self._kept(pattern.finditer(text)), text)
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


def compiled(pattern: str, *, case_sensitive: bool = False) -> Any:
    """Raises InvalidInputError for what RE2 does not take."""
    options = re2.Options()
    options.case_sensitive = case_sensitive
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if error.args else "refused"
        raise InvalidInputError(
            f"pattern {pattern!r} is not a regular expression of RE2: {reason}. Look-around and back-references are "
            "not known there; see https://github.com/google/re2/wiki/Syntax"
        ) from error
