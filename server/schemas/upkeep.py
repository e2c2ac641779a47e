"""Wire models of work on a whole database that a task does."""

from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints

from server.schemas.databases import DatabaseName


class MigrationRequest(BaseModel):
    """Where a database is to be. Without `to`, only what earlier migrations left behind is dropped."""

    to: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = Field(
        None, description="Name of a store: ChromaStore or QdrantStore."
    )
    config: dict[str, Any] = Field(default_factory=dict, description="Options of that store, such as `url`.")
    new_name: DatabaseName | None = Field(
        None, description="Leave the database as it is, and make another one of this name with a copy of it."
    )
    drop_source: bool = Field(False, description="Afterwards delete what is stored in the former stores.")


class UpkeepStarted(BaseModel):
    message: str
    task_id: str
    task_uri: str = Field(description="Poll it until `state` is SUCCESS or FAILURE.")
