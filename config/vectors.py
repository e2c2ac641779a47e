"""What the vectors of a database mean, as far as the configuration says: whether a change makes stored ones useless."""

from contextlib import suppress
from typing import Any

from config.options import option_names
from config.rag_section import DatabaseConfig, EmbeddingStrategy
from rag.embedders import embedders
from rag.errors import InvalidInputError


def vector_changes(before: DatabaseConfig, after: DatabaseConfig) -> list[str]:
    """What a database with stored chunks must not change, as `key: old → new`; empty when they stay of use.

    A dimension that one of both does not name counts as unchanged: the embedder decides it.
    """
    found = []
    if before.type != after.type:
        found.append(f"type: {before.type} → {after.type}")
    if before.metric != after.metric:
        found.append(f"distance metric: {before.metric} → {after.metric}")
    old_name, new_name = (each.config.get("collection_name") or "documents" for each in (before, after))
    if old_name != new_name:
        found.append(f"collection_name: {old_name} → {new_name}")
    return found + _embedding_changes(before.embedding_strategy_in_use(), after.embedding_strategy_in_use())


def _embedding_changes(before: EmbeddingStrategy, after: EmbeddingStrategy) -> list[str]:
    old, new = _meaning(before), _meaning(after)
    if old["dimension"] is None or new["dimension"] is None:
        old["dimension"] = new["dimension"] = None
    return [f"embedding {key}: {old[key]} → {new[key]}" for key in old if old[key] != new[key]]


def _meaning(strategy: EmbeddingStrategy) -> dict[str, Any]:
    """What a store tells models apart by. Options with a mistake in them are taken as they are written."""
    config = strategy.config
    options: Any = None
    if strategy.type in embedders:
        names = option_names(embedders, strategy.type)
        known = {key: value for key, value in config.items() if key in names and value is not None}
        with suppress(InvalidInputError):
            options = embedders.options(strategy.type, known)
    written = config.get("model") or config.get("model_name")
    return {
        "type": embedders.canonical(strategy.type) if strategy.type in embedders else strategy.type,
        "model": getattr(options, "model", written),
        "dimension": getattr(options, "dimension", config.get("dimension")),
    }
