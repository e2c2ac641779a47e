"""Wire models of projects."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field


class ProjectView(BaseModel):
    """A project; `config` without nulls and without secrets."""

    namespace: str
    name: str
    config: dict[str, Any]
    validation_error: str | None = Field(None, description="Why the stored configuration cannot be used.")
    warnings: list[str] = Field(
        default_factory=list, description="What in the configuration is ignored, unknown or points nowhere."
    )
    last_modified: datetime | None = None


class ProjectList(BaseModel):
    total: int
    projects: list[ProjectView]


class ProjectCreate(BaseModel):
    name: str = Field(min_length=1, description="Letters, digits, `_`, `-` and `.`; at most 100.")
    config_template: str | None = Field(None, description="`default`, `advanced`, `server` or `rag`.")


class ProjectUpdate(BaseModel):
    config: dict[str, Any] = Field(description="The whole configuration; keys that are left out are removed.")


class ProjectAnswer(BaseModel):
    project: ProjectView
