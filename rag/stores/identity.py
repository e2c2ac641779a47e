"""Whether stored vectors can be compared with those that come."""

from rag.errors import ConflictError
from rag.stores.base import StoreIdentity


def require_same_identity(wanted: StoreIdentity, model_id: str, dimension: int, metric: str) -> None:
    """Raise ConflictError unless vectors made so can be compared with ours."""
    if (wanted.model_id, wanted.dimension, wanted.metric) != (model_id, dimension, metric):
        raise ConflictError(
            f"database '{wanted.database}' in project '{wanted.namespace}/{wanted.project}' holds vectors of "
            f"'{model_id}' (dimension {dimension}, {metric}), but its embedding strategy now gives "
            f"'{wanted.model_id}' (dimension {wanted.dimension}, {wanted.metric}). Restore the old embedding "
            "strategy, or process the files again into a new database"
        )
