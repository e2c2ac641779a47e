"""Keywords, entities, a summary and the language in one go: what the built-in strategy uses."""

from pydantic import Field

from rag.extractors.entities import EntityExtractor
from rag.extractors.keywords import KeywordExtractor, KeywordOptions
from rag.extractors.language import natural_language
from rag.extractors.summary import SummaryExtractor
from rag.registry import ComponentOptions
from rag.types import Document, Scalar


class UniversalExtractor:
    class Options(ComponentOptions):
        keyword_count: int = Field(10, ge=1, le=50)
        extract_entities: bool = True
        generate_summary: bool = True
        summary_sentences: int = Field(3, ge=1, le=10)
        detect_language: bool = True
        enabled: bool = True

    def __init__(self, options: Options) -> None:
        self._options = options
        self._keywords = KeywordExtractor(KeywordOptions(max_keywords=options.keyword_count, combine_results=False))
        self._entities = EntityExtractor(EntityExtractor.Options())
        self._summary = SummaryExtractor(
            SummaryExtractor.Options(
                summary_sentences=options.summary_sentences, include_key_phrases=False, include_statistics=False
            )
        )

    def extract(self, text: str, document: Document) -> dict[str, Scalar | list[str]]:
        options = self._options
        if not options.enabled:
            return {}
        keywords = self._keywords.extract(text, document).get("rake_keywords")
        result: dict[str, Scalar | list[str]] = {"keywords": keywords} if keywords else {}
        if options.extract_entities:
            result |= self._entities.extract(text, document)
        if options.generate_summary:
            result |= self._summary.extract(text, document)
        if options.detect_language:
            result |= natural_language(text, document)
        return result
