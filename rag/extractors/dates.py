"""Dates, times, spans of time, and dates relative to today."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime

from pydantic import AliasChoices, Field, field_validator

from rag.errors import InvalidInputError
from rag.extractors.named_patterns import find_named
from rag.extractors.options import ExtractorOptions
from rag.types import Document, Scalar

_TIME = re.compile(
    r"(?<![\w:.])(?:(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?: ?[ap]\.?m\b)?|(?:1[0-2]|[1-9]) ?[ap]\.?m\b)",
    re.IGNORECASE,
)
_UNIT = r"(?:second|minute|hour|day|week|month|quarter|year|decade)"
_RELATIVE = re.compile(
    rf"\b(?:today|tomorrow|yesterday|(?:last|next|this|past|coming) (?:{_UNIT}|monday|tuesday|wednesday|thursday|friday"
    rf"|saturday|sunday|january|february|march|april|may|june|july|august|september|october|november|december)"
    rf"|\d{{1,4}} {_UNIT}s? (?:ago|from now|later|earlier)|in \d{{1,4}} {_UNIT}s?)\b",
    re.IGNORECASE,
)
_DURATION = re.compile(
    rf"(?<![\w.])\d{{1,6}}(?:\.\d{{1,3}})?[ -]{_UNIT}s?\b(?! ago| from now| later| earlier)", re.IGNORECASE
)
_FORMATS = ("%Y-%m-%d", "%d %b %Y", "%b %d %Y", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m/%d/%y", "%d.%m.%y")
_SAMPLE = datetime(2001, 2, 3, tzinfo=UTC)
_ORDINAL = re.compile(r"(?<=\d)(?:st|nd|rd|th)\b")
_MONTH_TAIL = re.compile(r"\b([A-Z][a-z]{2})[a-z]{0,6}\.?")


class DateTimeExtractor:
    """Dates are written as ISO 8601 where they can be read, else as they stand. `03/04/2024` is read month first."""

    class Options(ExtractorOptions):
        extract_times: bool = True
        extract_relative: bool = Field(True, description="Phrases such as 'last week'.")
        extract_durations: bool = True
        date_format: str = Field("ISO", description="ISO, or a strftime format for the dates found.")
        date_formats: tuple[str, ...] = Field(
            (),
            validation_alias=AliasChoices("date_formats", "formats"),
            description="strptime formats that dates are read by before the usual ones, such as `%d/%m/%Y`.",
        )

        @field_validator("date_formats")
        @classmethod
        def _read_what_they_write(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
            for style in formats:
                try:
                    datetime.strptime(_SAMPLE.strftime(style), style)  # noqa: DTZ007  # only whether it can be done
                except (ValueError, re.error) as error:
                    raise InvalidInputError(
                        f"date format {style!r} reads no dates: {error}. Write it as for strptime, such as %d/%m/%Y"
                    ) from error
            return formats

    def __init__(self, options: Options) -> None:
        self._options = options

    def extract(self, text: str, document: Document) -> dict[str, Scalar | list[str]]:
        options = self._options
        result = {"dates": _distinct(self._written(found) for found in find_named("date", text))}
        if options.extract_times:
            result["times"] = _distinct(_TIME.findall(text))
        if options.extract_relative:
            result["relative_dates"] = _distinct(found.lower() for found in _RELATIVE.findall(text))
        if options.extract_durations:
            result["durations"] = _distinct(_DURATION.findall(text))
        return {key: found for key, found in result.items() if found}

    def _written(self, found: str) -> str:
        day = read_date(found, self._options.date_formats)
        if day is None:
            return found
        return (
            day.isoformat() if self._options.date_format.upper() == "ISO" else day.strftime(self._options.date_format)
        )


def read_date(found: str, formats: Sequence[str] = ()) -> date | None:
    """The day, by the first format that fits: those given, then the usual ones."""
    plain = _MONTH_TAIL.sub(r"\1", _ORDINAL.sub("", found)).replace(",", "")
    tries = [(each, found) for each in formats] + [(each, plain) for each in _FORMATS]
    for style, text in tries:
        try:
            return datetime.strptime(text, style).date()  # noqa: DTZ007  # a calendar day has no time zone
        except ValueError:
            continue
    return None


def _distinct(found: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(found))
