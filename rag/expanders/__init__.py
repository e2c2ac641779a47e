"""The names of expanders; the key is the `type` under `expand` in a retrieval strategy."""

from rag.expanders.base import Expander
from rag.registry import Registry

expanders = Registry[Expander](
    "expander",
    {
        "neighbours": "rag.expanders.neighbours:NeighboursExpander",
        "parent": "rag.expanders.parent:ParentExpander",
    },
    aliases={"neighbors": "neighbours"},
)
