"""The most telling sentences of a chunk, quoted in their order."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from rag.chunkers.sentences import sentence_spans
from rag.extractors import keyword_methods
from rag.extractors.summary_methods import METHODS
from rag.extractors.words import STOP_WORDS, words
from rag.registry import ComponentOptions
from rag.types import Document, Scalar

MAX_SENTENCES = 200
"""Sentences are compared with each other: beyond this many, the first ones only."""


class SummaryExtractor:
    class Options(ComponentOptions):
        summary_sentences: int = Field(3, ge=1, le=10)
        algorithm: Literal["textrank", "lsa", "luhn", "lexrank"] = Field(
            "textrank",
            description="textrank and lexrank choose what is most like the rest, lsa what stands for the main topics, "
            "luhn where frequent words stand close together.",
        )
        include_key_phrases: bool = True
        include_statistics: bool = Field(True, description="Adds the share of the text that the summary is.")
        min_sentence_length: int = Field(10, ge=1, description="Characters of the shortest sentence quoted.")
        max_sentence_length: int = Field(500, ge=1, description="Characters of the longest sentence quoted.")

    def __init__(self, options: Options) -> None:
        self._options = options

    def extract(self, text: str, document: Document) -> dict[str, Scalar | list[str]]:
        options = self._options
        sentences = (" ".join(text[start:end].split()) for start, end in sentence_spans(text))
        fitting = [sentence for sentence in sentences if self._is_fitting(sentence)][:MAX_SENTENCES]
        if not fitting:
            return {}
        summary = " ".join(best_sentences(fitting, options.summary_sentences, options.algorithm))
        result: dict[str, Scalar | list[str]] = {"summary": summary}
        if options.include_key_phrases:
            found = keyword_methods.rake(keyword_methods.phrases(text, STOP_WORDS, 4))
            result["key_phrases"] = [phrase for phrase, _ in found[:5]]
        if options.include_statistics:
            result["summary_ratio"] = round(len(summary) / len(text), 3)
        return result

    def _is_fitting(self, sentence: str) -> bool:
        is_prose = not sentence.startswith(("#", "|")) and any(char.isalpha() for char in sentence)
        return is_prose and self._options.min_sentence_length <= len(sentence) <= self._options.max_sentence_length


def best_sentences(sentences: Sequence[str], count: int, algorithm: str) -> list[str]:
    """The `count` heaviest sentences, in the order of the text; of equal ones the earlier."""
    weights = METHODS[algorithm]([[word.lower() for word in words(sentence)] for sentence in sentences])
    chosen = sorted(range(len(sentences)), key=lambda index: (-weights[index], index))[:count]
    return [sentences[index] for index in sorted(chosen)]
