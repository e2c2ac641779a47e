"""Wire models of classify jobs, in both generations. What is sent besides is accepted, has no
effect, and is named in the job."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from server.llamacloud.schemas.noticing import Noticing
from server.llamacloud.schemas.text import FirstStatus, Plain

ClassifyStatus: TypeAlias = Literal["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"]
MAX_RULES = 50
MAX_FILES = 1_000
MAX_PAGES = 100_000


class ClassifyRule(BaseModel):
    type: Annotated[Plain, StringConstraints(min_length=1, max_length=200)]
    description: Annotated[Plain, StringConstraints(max_length=2_000)] = Field(description="What makes a file of it.")


def _different(rules: list[ClassifyRule]) -> list[ClassifyRule]:
    if len({each.type for each in rules}) < len(rules):
        raise ValueError("each rule needs a type of its own")
    return rules


Rules = Annotated[list[ClassifyRule], Field(min_length=1, max_length=MAX_RULES), AfterValidator(_different)]
PageIndex = Annotated[int, Field(ge=0, le=MAX_PAGES)]


class ClassifierParsing(Noticing):
    without_effect: ClassVar[frozenset[str]] = frozenset({"lang"})

    lang: str | None = Field(None, description="No effect: files are classified by their text layer.")
    max_pages: int | None = Field(None, ge=0, le=MAX_PAGES, description="0: all.")
    target_pages: Annotated[list[PageIndex], Field(max_length=10_000)] | None = Field(
        None, description="Counted from 0."
    )


class ClassifierConfig(Noticing):
    """What files are classified with: by a job of the first generation, and by a batch."""

    rules: Rules
    mode: Literal["FAST", "MULTIMODAL"] | None = Field(
        None, description="FAST is by text. MULTIMODAL needs a model that sees, and is refused."
    )
    parsing_configuration: ClassifierParsing | None = None


class ClassifierCreate(ClassifierConfig):
    file_ids: list[str] = Field(min_length=1, max_length=MAX_FILES)


class ClassifierJobView(BaseModel):
    id: str
    project_id: str
    user_id: str
    rules: list[ClassifyRule]
    status: FirstStatus
    mode: Literal["FAST"] = "FAST"
    parsing_configuration: dict[str, Any] | None = None
    ignored_parameters: list[str] = Field(default_factory=list, description="What was sent and has no effect.")
    error_message: str | None = None
    job_record_id: str
    created_at: datetime
    updated_at: datetime
    effective_at: datetime


class ClassifierJobPage(BaseModel):
    items: list[ClassifierJobView]
    next_page_token: str | None = None
    total_size: int


class ClassifyResult(BaseModel):
    type: str | None = Field(None, description="Null when no rule fits.")
    confidence: float
    reasoning: str


class FileClassification(BaseModel):
    id: str
    classify_job_id: str
    file_id: str
    result: ClassifyResult | None = Field(None, description="Null until the file was looked at, or if that failed.")
    error_message: str | None = None
    created_at: datetime
    updated_at: datetime


class ClassifierResults(BaseModel):
    items: list[FileClassification]
    next_page_token: str | None = None
    total_size: int


class ClassifyParsing(Noticing):
    without_effect: ClassVar[frozenset[str]] = frozenset({"lang"})

    lang: str | None = Field(None, description="No effect: files are classified by their text layer.")
    max_pages: int | None = Field(None, ge=0, le=MAX_PAGES)
    target_pages: Annotated[Plain, StringConstraints(max_length=2_000)] | None = Field(
        None, description="Pages and ranges such as `1,3-5`, counted from 1."
    )


class ClassifyConfiguration(Noticing):
    rules: Rules
    mode: Literal["FAST"] | None = None
    parsing_configuration: ClassifyParsing | None = None


class ClassifyCreate(Noticing):
    """The document is a file or a parse job; the former names of `file_input` are accepted as well."""

    file_input: str | None = None
    file_id: str | None = None
    parse_job_id: str | None = None
    configuration: ClassifyConfiguration | None = None
    configuration_id: str | None = None


class ClassifyView(BaseModel):
    id: str
    configuration: dict[str, Any]
    configuration_id: str | None = None
    ignored_parameters: list[str] = Field(default_factory=list, description="What was sent and has no effect.")
    document_input_type: str
    file_input: str
    parse_job_id: str | None = None
    project_id: str
    user_id: str
    status: ClassifyStatus
    error_message: str | None = None
    result: ClassifyResult | None = None
    created_at: datetime
    updated_at: datetime


class ClassifyPage(BaseModel):
    items: list[ClassifyView]
    next_page_token: str | None = None
    total_size: int
