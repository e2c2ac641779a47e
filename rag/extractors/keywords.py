"""The phrases that say what a chunk is about."""

import re
from collections import Counter
from difflib import SequenceMatcher
from typing import ClassVar, Literal

from pydantic import AliasChoices, Field

from rag.chunkers.sentences import sentence_spans
from rag.extractors import keyword_methods
from rag.extractors.language import stop_words
from rag.extractors.options import ExtractorOptions
from rag.extractors.per_document import PerDocument
from rag.extractors.words import content_words
from rag.types import Document, Scalar

Method = Literal["rake", "yake", "tfidf", "textrank"]

_PARAGRAPH_BREAK = re.compile(r"\n[^\S\n]*+\n")


class MethodOptions(ExtractorOptions):
    """What one method does differently; what is absent is as for all."""

    max_keywords: int | None = Field(None, ge=1, le=100)
    max_length: int | None = Field(None, ge=1, validation_alias=AliasChoices("max_length", "max_ngram_size"))
    min_length: int | None = Field(None, ge=1)
    min_frequency: int | None = Field(None, ge=1)


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
    stop_words: tuple[str, ...] = Field((), description="Words to pass over, beside the built-in ones.")
    language: Literal["en", "de", "fr", "es", "it", "pt", "nl"] = Field("en", description="Of the built-in stop words.")
    deduplication_threshold: float = Field(
        0.9,
        gt=0,
        le=1,
        description="A phrase that is this like a heavier one is left out; 1 leaves out equal ones only.",
    )
    rake_config: MethodOptions = Field(MethodOptions(), description="Options of that method alone.")
    yake_config: MethodOptions = Field(MethodOptions(), description="Options of that method alone.")
    tfidf_config: MethodOptions = Field(MethodOptions(), description="Options of that method alone.")
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
        self._stop_words = stop_words(options.language) | {word.lower() for word in options.stop_words}
        self._part_words = PerDocument(_part_words)

    def extract(self, text: str, document: Document) -> dict[str, Scalar | list[str]]:
        options = self._options
        result: dict[str, Scalar | list[str]] = {}
        combined: list[list[str]] = []
        for method in options.methods or (options.algorithm,):
            kept = self._best(method, text, document)
            if kept:
                result[f"{method}_keywords"] = kept
                combined.append(kept)
        if combined and options.combine_results:
            result["combined_keywords"] = _interleaved(combined)[: options.max_combined_keywords]
        return result

    def _best(self, method: Method, text: str, document: Document) -> list[str]:
        limits = self._limits(method)
        found = keyword_methods.phrases(text, self._stop_words, limits["max_length"])
        counts = Counter(" ".join(phrase) for phrase in found)
        counts.update(word for phrase in found if len(phrase) > 1 for word in phrase)
        kept: list[str] = []
        for phrase, _ in self._weighted(method, found, text, document):
            if len(kept) == limits["max_keywords"]:
                break
            is_long = len(phrase) >= limits["min_length"] and counts[phrase] >= limits["min_frequency"]
            if is_long and not any(self._is_like(phrase, other) for other in kept):
                kept.append(phrase)
        return kept

    def _limits(self, method: Method) -> dict[str, int]:
        own: MethodOptions | None = getattr(self._options, f"{method}_config", None)
        names = MethodOptions.model_fields
        return {name: getattr(own, name, None) or getattr(self._options, name) for name in names}

    def _is_like(self, phrase: str, other: str) -> bool:
        threshold = self._options.deduplication_threshold
        matcher = SequenceMatcher(None, phrase, other, autojunk=False)
        return (
            threshold < 1
            and matcher.real_quick_ratio() >= threshold
            and matcher.quick_ratio() >= threshold
            and matcher.ratio() >= threshold
        )

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
