"""The phrases that say what a chunk is about."""

import re
from collections import Counter
from typing import ClassVar, Literal

from pydantic import AliasChoices, Field

from rag.chunkers.sentences import sentence_spans
from rag.extractors import keyword_methods
from rag.extractors.options import ExtractorOptions
from rag.extractors.per_document import PerDocument
from rag.extractors.words import STOP_WORDS, content_words
from rag.types import Document, Scalar

Method = Literal["rake", "yake", "tfidf", "textrank"]

_PARAGRAPH_BREAK = re.compile(r"\n[^\S\n]*+\n")


class KeywordOptions(ExtractorOptions):
    algorithm: Method = "rake"
    methods: tuple[Method, ...] = Field((), description="Several methods; replaces `algorithm`.")
    max_keywords: int = Field(10, ge=1, le=100, description="Keywords per method.")
    max_length: int = Field(
        4,
        ge=1,
        validation_alias=AliasChoices("max_length", "max_ngram_size"),
        description="Words of the longest phrase.",
    )
    min_length: int = Field(1, ge=1, description="Characters of the shortest phrase.")
    min_frequency: int = Field(1, ge=1, description="How often a phrase must stand in the chunk.")
    stop_words: tuple[str, ...] = Field((), description="Words to pass over, beside the built-in English ones.")
    combine_results: bool = Field(True, description="Adds one list made of all methods.")
    max_combined_keywords: int = Field(15, ge=1)


class YAKEOptions(KeywordOptions):
    algorithm: Method = "yake"


class TFIDFOptions(KeywordOptions):
    algorithm: Method = "tfidf"


class KeywordExtractor:
    Options: ClassVar[type[KeywordOptions]] = KeywordOptions

    def __init__(self, options: KeywordOptions) -> None:
        self._options = options
        self._stop_words = STOP_WORDS | {word.lower() for word in options.stop_words}
        self._part_words = PerDocument(_part_words)

    def extract(self, text: str, document: Document) -> dict[str, Scalar | list[str]]:
        options = self._options
        found = keyword_methods.phrases(text, self._stop_words, options.max_length)
        counts = Counter(" ".join(phrase) for phrase in found)
        counts.update(word for phrase in found if len(phrase) > 1 for word in phrase)
        result: dict[str, Scalar | list[str]] = {}
        combined: list[list[str]] = []
        for method in options.methods or (options.algorithm,):
            weighted = self._weighted(method, found, text, document)
            kept = [phrase for phrase, _ in weighted if self._is_kept(phrase, counts)][: options.max_keywords]
            if kept:
                result[f"{method}_keywords"] = kept
                combined.append(kept)
        if combined and options.combine_results:
            result["combined_keywords"] = _interleaved(combined)[: options.max_combined_keywords]
        return result

    def _is_kept(self, phrase: str, counts: Counter[str]) -> bool:
        return len(phrase) >= self._options.min_length and counts[phrase] >= self._options.min_frequency

    def _weighted(
        self, method: Method, found: list[tuple[str, ...]], text: str, document: Document
    ) -> keyword_methods.Weighted:
        if method == "tfidf":
            return keyword_methods.tfidf(found, *self._part_words.of(document))
        if method == "yake":
            return keyword_methods.yake(found, len(sentence_spans(text)))
        return keyword_methods.textrank(found) if method == "textrank" else keyword_methods.rake(found)


class YAKEExtractor(KeywordExtractor):
    Options = YAKEOptions


class TFIDFExtractor(KeywordExtractor):
    Options = TFIDFOptions


def _part_words(document: Document) -> tuple[Counter[str], int]:
    """In how many paragraphs of the document each word stands, and how many paragraphs there are."""
    counts: Counter[str] = Counter()
    part_count = 0
    for part in _PARAGRAPH_BREAK.split(document.text):
        counts.update(set(content_words(part)))
        part_count += 1
    return counts, part_count


def _interleaved(lists: list[list[str]]) -> list[str]:
    longest = max(map(len, lists))
    return list(dict.fromkeys(each[rank] for rank in range(longest) for each in lists if rank < len(each)))
