"""A chunk as a point in Qdrant, and back."""

import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np
from qdrant_client import models

from rag.stores.base import Metric, Pair
from rag.stores.ledger import INDEXED_METADATA
from rag.stores.sparse_words import SparseQuery, SparseWords
from rag.types import Hit, Record, Scalar, Vector

_IDS = uuid.UUID("6d1a9f1e-3b0a-5c57-9d0e-6b61646f636b")
_ROUNDING = 1e-5


def point_id(record_id: str) -> str:
    """The same chunk is the same point: writing it twice changes nothing."""
    return str(uuid.uuid5(_IDS, record_id))


def pair_key(pair: Pair) -> str:
    return "\n".join(pair)


def read_pair(key: str) -> Pair:
    file_key, _, generation = key.rpartition("\n")
    return file_key, generation


def as_point(record: Record, words: SparseWords, metric: Metric) -> models.PointStruct:
    given: Mapping[str, Any] = record.metadata  # None comes from those who read no types
    metadata = {key: storable(value) for key, value in given.items() if value is not None}
    place = " ".join(str(metadata[key]) for key in INDEXED_METADATA if key in metadata)
    found = words.document(record.text, place)
    return models.PointStruct(
        id=point_id(record.id),
        vector={
            "dense": as_stored(record.vector, metric).tolist(),
            "words": models.SparseVector(indices=found.indices, values=found.values),
        },
        payload={
            "id": record.id,
            "text": record.text,
            "file_key": record.file_key,
            "generation": record.generation,
            "pair": pair_key((record.file_key, record.generation)),
            "metadata": metadata,
        },
    )


def as_stored(vector: Vector, metric: Metric) -> Vector:
    """Of length 1 where only the direction counts; one that has it already stays as it is, bit by bit."""
    values = np.asarray(vector, dtype=np.float32)
    length = float(np.linalg.norm(values))
    return values if metric != "cosine" or abs(length - 1.0) < _ROUNDING else values / np.float32(length)


def read_record(point: Any) -> Record:
    """The vector is empty where it was not asked for."""
    held, vectors = point.payload, point.vector or {}
    vector = np.asarray(vectors.get("dense", []), dtype=np.float32)
    return Record(held["id"], held["text"], vector, held["file_key"], held["generation"], held["metadata"])


def read_hit(point: Any, score: float, stage: str) -> Hit:
    found = read_record(point)
    scores: Mapping[str, float] = {stage: score}
    return Hit(
        found.id, found.text, score, found.file_key, found.generation, found.metadata, scores, vector=found.vector
    )


def sparse(asked: SparseQuery) -> models.SparseVector:
    return models.SparseVector(indices=asked.indices, values=asked.values)


def tuning(hnsw_ef: int) -> models.SearchParams:
    return models.SearchParams(hnsw_ef=hnsw_ef)


def distance(metric: Metric, answered: float) -> float:
    """What Qdrant answers → the distance that scores are made of: squared for l2, 1 - dot product else."""
    return answered * answered if metric == "l2" else 1.0 - answered


def storable(value: Scalar) -> Scalar:
    """Qdrant keeps 64-bit whole numbers; a larger one is kept as a float."""
    return float(value) if isinstance(value, int) and not -(2**63) <= value < 2**63 else value
