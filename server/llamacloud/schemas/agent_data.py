"""Wire models of agent data. What is sent besides is accepted and ignored."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator

from server.llamacloud.schemas.noticing import PLACES
from state.cloud.agent_data import MAX_OFFSET


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("U+0000 cannot stand in it")
    return text


PlaceName = Annotated[str, StringConstraints(min_length=1, max_length=300), AfterValidator(_without_nul)]
FieldName = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Operand = bool | int | float | str
"""A text that is a date or a time of ISO 8601 is compared as such with others."""
DEFAULT_COLLECTION = "default"
DEFAULT_PAGE_SIZE = 10


class FilterOperation(BaseModel):
    """All operations that are given have to hold."""

    eq: Operand | None = None
    ne: Operand | None = Field(None, description="Also holds where the field is missing.")
    gt: Operand | None = Field(None, description="Numbers with numbers, times with times, texts with texts.")
    gte: Operand | None = None
    lt: Operand | None = None
    lte: Operand | None = None
    includes: list[Operand | None] | None = Field(
        None, description="The value, or an entry of a list, is one of these; null among them is an explicit null."
    )
    excludes: list[Operand | None] | None = Field(None, description="The opposite of `includes`.")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, sent: Any) -> Any:
        """A condition that is left out finds more than was meant, and deletes it."""
        unknown = [str(each) for each in sent if each not in cls.model_fields] if isinstance(sent, dict) else []
        if unknown:
            raise ValueError(f"no operation {unknown[0][:100]!r}. Known: {', '.join(cls.model_fields)}")
        return sent


class AgentDataCreate(BaseModel):
    data: dict[str, Any]
    deployment_name: PlaceName
    collection: PlaceName | None = Field(None, description=f"Absent: `{DEFAULT_COLLECTION}`.")


class AgentDataUpdate(BaseModel):
    data: dict[str, Any] = Field(description="Takes the place of the whole document.")


class AgentDataQuery(BaseModel):
    """Which documents: of one collection of one deployment, and meeting the filter."""

    deployment_name: PlaceName
    collection: PlaceName | None = Field(None, description=f"Absent: `{DEFAULT_COLLECTION}`.")
    filter: dict[FieldName, FilterOperation] | None = Field(
        None,
        description="Field of `data` → operations; dots lead into objects. "
        "`created_at` and `updated_at` are the item's.",
    )

    def operations(self) -> dict[str, dict[str, Any]]:
        return {name: each.model_dump(exclude_none=True) for name, each in (self.filter or {}).items()}


class AgentDataDelete(AgentDataQuery):
    """Nothing unknown is accepted here: a filter under another name would delete everything."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, sent: Any) -> Any:
        known = sorted({*cls.model_fields, *PLACES})
        unknown = [str(each) for each in sent if each not in known] if isinstance(sent, dict) else []
        if unknown:
            raise ValueError(f"unknown field {unknown[0][:100]!r}, nothing deleted. Known: {', '.join(known)}")
        return sent

    @model_validator(mode="after")
    def _refuse_open(self) -> Self:
        if open_ones := [name for name, operations in self.operations().items() if not operations]:
            raise ValueError(
                f"filter.{open_ones[0][:100]} restricts nothing, nothing was deleted: give it an operation with a "
                "value (null: {'includes': [null]}), or leave the filter out to delete the whole collection"
            )
        return self


class AgentDataPaged(AgentDataQuery):
    offset: int | None = Field(None, ge=0, le=MAX_OFFSET, description="Counts on the first page only.")
    order_by: str | None = Field(
        None,
        max_length=10_000,
        description="`field, other desc`. Fields of `data` may carry the prefix `data.`. Values of several kinds come "
        "as numbers, times, texts, truth values; documents without the field come last.",
    )
    page_size: int | None = Field(None, description=f"Absent: {DEFAULT_PAGE_SIZE}; more than 1000 is taken for 1000.")
    page_token: str | None = None


class AgentDataSearch(AgentDataPaged):
    include_total: bool | None = None


class AgentDataAggregate(AgentDataPaged):
    """`order_by` names fields of `group_by`, or `count`."""

    group_by: list[FieldName] | None = Field(None, description="Absent or empty: everything is one group.")
    count: bool | None = None
    first: bool | None = None


class AgentData(BaseModel):
    data: dict[str, Any]
    deployment_name: str
    id: str
    collection: str
    project_id: str
    created_at: datetime
    updated_at: datetime


class AgentDataPage(BaseModel):
    items: list[AgentData]
    next_page_token: str | None = None
    total_size: int | None = Field(None, description="Only where `include_total` asks for it.")


class AggregateGroup(BaseModel):
    group_key: dict[str, Any]
    count: int | None = None
    first_item: dict[str, Any] | None = Field(None, description="`data` of the oldest item.")


class AggregatePage(BaseModel):
    items: list[AggregateGroup]
    next_page_token: str | None = None
    total_size: int | None = Field(None, description="Always null: groups are not counted.")


class AgentDataDeleted(BaseModel):
    deleted_count: int
