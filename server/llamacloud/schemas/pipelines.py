"""Pipelines, as the published reference and the vendor's clients name their parts."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field, StringConstraints, field_validator

from server.llamacloud.schemas.text import JsonMap, Key, Name, Plain, brought_up

PipelineName = Annotated[
    Name,
    StringConstraints(max_length=300),
    BeforeValidator(lambda value: value.strip() if isinstance(value, str) else value),
]
IngestionWord = Literal["NOT_STARTED", "IN_PROGRESS", "SUCCESS", "PARTIAL_SUCCESS", "ERROR", "CANCELLED"]
FileWord = Literal["NOT_STARTED", "IN_PROGRESS", "SUCCESS", "ERROR", "CANCELLED"]
RetrievalMode = Literal["chunks", "files_via_metadata", "files_via_content", "auto_routed"]
MAX_FILES = 10_000
MAX_INTERVAL_S = 366 * 86_400


class RetrievalOptions(BaseModel):
    """How a pipeline is searched; what is absent is as `preset_retrieval_parameters` of the pipeline says."""

    dense_similarity_top_k: int | None = Field(None, ge=0, le=1000, description="Candidates by meaning; 0: none.")
    sparse_similarity_top_k: int | None = Field(None, ge=0, le=1000, description="Candidates by words; 0: none.")
    dense_similarity_cutoff: float | None = Field(None, allow_inf_nan=False, description="Least similarity in meaning.")
    alpha: float | None = Field(None, ge=0, le=1, allow_inf_nan=False, description="1: by meaning alone; 0: by words.")
    enable_reranking: bool | None = Field(None, description="Where the project has a reranker; default: true.")
    rerank_top_n: int | None = Field(None, ge=1, le=1000, description="Results while reranking is on.")
    retrieval_mode: RetrievalMode | None = Field(None, description="Passages, or whole files. Default: chunks.")
    files_top_k: int | None = Field(None, ge=1, le=100, description="Files, in the modes that find files. Default: 5.")
    search_filters: JsonMap | None = Field(None, description="{filters: [{key, operator, value} …], condition}.")
    search_filters_inference_schema: JsonMap | None = Field(None, description="No effect; the answer says so.")
    retrieve_image_nodes: bool | None = Field(None, description="No effect: no pictures are kept.")
    retrieve_page_screenshot_nodes: bool | None = Field(None, description="No effect: no pictures are kept.")
    retrieve_page_figure_nodes: bool | None = Field(None, description="No effect: no pictures are kept.")


class PipelineSettings(BaseModel):
    """What can be said of a pipeline."""

    embedding_model: Plain | None = Field(None, max_length=500, description="Absent: the project's default.")
    embedding_config: JsonMap | None = Field(None, description="`component.model_name` is another `embedding_model`.")
    sync_interval: int | None = Field(
        None, ge=0, le=MAX_INTERVAL_S, description="Seconds; 0: only when asked for; less than 60 are made 60."
    )
    transform_config: JsonMap | None = Field(None, description="How text is cut: {mode, chunk_size, chunk_overlap}, …")
    llama_parse_parameters: JsonMap | None = Field(None, description="Those without effect: `ignored_parameters`.")
    preset_retrieval_parameters: RetrievalOptions | None = None
    sparse_model_config: JsonMap | None = Field(None, description="`model_type`: bm25 and auto; others are bm25.")
    metadata_config: JsonMap | None = Field(None, description="No effect: metadata is not embedded.")
    pipeline_type: Plain | None = Field(None, description="Every pipeline is MANAGED.")
    managed_pipeline_id: Plain | None = None
    data_sink: JsonMap | None = Field(None, description="Refused: vectors stay in this house.")
    data_sink_id: Plain | None = Field(None, description="Refused, as `data_sink`.")
    embedding_model_config_id: Plain | None = Field(None, description="Refused: name the model itself.")

    @field_validator("preset_retrieval_parameters", mode="before")
    @classmethod
    def _empty(cls, value: Any) -> Any:
        return None if value == {} else value

    _interval = field_validator("sync_interval")(brought_up)


class PipelineCreate(PipelineSettings):
    name: PipelineName
    project_id: Key | None = Field(None, description="Also accepted in the query.")


class PipelineUpdate(PipelineSettings):
    """What is absent stays."""

    name: PipelineName | None = None


class PipelineView(BaseModel):
    id: str
    name: str
    project_id: str
    status: Literal["active", "syncing", "error", "idle", "CREATED", "DELETING"] = Field(
        description="The first four; the last two for the vendor's clients."
    )
    embedding_model: str
    embedding_dimension: int | None
    embedding_config: JsonMap
    sync_interval: int | None
    pipeline_type: Literal["MANAGED"] = "MANAGED"
    config_hash: JsonMap
    transform_config: JsonMap
    preset_retrieval_parameters: JsonMap
    llama_parse_parameters: JsonMap
    sparse_model_config: JsonMap | None
    metadata_config: JsonMap | None
    managed_pipeline_id: str | None = None
    data_sink: JsonMap | None = None
    ignored_parameters: list[str] = Field(description="What was asked for and has no effect.")
    created_at: datetime
    updated_at: datetime


class PipelineSummary(BaseModel):
    """A pipeline in a list by pages."""

    id: str
    name: str
    project_id: str
    pipeline_type: Literal["MANAGED"] = "MANAGED"
    status: Literal["CREATED"] = "CREATED"
    created_at: datetime
    updated_at: datetime


class PipelinePage(BaseModel):
    items: list[PipelineSummary]
    next_page_token: str | None
    total_size: int


class SyncJobView(BaseModel):
    """The sync of a pipeline."""

    id: str
    pipeline_id: str
    status: Literal["pending", "running", "completed", "failed"]
    created_at: datetime
    completed_at: datetime | None


class IngestionError(BaseModel):
    job_id: str
    message: str
    step: Literal["MANAGED_INGESTION", "PARSE"]


class IngestionStatus(BaseModel):
    """How far a pipeline, or a file in it, is."""

    status: IngestionWord
    job_id: str | None = None
    deployment_date: datetime | None = Field(None, description="When it was last in step with its files.")
    effective_at: datetime | None = None
    error: list[IngestionError] = Field(default_factory=list)


class PipelineFileInput(BaseModel):
    file_id: Key
    metadata: JsonMap | None = Field(
        None,
        validation_alias=AliasChoices("metadata", "custom_metadata"),
        description="Comes back with each passage of the file, and can be filtered by.",
    )


class PipelineFileUpdate(BaseModel):
    metadata: JsonMap | None = Field(
        None,
        validation_alias=AliasChoices("custom_metadata", "metadata"),
        description="Takes the place of what was there.",
    )


class PipelineFileView(BaseModel):
    """A file of a pipeline."""

    id: str
    file_id: str | None
    pipeline_id: str
    project_id: str
    name: str
    status: Literal[
        "pending", "processing", "completed", "error", "NOT_STARTED", "IN_PROGRESS", "SUCCESS", "ERROR", "CANCELLED"
    ] = Field(description="Small words; capital ones for the vendor's clients.")
    status_message: str | None = Field(None, description="Why it failed.")
    metadata: JsonMap
    custom_metadata: JsonMap
    chunk_count: int
    data_source_id: str | None = None
    external_file_id: str | None = None
    file_size: int | None = None
    file_type: str | None = None
    indexed_page_count: int | None = None
    created_at: datetime
    updated_at: datetime


class PipelineFilePage(BaseModel):
    files: list[PipelineFileView]
    total_count: int
    limit: int
    offset: int


class PipelineFileCounts(BaseModel):
    """`total` is the sum of the others."""

    total: int
    pending: int
    processing: int
    completed: int
    error: int


class PipelineStatusCounts(BaseModel):
    counts: dict[FileWord, int]
    total_count: int
    pipeline_id: str
    data_source_id: str | None = None
    only_manually_uploaded: bool | None = None


class PipelineRetrieveRequest(RetrievalOptions):
    query: Plain = Field(min_length=1)
    mode: Literal["fast", "accurate", "advanced"] | None = Field(
        None, description="fast: by meaning alone; accurate: by words too, reranked; advanced: also in other words."
    )
    top_k: int | None = Field(None, ge=1, description="Most results. Default: 6; more than 500 are 500.")


class RetrievalResult(BaseModel):
    text: str
    score: float
    metadata: JsonMap


class RetrievalNode(BaseModel):
    """A result as the vendor's clients read it."""

    node: JsonMap = Field(description="id_, text, extra_info, start_char_idx, end_char_idx, …")
    score: float
    class_name: str = "NodeWithScore"


class PipelineRetrieveResponse(BaseModel):
    """Best first; `results` and `retrieval_nodes` say the same twice."""

    results: list[RetrievalResult]
    pipeline_id: str
    retrieval_nodes: list[RetrievalNode]
    image_nodes: list[JsonMap] = Field(default_factory=list, description="Always empty.")
    page_figure_nodes: list[JsonMap] = Field(default_factory=list, description="Always empty.")
    inferred_search_filters: JsonMap | None = None
    metadata: dict[str, str] = Field(description="`retrieval_mode` as it was used, and what had no effect.")
    retrieval_latency: dict[str, float]
    class_name: str = "RetrieveResults"
