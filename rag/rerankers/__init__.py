"""Rerankers by the name that users write as `reranker: {type: …}` beside a strategy's options."""

from rag.registry import Registry
from rag.rerankers.base import Reranker

rerankers = Registry[Reranker](
    "reranker",
    {
        "cross_encoder": "rag.rerankers.cross_encoder:CrossEncoderReranker",
        "late_interaction": "rag.rerankers.late_interaction:LateInteractionReranker",
        "llm": "rag.rerankers.llm:LLMReranker",
        "remote": "rag.rerankers.served:ServedReranker",
    },
)
