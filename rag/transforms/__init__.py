"""Query transforms by the name that users write as `query_transform: {type: …}` beside a strategy's options."""

from rag.registry import Registry
from rag.transforms.base import Transform

transforms = Registry[Transform](
    "query transform",
    {
        "multi_query": "rag.transforms.multi_query:MultiQuery",
        "hyde": "rag.transforms.hyde:Hyde",
        "decomposition": "rag.transforms.decomposition:Decomposition",
        "conversational": "rag.transforms.conversational:Conversational",
        "expansion": "rag.transforms.expansion:Expansion",
    },
)
