"""Embedders by the `type` written in llamafarm.yaml."""

from collections.abc import Mapping
from typing import Any

from rag.chunkers.base import TokenCounter
from rag.embedders.base import Embedder
from rag.registry import Registry

embedders = Registry[Embedder](
    "embedder",
    {
        "SentenceTransformerEmbedder": "rag.embedders.sentence_transformer:SentenceTransformerEmbedder",
        "HashEmbedder": "rag.embedders.hash:HashEmbedder",
        "OllamaEmbedder": "rag.embedders.ollama:OllamaEmbedder",
        "OpenAIEmbedder": "rag.embedders.openai:OpenAIEmbedder",
        "UniversalEmbedder": "rag.embedders.universal:UniversalEmbedder",
    },
    aliases={"HuggingFaceEmbedder": "SentenceTransformerEmbedder"},
)


def counter_for(name: str, options: Mapping[str, Any]) -> TokenCounter:
    """The counter that `embedders.build(name, options)` would have, without loading a model.

    Raises what building would raise for wrong options and for a local model that is not there.
    """
    component: Any = embedders.load(name)
    counter: TokenCounter = component.counter(embedders.options(name, options))
    return counter
