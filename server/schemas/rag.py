"""Wire models of queries."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints

Status = Literal["healthy", "degraded", "unhealthy"]
MAX_QUERY_CHARS = 20_000


class RagStageChoice(BaseModel):
    """A stage of a query: its type and, beside it, its options; an option that it does not have is refused."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(max_length=100)


RagStageValue = RagStageChoice | Annotated[str, StringConstraints(max_length=100)] | Literal[False]
"""False leaves out the one that the strategy has."""


class RagMessage(BaseModel):
    role: Literal["user", "assistant"]
    content: str = Field(max_length=MAX_QUERY_CHARS)


class RagQuery(BaseModel):
    """A question to one database. Keys that are not listed are ignored, which a note says."""

    model_config = ConfigDict(extra="allow")

    query: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_QUERY_CHARS)]
    database: str | None = Field(None, description="Default: the project's default database, else its first.")
    data_processing_strategy: str | None = Field(None, description="Without effect on a query, which a note says.")
    retrieval_strategy: str | None = Field(
        None, description="A strategy of the database, or semantic, vector, bm25, keyword, hybrid or mmr."
    )
    top_k: int = Field(5, ge=1, le=100)
    score_threshold: float | None = Field(None, ge=0, le=1, description="Hits with a lower score are left out.")
    metadata_filters: dict[str, Any] | None = Field(
        None,
        validation_alias=AliasChoices("metadata_filters", "filters", "where"),
        description='`{"key": value}`, `{"key": [any, of]}` or `{"key": {"$gte": 3}}`; all must hold. `filters` and '
        "`where` are other names.",
    )
    distance_metric: str | None = Field(None, description="Must be the one that the database was made with.")
    hybrid_alpha: float | None = Field(None, ge=0, le=1, description="Weight of vectors where a strategy fuses.")
    rerank_model: str | None = Field(
        None, description="Name of a model in runtime.models whose server reranks (`POST …/v1/rerank`) what was found."
    )
    query_expansion: bool = Field(False, description="Asks up to three wordings of the question, made by rule.")
    max_tokens: int | None = Field(None, ge=1, le=8192, description="Most tokens of each result's content.")
    query_transform: RagStageValue | Annotated[list[RagStageChoice | str], Field(max_length=4)] | None = Field(
        None,
        description="Instead of the strategy's own: multi_query, hyde, decomposition, conversational or expansion, "
        "with options as `{type: …}`; several in a list; false for none.",
    )
    reranker: RagStageValue | None = Field(
        None,
        description="Instead of the strategy's own: cross_encoder, late_interaction, llm or remote; false for none.",
    )
    expand: RagStageValue | None = Field(
        None, description="Instead of the strategy's own: neighbours or parent; false for none."
    )
    collapse_duplicates: bool | None = Field(None, description="Whether passages that say the same are one result.")
    messages: Annotated[list[RagMessage], Field(max_length=100)] | None = Field(
        None, description="The conversation before the question, for the query transform `conversational`."
    )
    explain: bool = Field(False, description="Adds every stage of the search, and its scores to each result.")


class RagHit(BaseModel):
    content: str
    score: float = Field(description="In [0, 1]; higher is better, in every strategy.")
    metadata: dict[str, Any]
    chunk_id: str
    document_id: str
    scores: dict[str, float] | None = None


class RagStageCandidate(BaseModel):
    chunk_id: str
    score: float


class RagStage(BaseModel):
    """What one stage of a search did."""

    stage: str = Field(description="vectors, words, fusion, collapse, rerank, expand …, or a query transform.")
    ms: float
    candidates_in: int | None = Field(None, description="Absent for a stage that searches the whole database.")
    candidates_out: int | None = None
    top: list[RagStageCandidate] = Field(default_factory=list, description="The best that came out, best first.")
    queries: list[str] = Field(default_factory=list, description="What was searched for, or made of the question.")
    notes: list[str] = Field(default_factory=list, description="Why it was skipped or cut short.")


class RagAnswer(BaseModel):
    query: str
    results: list[RagHit]
    total_results: int
    processing_time_ms: float
    retrieval_strategy_used: str
    database_used: str
    notes: list[str] = Field(default_factory=list, description="Stages that were skipped or fell back, and why.")
    stages: list[RagStage] | None = Field(None, description="With `explain`: in the order in which they began.")
