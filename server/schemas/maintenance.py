"""Wire models of the routes that look after a database; the fields are those that the `lf` command reads."""

from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints

MAX_NAMES = 1_000
Text = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]


class Compacted(BaseModel):
    success: bool
    vectors_before: int
    vectors_after: int
    space_saved_bytes: int
    duration_seconds: float
    message: str


class Reindexed(BaseModel):
    success: bool = Field(description="Whether all is done, and without a failure.")
    documents_processed: int
    chunks_created: int
    duration_seconds: float
    errors: list[str]
    task_ids: list[str] = Field(description="Tasks that go on if this answer came before their end.")


class Cleared(BaseModel):
    success: bool
    documents_cleared: int
    chunks_cleared: int
    message: str


class DocumentSelection(BaseModel):
    """Documents that are named by any of `ids` or `filenames`; with `metadata`, only those that match it as well."""

    database: str | None = Field(None, description="Default: the project's default database.")
    ids: list[Text] | None = Field(None, max_length=MAX_NAMES, description="Ids as `documents` lists them.")
    filenames: list[Text] | None = Field(None, max_length=MAX_NAMES, description="Names, exactly as they are listed.")
    metadata: dict[str, Any] | None = Field(None, description="A filter, as `metadata_filters` of a query.")


class SelectionPreview(BaseModel):
    count: int = Field(description="Documents that would be deleted.")
    chunk_count: int
    filenames: list[str] = Field(description="The first hundred of them.")


class DocumentsDeleted(BaseModel):
    success: bool
    documents_deleted: int
    chunks_deleted: int
    errors: list[str]


class PruneCounts(BaseModel):
    """Counts documents: one file in one run of processing."""

    duplicates: int = Field(description="Files that the database shows twice, from two datasets or from an import.")
    orphaned: int = Field(description="Stored for a file that is gone, or for a run that nothing shows any more.")
    corrupted: int = Field(description="Shown with chunks missing, or with vectors that no query can reach.")
    total_to_remove: int


class Pruned(BaseModel):
    success: bool
    removed: int = Field(description="Documents.")
    duration_seconds: float
    errors: list[str]


class Imported(BaseModel):
    success: bool
    documents_imported: int = Field(description="Files.")
    chunks_created: int
    errors: list[str]
    embedded: int = Field(description="Chunks whose vectors were made anew: missing, or of another model.")
    notes: list[str]
