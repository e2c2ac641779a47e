"""Extraction agents, jobs, results and runs: the published reference's keys, and those that the vendor's clients read
beside them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from server.llamacloud.schemas.noticing import Noticing
from server.llamacloud.schemas.text import Name, Plain

Json = dict[str, Any]
DataSchema = dict[str, Any] | Annotated[str, StringConstraints(max_length=200_000)]
"""A JSON Schema of an object, or its JSON text."""
Config = dict[str, Any]
Id = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Prompt = Annotated[Plain, StringConstraints(max_length=20_000)]
MAX_FILES = 1_000


class AgentCreate(BaseModel):
    name: Name
    project_id: str | None = Field(None, description="In the body or in the query.")
    data_schema: DataSchema | None = Field(
        None, description="Absent: made from `prompt`, or from the documents of the first job."
    )
    description: Plain | None = None
    prompt: Prompt | None = Field(None, description="What is to be read, in words.")
    config: Config | None = Field(None, description="Options of extraction; see the documentation for their effect.")


class AgentUpdate(BaseModel):
    """What is absent stays as it is."""

    name: Name | None = None
    data_schema: DataSchema | None = None
    description: Plain | None = None
    prompt: Prompt | None = None
    config: Config | None = None


class AgentView(BaseModel):
    """An extraction agent: a schema and options under a name."""

    id: str
    name: str
    project_id: str
    data_schema: Json = Field(description="Empty until it is known.")
    description: str | None
    prompt: str | None
    config: Config
    custom_configuration: Literal["default"] | None = None
    created_at: datetime
    updated_at: datetime


class AgentPage(BaseModel):
    items: list[AgentView]
    next_page_token: str | None
    total_size: int


class AgentDeleted(BaseModel):
    id: str
    deleted: bool = True


class JobCreate(Noticing):
    """Either `file_ids`, or `file_id` as the vendor's clients send it."""

    extraction_agent_id: Id
    file_ids: Annotated[list[Id], Field(max_length=MAX_FILES)] | None = None
    file_id: Id | None = None
    data_schema_override: DataSchema | None = None
    config_override: Config | None = None
    priority: str | None = Field(None, description="low, medium, high or critical: which waiting job is taken first.")


class BatchCreate(Noticing):
    """One job for each file."""

    extraction_agent_id: Id
    file_ids: Annotated[list[Id], Field(min_length=1, max_length=MAX_FILES)]
    data_schema_override: DataSchema | None = None
    config_override: Config | None = None


class FileData(BaseModel):
    data: str = Field(description="The bytes in base64.")
    mime_type: Annotated[str, StringConstraints(max_length=200)]


class StatelessRun(Noticing):
    """One of `file_id`, `text` and `file`."""

    config: Config | None = None
    data_schema: DataSchema
    file_id: Id | None = None
    text: str | None = Field(None, description="Plain text to read in place of a file.")
    file: FileData | None = None


class ExtractedFile(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: str
    name: str
    project_id: str
    file_size: int | None = None
    file_type: str | None = None
    content_type: str | None = None
    external_file_id: str | None = None
    purpose: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class JobView(BaseModel):
    """`status` is pending, processing, completed or failed; for the vendor's clients, and for a job made with
    `file_id`, PENDING, SUCCESS, PARTIAL_SUCCESS, ERROR or CANCELLED."""

    id: str
    extraction_agent_id: str
    status: Literal[
        "pending", "processing", "completed", "failed", "PENDING", "SUCCESS", "PARTIAL_SUCCESS", "ERROR", "CANCELLED"
    ]
    file_ids: list[str]
    created_at: datetime
    completed_at: datetime | None
    updated_at: datetime
    project_id: str
    extraction_agent: AgentView
    file: ExtractedFile | None = Field(description="Of a job for one file.")
    file_id: str | None
    error: str | None


class FileResult(BaseModel):
    file_id: str
    file_name: str
    data: Any = Field(description="An object; a list of them where the agent reads by page or by table row.")
    status: Literal["success", "error"]
    error: str | None
    extraction_metadata: Json = Field(description="Of each value: quote, page, position and confidence.")


class ResultView(BaseModel):
    job_id: str
    results: list[FileResult] = Field(description="One for each file, in the order of `file_ids`.")
    run_id: str
    extraction_agent_id: str
    data: Any = Field(
        description="Of one file; of several a list in the order of `file_ids`, null for a file that failed."
    )
    extraction_metadata: Json


class RunView(BaseModel):
    """What a job did to one file."""

    id: str
    job_id: str
    extraction_agent_id: str
    project_id: str
    data_schema: Json
    config: Config
    status: Literal["CREATED", "PENDING", "SUCCESS", "ERROR"]
    from_ui: bool = False
    data: Any
    extraction_metadata: Json | None
    error: str | None
    file: ExtractedFile
    file_id: str
    created_at: datetime
    updated_at: datetime


class RunPage(BaseModel):
    items: list[RunView]
    total: int
    skip: int
    limit: int


class SchemaCheck(BaseModel):
    data_schema: DataSchema


class SchemaWish(BaseModel):
    """At least one of them."""

    prompt: Prompt | None = None
    file_id: Id | None = Field(None, description="An example document.")
    data_schema: DataSchema | None = Field(None, description="A draft whose fields are kept.")
    name: Name | None = None


class SchemaView(BaseModel):
    data_schema: Json
