"""Wire models of queries."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

Status = Literal["healthy", "degraded", "unhealthy"]
MAX_QUERY_CHARS = 20_000


class RagQuery(BaseModel):
    """A question to one database. Keys that are not listed are ignored."""

    query: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_QUERY_CHARS)]
    database: str | None = Field(None, description="Default: the project's default database, else its first.")
    data_processing_strategy: str | None = Field(None, description="Without effect on a query, which a note says.")
    retrieval_strategy: str | None = Field(
        None, description="A strategy of the database, or semantic, vector, bm25, keyword, hybrid or mmr."
    )
    top_k: int = Field(5, ge=1, le=100)
    score_threshold: float | None = Field(None, ge=0, le=1, description="Hits with a lower score are left out.")
    metadata_filters: dict[str, Any] | None = Field(
        None, description='`{"key": value}`, `{"key": [any, of]}` or `{"key": {"$gte": 3}}`; all must hold.'
    )
    distance_metric: str | None = Field(None, description="Must be the one that the database was made with.")
    hybrid_alpha: float | None = Field(None, ge=0, le=1, description="Weight of vectors where a strategy fuses.")
    rerank_model: str | None = Field(
        None, description="Name of a model in runtime.models whose server reranks (`POST …/v1/rerank`) what was found."
    )
    query_expansion: bool = Field(False, description="Asks up to three wordings of the question, made by rule.")
    max_tokens: int | None = Field(None, ge=1, le=8192, description="Most tokens of each result's content.")
    explain: bool = Field(False, description="Adds the score of every stage to each result.")


class RagHit(BaseModel):
    content: str
    score: float = Field(description="In [0, 1]; higher is better, in every strategy.")
    metadata: dict[str, Any]
    chunk_id: str
    document_id: str
    scores: dict[str, float] | None = None


class RagAnswer(BaseModel):
    query: str
    results: list[RagHit]
    total_results: int
    processing_time_ms: float
    retrieval_strategy_used: str
    database_used: str
    notes: list[str] = Field(default_factory=list, description="Stages that were skipped or fell back, and why.")
