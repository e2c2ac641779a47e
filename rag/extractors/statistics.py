"""Counts: words, sentences, reading time, and what they say about the text."""

import re
from collections import Counter

from pydantic import AliasChoices, Field

from rag.chunkers.sentences import sentence_spans
from rag.extractors.language import natural_language
from rag.extractors.options import ExtractorOptions
from rag.extractors.words import content_words, words
from rag.types import Document, Scalar

WORDS_PER_MINUTE = 200

_VOWELS = re.compile(r"[aeiouy]+", re.IGNORECASE)
_APPROVING = "good great excellent improved success benefit best better effective safe reliable gain happy"
_DISAPPROVING = "bad poor fail failed failure worse worst risk danger loss error defect harm unsafe problem"


class ContentStatisticsExtractor:
    class Options(ExtractorOptions):
        include_readability: bool = Field(True, description="Flesch reading ease (English).")
        include_vocabulary: bool = Field(True, description="Distinct words and their share.")
        include_structure: bool = Field(True, description="Lines and paragraphs.")
        include_sentiment: bool = Field(
            False,
            validation_alias=AliasChoices("include_sentiment", "include_sentiment_indicators"),
            description="Balance of approving and disapproving words, from -1 to 1.",
        )
        include_language: bool = Field(True, description="Adds the language, where one stands out.")

    def __init__(self, options: Options) -> None:
        self._options = options

    def extract(self, text: str, document: Document) -> dict[str, Scalar | list[str]]:
        found = words(text)
        if not found:
            return {}
        options, sentence_count = self._options, len(sentence_spans(text))
        result: dict[str, Scalar | list[str]] = {
            "word_count": len(found),
            "character_count": len(text),
            "sentence_count": sentence_count,
            "reading_time_minutes": round(len(found) / WORDS_PER_MINUTE, 2),
        }
        if options.include_readability:
            result["reading_ease"] = _reading_ease(found, sentence_count)
        if options.include_vocabulary:
            result |= _vocabulary(found)
        if options.include_structure:
            result["line_count"] = sum(1 for line in text.splitlines() if line.strip())
            result["paragraph_count"] = len(re.findall(r"(?<=\S)\n[^\S\n]*+\n", text.strip())) + 1
        if options.include_language:
            result |= natural_language(text, document)
        if options.include_sentiment:
            result["sentiment_score"] = _sentiment(text)
        return result


def _reading_ease(found: list[str], sentence_count: int) -> float:
    """Flesch, "A new readability yardstick", 1948; syllables are counted as groups of vowels."""
    syllable_count = sum(max(1, len(_VOWELS.findall(word))) for word in found)
    ease = 206.835 - 1.015 * len(found) / max(1, sentence_count) - 84.6 * syllable_count / len(found)
    return round(ease, 1)


def _vocabulary(found: list[str]) -> dict[str, Scalar]:
    distinct_count = len({word.lower() for word in found})
    return {"unique_word_count": distinct_count, "vocabulary_richness": round(distinct_count / len(found), 3)}


def _sentiment(text: str) -> float:
    counts = Counter(content_words(text))
    positive = sum(counts[word] for word in _APPROVING.split())
    negative = sum(counts[word] for word in _DISAPPROVING.split())
    return round((positive - negative) / (positive + negative), 2) if positive + negative else 0.0
