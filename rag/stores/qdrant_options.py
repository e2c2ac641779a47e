"""What `databases[].config` may say about a Qdrant server."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import AliasChoices, Field, model_validator

from rag.registry import ComponentOptions
from rag.stores.options import DistanceName

QdrantDistance = Literal["Cosine", "Euclid", "Dot"]


class QdrantOptions(ComponentOptions):
    url: str | None = Field(None, description="Address of the server, https://host:port.")
    host: str | None = Field(None, description="Its name alone, for http; `url` wins.")
    port: int = Field(6333, ge=1, le=65535, description="With `host`.")
    grpc_port: int = Field(6334, ge=1, le=65535, description="Used with `prefer_grpc`.")
    prefer_grpc: bool = Field(False, description="Search and write by gRPC.")
    api_key: str | None = Field(None, description="Key of the server; write `${env:NAME}`.")
    timeout_s: float = Field(
        30.0, ge=1, le=600, validation_alias=AliasChoices("timeout_s", "timeout"),
        description="Seconds until a request is given up; `timeout` is another name.",
    )  # fmt: skip
    path: str | None = Field(
        None,
        pattern=r"^[a-zA-Z0-9_-]{1,100}$",
        description="For one process alone (tests, scripts), so that a running server cannot use it: name of a folder "
        "below the data directory, instead of `url`.",
    )
    collection_name: str = Field(
        "documents",
        pattern=r"^[a-zA-Z0-9_-]+$",
        max_length=256,
        description="Part of what tells one collection from another; databases never share one.",
    )
    vector_size: int | None = Field(
        None, ge=1, le=65536, description="Refused when the embedder gives vectors of another length."
    )
    distance: QdrantDistance | None = Field(None, description="Cosine (the default), Euclid or Dot.")
    distance_metric: DistanceName | None = Field(
        None, description="The same in the words of other stores; wins when both are given."
    )
    distance_function: DistanceName | None = Field(None, description="Another name of distance_metric.")
    on_disk: bool = Field(False, description="Keep vectors and words on disk instead of in memory.")
    shard_number: int | None = Field(None, ge=1, le=1000, description="Of a new collection; default: the server's.")
    replication_factor: int | None = Field(None, ge=1, le=100, description="Copies of each shard of a new collection.")
    write_consistency_factor: int | None = Field(
        None, ge=1, le=100, description="Copies that must have a write before it counts, in a new collection."
    )
    embedding_dimension: int | None = Field(
        None, ge=1, le=4096, description="Informative: the embedder decides the dimension."
    )
    enable_deduplication: bool = Field(
        True, description="Accepted; chunk ids derive from content, so that writing twice never duplicates."
    )

    @model_validator(mode="after")
    def _one_place(self) -> "QdrantOptions":
        if self.path is not None and (self.url is not None or self.host is not None):
            raise ValueError("`path` is embedded mode: give it, or `url`, not both")
        return self

    @classmethod
    def remarks(cls, values: Mapping[str, Any]) -> list[str]:
        said = any(values.get(key) for key in ("url", "host", "path"))
        return (
            [] if said else ["no address: set config.url to that of a Qdrant server; nothing can be stored until then"]
        )

    @property
    def address(self) -> str | None:
        """None in embedded mode, and where nothing is said."""
        return self.url or (f"http://{self.host}:{self.port}" if self.host else None)
