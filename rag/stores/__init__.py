"""Stores by the name that users write as `databases[].type`."""

from rag.registry import Registry
from rag.stores.base import Store

stores = Registry[Store](
    "store",
    {
        "ChromaStore": "rag.stores.chroma:ChromaStore",
        "MemoryStore": "rag.stores.memory:MemoryStore",
        "QdrantStore": "rag.stores.qdrant:QdrantStore",
    },
)
