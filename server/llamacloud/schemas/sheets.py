"""Wire models of spreadsheet jobs. What is sent besides is accepted and ignored."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, Field, StringConstraints, model_validator

from server.llamacloud.schemas.files import FileView
from server.llamacloud.schemas.text import FirstStatus, Name, Plain

RegionType: TypeAlias = Literal["table", "extra"]
ResultType: TypeAlias = Literal["table", "extra", "cell_metadata"]


class SheetsConfig(BaseModel):
    """How a workbook is read; null is the same as absent."""

    extraction_range: Annotated[Plain, StringConstraints(max_length=300)] | None = Field(
        None, description="A1 notation of the one region to extract; absent: all regions of each sheet."
    )
    flatten_hierarchical_tables: bool = Field(
        False, description="Join column names of several rows into one, and fill the labels of groups down."
    )
    generate_additional_metadata: bool = Field(True, description="Titles and descriptions of regions and sheets.")
    include_hidden_cells: bool = Field(True, description="False: leave out hidden sheets, rows and columns.")
    sheet_names: Annotated[list[Name], Field(max_length=1_000)] | None = Field(None, description="Empty: all sheets.")
    specialization: Literal["financial-standard", "financial-enhanced", "financial-precise"] | None = Field(
        None, description="Not applied; the job says so in `errors`."
    )
    table_merge_sensitivity: Literal["strong", "weak"] = Field(
        "strong", description="strong: blocks that go on behind a small gap belong to one table; weak: they do not."
    )
    use_experimental_processing: bool = Field(False, description="Not applied; the job says so in `errors`.")
    tier: Literal["agentic", "cost_effective"] | None = Field(
        None, description="There is one way, by rules; for `agentic` the job says so in `errors`."
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


class SheetsCreate(BaseModel):
    file_id: Name
    config: SheetsConfig | None = None
    configuration: SheetsConfig | None = Field(None, description="What newer clients call `config`.")
    configuration_id: str | None = Field(None, description="A saved configuration of product `spreadsheet_v1`.")
    webhook_configurations: list[Any] | None = Field(None, description="Nothing is sent; the job says so in `errors`.")


class SheetsRegion(BaseModel):
    region_id: str
    sheet_name: str
    location: str = Field(description="A1 notation, such as A3:D10.")
    region_type: RegionType
    title: str | None
    description: str | None


class WorksheetMetadata(BaseModel):
    sheet_name: str
    title: str | None
    description: str | None


class SheetsJobView(BaseModel):
    """A spreadsheet job; regions, sheets and errors are there once it has ended."""

    id: str
    config: SheetsConfig
    configuration_id: str | None
    created_at: datetime
    updated_at: datetime
    file_id: str
    file: FileView
    project_id: str
    user_id: str
    status: FirstStatus
    success: bool | None = Field(description="Null until the job has ended; true also where it succeeded in part.")
    errors: list[str] = Field(description="What went wrong, and what of the configuration was not applied.")
    regions: list[SheetsRegion]
    worksheet_metadata: list[WorksheetMetadata]


class SheetsPage(BaseModel):
    items: list[SheetsJobView]
    next_page_token: str | None = Field(description="Null on the last page.")
    total_size: int
