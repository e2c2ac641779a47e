"""What `databases[].config` may say, and the names collections get."""

import re

import pytest

from rag.errors import InvalidInputError
from rag.stores import stores
from rag.stores.base import StoreIdentity
from rag.stores.chroma import collection_name
from rag.stores.options import StoreOptions


@pytest.mark.parametrize(
    ("config", "metric"),
    [
        ({}, "cosine"),
        ({"distance_function": "l2"}, "l2"),
        ({"distance_metric": "dot", "distance_function": "l2"}, "ip"),
        ({"distance_metric": "euclidean"}, "l2"),
        ({"distance_metric": None, "collection_name": "docs", "port": 8000, "host": None}, "cosine"),
    ],
)
def test_the_metric_has_two_keys(config: dict, metric: str) -> None:
    options = stores.options("ChromaStore", config)
    assert isinstance(options, StoreOptions)
    assert options.metric == metric


@pytest.mark.parametrize(
    "config", [{"distance_metric": "cosin"}, {"collection_name": "a b"}, {"no_such": 1}, {"port": 0}]
)
def test_a_wrong_option_is_an_error(config: dict) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(config))):
        stores.options("ChromaStore", config)


def test_collection_names_obey_chroma_and_never_meet() -> None:
    """Chroma takes 3 to 512 characters of [a-zA-Z0-9._-], alphanumeric at both ends."""
    parts = ["a", "b", "ab", "ü", "", "x" * 5000, "a/b", "..", "a\x01"]
    names = {
        collection_name(StoreIdentity(namespace, project, database, "m", 3))
        for namespace in parts
        for project in parts
        for database in parts
    }
    assert len(names) == len(parts) ** 3
    assert all(re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9._-]{1,510}[a-zA-Z0-9]", name) for name in names)
    assert collection_name(StoreIdentity("a", "b", "c", "m", 3), "one") not in names
