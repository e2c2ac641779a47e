"""From distances to scores, for every store; vectors are checked here before they are written."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag.errors import EmbeddingError
from rag.stores.base import Metric
from rag.types import Matrix, Record, Vector

Distances = NDArray[np.float64]


def distances(metric: Metric, matrix: Matrix, vector: Vector) -> Distances:
    """Distance of each row to `vector`, as an HNSW index defines it: cosine 1 - cos, l2 squared, ip 1 - dot."""
    if metric == "l2":
        return np.asarray(((matrix - vector) ** 2).sum(axis=1), dtype=np.float64)
    products = np.asarray(matrix @ vector, dtype=np.float64)
    if metric == "cosine":
        lengths = np.linalg.norm(matrix, axis=1) * np.linalg.norm(vector)
        products = products / np.maximum(lengths, np.finfo(np.float32).tiny)
    return 1.0 - products


def score(metric: Metric, distance: float) -> float:
    """Score in [0, 1], higher is better.

    cosine and ip: 1 - distance / 2, which for ip is (1 + dot product) / 2. l2: 1 / (1 + distance / 100), where
    distance is the squared Euclidean one.
    """
    value = 1.0 / (1.0 + max(distance, 0.0) / 100.0) if metric == "l2" else 1.0 - distance / 2.0
    return min(1.0, max(0.0, value))


def check_vectors(records: Sequence[Record], dimension: int) -> Matrix:
    """Stack the vectors of `records`; raises EmbeddingError for the first that is not fit to be stored."""
    for record in records:
        problem = _problem(record.vector, dimension)
        if problem:
            raise EmbeddingError(f"chunk '{record.id}' was not stored: its vector {problem}. Nothing was written")
    return np.stack([np.asarray(record.vector, dtype=np.float32) for record in records])


def check_query_vector(vector: Vector, dimension: int) -> Vector:
    problem = _problem(vector, dimension)
    if problem:
        raise EmbeddingError(f"the query vector {problem}")
    return np.asarray(vector, dtype=np.float32)


def _problem(vector: Vector, dimension: int) -> str:
    values = np.asarray(vector)
    if values.shape != (dimension,):
        return f"has shape {values.shape}; expected ({dimension},)"
    if not np.isfinite(values).all():
        return "holds NaN or infinity"
    if not values.any():
        return "is all zeros"
    return ""
