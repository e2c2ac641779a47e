"""The names of extractors, as users write them in llamafarm.yaml."""

from rag.extractors.base import Extractor
from rag.registry import Registry

extractors = Registry[Extractor](
    "extractor",
    {
        "ContentStatisticsExtractor": "rag.extractors.statistics:ContentStatisticsExtractor",
        "DateTimeExtractor": "rag.extractors.dates:DateTimeExtractor",
        "EntityExtractor": "rag.extractors.entities:EntityExtractor",
        "HeadingExtractor": "rag.extractors.headings:HeadingExtractor",
        "KeywordExtractor": "rag.extractors.keywords:KeywordExtractor",
        "YAKEExtractor": "rag.extractors.keywords:YAKEExtractor",
        "TFIDFExtractor": "rag.extractors.keywords:TFIDFExtractor",
        "LinkExtractor": "rag.extractors.links:LinkExtractor",
        "PathExtractor": "rag.extractors.paths:PathExtractor",
        "PatternExtractor": "rag.extractors.patterns:PatternExtractor",
        "SummaryExtractor": "rag.extractors.summary:SummaryExtractor",
        "TableExtractor": "rag.extractors.tables:TableExtractor",
        "UniversalExtractor": "rag.extractors.universal:UniversalExtractor",
    },
    aliases={
        "StatisticsExtractor": "ContentStatisticsExtractor",
        "RAKEExtractor": "KeywordExtractor",  # rake is its default method
    },
)
