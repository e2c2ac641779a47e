"""Wire models of split jobs. What is sent besides is accepted, has no effect, and is named in the job."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StringConstraints

from rag.splitting.segments import Policy
from server.llamacloud.schemas.noticing import Noticing
from server.llamacloud.schemas.text import Plain

SplitStatus: TypeAlias = Literal["pending", "processing", "completed", "failed", "cancelled"]
DEFAULT_POLICY: Policy = "forbid"
MAX_CATEGORIES = 50


def _policy(value: Any) -> Any:
    """Older clients say yes or no."""
    return {True: "include", False: "forbid"}[value] if isinstance(value, bool) else value


class SplitCategory(BaseModel):
    name: Annotated[Plain, StringConstraints(min_length=1, max_length=200)]
    description: Annotated[Plain, StringConstraints(max_length=2_000)] | None = None


def _different(categories: list[SplitCategory]) -> list[SplitCategory]:
    names = [each.name.strip() for each in categories]
    if len(set(names)) < len(names) or "" in names:
        raise ValueError("each category needs a name of its own")
    if "uncategorized" in names:
        raise ValueError("'uncategorized' names the pages that fit no category: call this one something else")
    return categories


Categories = Annotated[list[SplitCategory], Field(min_length=1, max_length=MAX_CATEGORIES), AfterValidator(_different)]


class SplittingStrategy(Noticing):
    without_effect: ClassVar[frozenset[str]] = frozenset({"custom_instructions"})

    allow_uncategorized: Annotated[Policy, BeforeValidator(_policy)] | None = Field(
        None,
        description="forbid (the default): every page gets one of the categories; include: pages that fit none are "
        "`uncategorized`; omit: those are left out. true stands for include, false for forbid.",
    )
    min_pages_per_split: int | None = Field(None, ge=1, description="Shorter segments are joined to a neighbour.")
    custom_instructions: str | None = Field(None, description="No effect; the job says so in `ignored_parameters`.")


class SplitConfiguration(Noticing):
    categories: Categories
    splitting_strategy: SplittingStrategy | None = None
    target_pages: Annotated[Plain, StringConstraints(max_length=2_000)] | None = Field(
        None, description="Which pages to split: pages and ranges such as `1,3-5`, counted from 1. Absent: all."
    )


class SplitDocumentInput(BaseModel):
    type: Literal["file_id"]
    value: str


class SplitCreate(Noticing):
    """The document stands in `document_input` or `file_input`; the configuration in `configuration`, at the top, or is
    named by `configuration_id`."""

    document_input: SplitDocumentInput | None = None
    file_input: str | None = Field(None, description="Id of a file, or of a parse job.")
    configuration: SplitConfiguration | None = None
    configuration_id: str | None = None
    categories: Categories | None = Field(None, description="As older clients send it, without `configuration`.")
    splitting_strategy: SplittingStrategy | None = Field(None, description="As older clients send it.")


class SplitInputView(BaseModel):
    type: str
    value: str


class SplitSegmentView(BaseModel):
    category: str
    confidence_category: Literal["high", "medium", "low"]
    confidence: float = Field(description="From 0 to 1: what `confidence_category` is made of.")
    pages: list[int] = Field(description="Consecutive, counted from 1.")


class SplitResult(BaseModel):
    segments: list[SplitSegmentView]


class SplitStrategyView(BaseModel):
    allow_uncategorized: Policy
    min_pages_per_split: int | None = None


class SplitJobView(BaseModel):
    id: str
    categories: list[SplitCategory]
    document_input: SplitInputView
    document_input_type: str
    file_input: str
    project_id: str
    user_id: str
    status: SplitStatus
    splitting_strategy: SplitStrategyView
    configuration_id: str | None = None
    target_pages: str | None = None
    ignored_parameters: list[str] = Field(default_factory=list, description="What was sent and has no effect.")
    error_message: str | None = None
    result: SplitResult | None = None
    created_at: datetime
    updated_at: datetime


class SplitPage(BaseModel):
    items: list[SplitJobView]
    next_page_token: str | None = None
    total_size: int
