"""Wire models of the examples."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

Kind = Literal["pdf", "csv", "markdown", "images", "json"]


class ExampleView(BaseModel):
    id: str
    slug: str
    title: str
    description: str
    primaryModel: str | None = Field(description="The model that answers by default.")  # noqa: N815 - its name on the wire
    tags: list[str]
    dataset_count: int
    data_size_bytes: int = Field(description="Of the files of all datasets.")
    data_size_human: str
    project_size_bytes: int = Field(description="Of the configuration and the manifest.")
    project_size_human: str
    updated_at: datetime


class ExampleList(BaseModel):
    examples: list[ExampleView]


class ExampleDatasetView(BaseModel):
    example_id: str
    example_title: str
    name: str
    strategy: str | None
    database: str | None
    kind: Kind | None = Field(description="What most of its files are; null when they are something else or mixed.")
    ingest: list[str] = Field(description="Patterns of file names in the example's folder.")
    size_bytes: int
    size_human: str


class ExampleDatasetList(BaseModel):
    datasets: list[ExampleDatasetView]


class ImportProject(BaseModel):
    namespace: str
    name: str
    process: bool = Field(True, description="Process the files at once.")


class ImportData(BaseModel):
    namespace: str
    project: str = Field(description="A project that exists.")
    include_strategies: bool = Field(
        True, description="Also add the databases and processing strategies that the project does not have."
    )
    process: bool = Field(True, description="Process the files at once.")


class ImportDataset(ImportData):
    dataset: str = Field(description="A dataset of the example.")
    target_dataset: str | None = Field(None, description="Its name in the project; default: the same.")


class Imported(BaseModel):
    project: str
    namespace: str
    datasets: list[str]
    task_ids: list[str] = Field(description="One per dataset with files; empty without `process`.")
    warnings: list[str] = Field(default_factory=list, description="What differs from the example, and why.")


class ImportedDataset(BaseModel):
    project: str
    namespace: str
    dataset: str
    file_count: int
    task_id: str | None
    warnings: list[str] = Field(default_factory=list, description="What differs from the example, and why.")
