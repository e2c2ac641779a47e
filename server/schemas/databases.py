"""Wire models of databases: what they are, what is in them, and whether they work."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from server.schemas.rag import Status

DatabaseName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", min_length=1, max_length=50)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
MAX_STRATEGIES = 50


class EmbeddingStrategyInfo(BaseModel):
    name: str
    type: str
    priority: int
    is_default: bool


class RetrievalStrategyInfo(BaseModel):
    name: str
    type: str
    is_default: bool


class DatabaseInfo(BaseModel):
    name: str
    type: str
    is_default: bool
    embedding_strategies: list[EmbeddingStrategyInfo]
    retrieval_strategies: list[RetrievalStrategyInfo]


class DatabaseList(BaseModel):
    databases: list[DatabaseInfo]
    default_database: str | None


class EmbeddingStrategyDetail(BaseModel):
    name: str
    type: str
    config: dict[str, Any]
    condition: str | None
    priority: int


class RetrievalStrategyDetail(BaseModel):
    name: str
    type: str
    config: dict[str, Any]
    default: bool


class DatabaseDetail(BaseModel):
    name: str
    type: str
    config: dict[str, Any]
    embedding_strategies: list[EmbeddingStrategyDetail]
    retrieval_strategies: list[RetrievalStrategyDetail]
    default_embedding_strategy: str | None
    default_retrieval_strategy: str | None
    dependent_datasets: list[str]


class EmbeddingStrategyInput(BaseModel):
    """Keys that are not listed are kept in llamafarm.yaml."""

    model_config = ConfigDict(extra="allow")

    name: Name
    type: str = Field(description="Name of an embedder, such as OllamaEmbedder.")
    config: dict[str, Any] | None = Field(None, description="Options of the embedder, such as `model`.")
    condition: str | None = Field(None, description="Kept, never evaluated.")
    priority: int | None = Field(None, ge=-1_000_000, le=1_000_000, description="Kept, never evaluated.")


class RetrievalStrategyInput(BaseModel):
    """Keys that are not listed are kept in llamafarm.yaml."""

    model_config = ConfigDict(extra="allow")

    name: Name
    type: str = Field(description="Name of a retriever, such as BasicSimilarityStrategy.")
    config: dict[str, Any] | None = Field(None, description="Options of the retriever, such as `top_k`.")
    default: bool | None = Field(None, description="Used when the database names no default_retrieval_strategy.")


EmbeddingStrategies = Annotated[list[EmbeddingStrategyInput], Field(max_length=MAX_STRATEGIES)]
RetrievalStrategies = Annotated[list[RetrievalStrategyInput], Field(max_length=MAX_STRATEGIES)]


class DatabaseCreate(BaseModel):
    name: DatabaseName = Field(description="Small letters, digits and `_`, beginning with a letter.")
    type: str = Field(description="Name of a store: ChromaStore.")
    config: dict[str, Any] | None = Field(None, description="Options of the store, such as `distance_metric`.")
    embedding_strategies: EmbeddingStrategies | None = None
    retrieval_strategies: RetrievalStrategies | None = None
    default_embedding_strategy: str | None = Field(None, description="Name of one of the embedding strategies.")
    default_retrieval_strategy: str | None = Field(None, description="Name of one of the retrieval strategies.")
    embedding_strategy: str | None = Field(None, description="Name of one under `components`, instead of the list.")
    retrieval_strategy: str | None = Field(None, description="Name of one under `components`, instead of the list.")


class DatabaseUpdate(BaseModel):
    """What is left out or null stays; what is given replaces the old value whole."""

    name: str | None = Field(None, description="Cannot be changed: the present name, or left out.")
    type: str | None = Field(None, description="Cannot be changed: the present type, or left out.")
    config: dict[str, Any] | None = None
    embedding_strategies: EmbeddingStrategies | None = None
    retrieval_strategies: RetrievalStrategies | None = None
    default_embedding_strategy: str | None = None
    default_retrieval_strategy: str | None = None


class DatabaseCreated(BaseModel):
    database: DatabaseInfo


class DatabaseDeleted(BaseModel):
    message: str
    database: DatabaseDetail
    collection_deleted: bool = Field(description="Whether its vectors and chunks were deleted with it.")


class DocumentEntry(BaseModel):
    """One file of a database."""

    id: str = Field(description="The file's hash.")
    filename: str
    chunk_count: int
    size_bytes: int
    parser_used: str
    date_ingested: datetime
    metadata: dict[str, Any] = Field(description="What all chunks of the file have, such as `dataset`.")


class DatabaseStats(BaseModel):
    database: str
    vector_count: int = Field(description="Vectors in the nearest-neighbour index.")
    document_count: int = Field(description="Files that queries can find.")
    chunk_count: int = Field(description="Chunks that queries can find.")
    collection_size_bytes: int = Field(description="Text, metadata, vectors and lexical index on disk.")
    index_size_bytes: int = Field(description="Vectors in the nearest-neighbour index, 4 bytes for each number.")
    embedding_dimension: int = Field(description="0 for an empty database whose embedder does not say.")
    distance_metric: str
    last_updated: datetime | None = Field(description="When a file was last processed; null for an empty database.")
    metadata: dict[str, Any]
    storage_bytes: int = Field(description="The sum of both sizes.")
    storage_human: str
    collection_name: str


class RagComponentHealth(BaseModel):
    name: str
    status: Status
    latency: float = Field(description="Milliseconds, as is `latency_ms`.")
    latency_ms: float
    message: str


class RagHealth(BaseModel):
    status: Status
    database: str
    components: dict[str, RagComponentHealth]
    last_check: datetime
    issues: list[str] | None
