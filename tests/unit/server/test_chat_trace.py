"""What the event log tells of a search."""

from typing import Any

import pytest

from config.rag_section import DatabaseConfig
from rag.retrievers.base import Query
from server.services.chat_trace import describe_search


@pytest.mark.parametrize(
    ("kind", "config", "asked", "told"),
    [
        ("CrossEncoderRerankedStrategy", {"final_k": 7, "initial_k": 30}, None, 7),
        ("CrossEncoderRerankedStrategy", {}, None, 10),
        ("CrossEncoderRerankedStrategy", {"final_k": 7}, 3, 3),
        ("BasicSimilarityStrategy", {"top_k": 4}, None, 4),
        ("Unknown", {}, None, None),
    ],
)
def test_search_tells_how_many_hits_it_gives(kind: str, config: dict[str, Any], asked: int | None, told: Any) -> None:
    strategy = {"name": "s", "type": kind, "config": config}
    database = DatabaseConfig.model_validate({"name": "d", "type": "ChromaStore", "retrieval_strategies": [strategy]})
    assert describe_search(database, None, [Query(text="q", top_k=asked)])["top_k"] == told
