"""What a collection is called, and whether stored vectors can be compared with those that come."""

import hashlib

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


def collection_name(identity: StoreIdentity, name: str = "documents") -> str:
    """A name that every server takes whatever the project and database are called, and that no other database has."""
    parts = f"{identity.namespace}\x00{identity.project}\x00{identity.database}\x00{name}"
    return f"paddock-{hashlib.sha256(parts.encode()).hexdigest()[:40]}"
