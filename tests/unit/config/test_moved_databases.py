"""A database that was moved: what llamafarm.yaml remembers, and how its vectors are compared."""

from typing import Any

import pytest

from config.rag_section import DatabaseConfig


def database(type_name: str, **config: Any) -> DatabaseConfig:
    return DatabaseConfig(name="papers", type=type_name, config=config)


@pytest.mark.parametrize(
    ("distance", "metric"), [("Cosine", "cosine"), ("Euclid", "l2"), ("Dot", "ip"), (None, "cosine")]
)
def test_qdrants_words_for_distances_are_understood(distance: str | None, metric: str) -> None:
    assert database("QdrantStore", distance=distance).metric == metric
    assert database("QdrantStore", distance=distance, distance_metric="l2").metric == "l2"
    assert database("ChromaStore", distance=distance).metric == "cosine"


def test_a_moved_database_remembers_where_it_was() -> None:
    before = database("ChromaStore", collection_name="docs")
    after = before.moved_to("QdrantStore", {"url": "http://q"})
    assert after.former_places == [before.place]
    back = after.moved_to("ChromaStore", {"collection_name": "docs"})
    assert back.place == before.place
    assert back.former_places == [after.place]


def test_a_move_keeps_the_way_of_comparing_unless_told_otherwise() -> None:
    before = database("ChromaStore", distance_metric="l2")
    assert before.moved_to("QdrantStore", {"url": "http://q"}).metric == "l2"
    assert before.moved_to("QdrantStore", {"distance": "Dot"}).metric == "ip"
