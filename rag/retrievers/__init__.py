"""Retrievers by the name that users write as `retrieval_strategies[].type`, or send with a query."""

from rag.registry import Registry
from rag.retrievers.base import Retriever

retrievers = Registry[Retriever](
    "retriever",
    {
        "BasicSimilarityStrategy": "rag.retrievers.basic:BasicSimilarityStrategy",
        "MetadataFilteredStrategy": "rag.retrievers.filtered:MetadataFilteredStrategy",
        "MultiQueryStrategy": "rag.retrievers.multi_query:MultiQueryStrategy",
        "RerankedStrategy": "rag.retrievers.reranked:RerankedStrategy",
        "HybridUniversalStrategy": "rag.retrievers.universal:HybridUniversalStrategy",
        "HybridRetriever": "rag.retrievers.hybrid:HybridRetriever",
        "BM25Retriever": "rag.retrievers.bm25:BM25Retriever",
        "CrossEncoderRerankedStrategy": "rag.retrievers.cross_encoder:CrossEncoderRerankedStrategy",
        "MultiTurnRAGStrategy": "rag.retrievers.multi_turn:MultiTurnRAGStrategy",
        "GraphRetriever": "rag.retrievers.stand_in:GraphRetriever",
        "ElasticRetriever": "rag.retrievers.stand_in:ElasticRetriever",
        "mmr": "rag.retrievers.mmr:MMRRetriever",
    },
    aliases={
        "VectorRetriever": "BasicSimilarityStrategy",
        "RerankedRetriever": "RerankedStrategy",
        "semantic": "BasicSimilarityStrategy",
        "vector": "BasicSimilarityStrategy",
        "hybrid": "HybridRetriever",
        "bm25": "BM25Retriever",
        "keyword": "BM25Retriever",
    },
)
