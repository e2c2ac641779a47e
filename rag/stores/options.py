"""What `databases[].config` may say about a store."""

from typing import Literal

from pydantic import Field

from rag.registry import ComponentOptions
from rag.stores.base import Metric

DistanceName = Literal["cosine", "l2", "ip", "euclidean", "dot"]
METRICS: dict[DistanceName, Metric] = {"cosine": "cosine", "l2": "l2", "ip": "ip", "euclidean": "l2", "dot": "ip"}

QDRANT_METRICS: dict[str, Metric] = {"Cosine": "cosine", "Euclid": "l2", "Dot": "ip"}


class StoreOptions(ComponentOptions):
    collection_name: str = Field(
        "documents",
        pattern=r"^[a-zA-Z0-9_-]+$",
        max_length=256,
        description="Part of what tells one collection from another; databases never share one.",
    )
    distance_metric: DistanceName | None = Field(
        None, description="cosine (the default), l2 or ip; euclidean and dot are other words for l2 and ip."
    )
    distance_function: DistanceName | None = Field(
        None, description="Another name of distance_metric, which wins when both are given."
    )
    embedding_dimension: int | None = Field(
        None, ge=1, le=4096, description="Informative: the embedder decides the dimension."
    )
    enable_deduplication: bool = Field(
        True, description="Accepted; chunk ids derive from content, so that writing twice never duplicates."
    )
    host: str | None = Field(None, description="Accepted; the address of the server is a setting of the process.")
    port: int | None = Field(None, ge=1, le=65535, description="Accepted, as `host`.")

    @property
    def metric(self) -> Metric:
        return METRICS[self.distance_metric or self.distance_function or "cosine"]
