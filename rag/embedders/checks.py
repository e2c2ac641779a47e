"""What every vector passes before it leaves an embedder."""

from collections.abc import Sequence

import numpy as np

from rag.errors import EmbeddingError, InvalidInputError
from rag.types import Matrix, Vector


def checked(
    vectors: Matrix | Sequence[Vector] | Sequence[Sequence[float]],
    expected_dimension: int | None,
    *,
    expected_count: int | None = None,
) -> Matrix:
    """Return `vectors` as float32 rows of unit length.

    Args:
        expected_dimension: None accepts any length, provided that all rows share it.
        expected_count: how many rows there have to be; None accepts any number.

    Raises:
        EmbeddingError: for a wrong count or length, and for a row that is zero or not finite.
    """
    count = len(vectors)
    if expected_count is not None and count != expected_count:
        raise EmbeddingError(f"the embedder gave {count} vectors for {expected_count} texts")
    if count == 0:
        return np.zeros((0, expected_dimension or 0), dtype=np.float32)
    lengths = {len(row) for row in vectors}
    if lengths != {expected_dimension or max(lengths)} or 0 in lengths:
        found = ", ".join(str(length) for length in sorted(lengths))
        raise EmbeddingError(f"vectors have length {found}; expected {expected_dimension or 'one common length'}")
    rows = np.asarray(vectors, dtype=np.float32)
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    bad = np.flatnonzero(~np.isfinite(norms) | (norms < np.finfo(np.float32).tiny))
    if bad.size:
        what = "zero" if norms[bad[0]] < 1 else "not finite"
        raise EmbeddingError(f"the vector of text {bad[0]} is {what}; {bad.size} of {count} vectors are unusable")
    return np.asarray(rows / norms[:, None], dtype=np.float32)


def require_dimension(configured: int | None, real: int, model: str) -> None:
    """Refuse a configured dimension that the model does not have."""
    if configured is not None and configured != real:
        raise InvalidInputError(
            f"option 'dimension' is {configured}, but model '{model}' gives vectors of length {real}; "
            f"set dimension: {real} or leave it out"
        )
