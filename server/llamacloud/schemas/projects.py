"""Projects and the organization."""

from datetime import datetime

from pydantic import BaseModel, Field


class ProjectView(BaseModel):
    id: str
    name: str = Field(description="`Default`, or the id.")
    organization_id: str
    is_default: bool
    ad_hoc_eval_dataset_id: str | None = None
    created_at: datetime | None = Field(None, description="Null for a project that nobody has written to.")
    updated_at: datetime | None = Field(None, description="When its llamafarm.yaml was last changed.")


class ProjectPage(BaseModel):
    items: list[ProjectView]
    next_page_token: str | None = None
    total_size: int


class OrganizationView(BaseModel):
    id: str
    name: str
    created_at: datetime | None = None
    updated_at: datetime | None = None
    feature_flags: dict[str, bool] | None = None
    parse_plan_level: str | None = None
    stripe_customer_id: str | None = None
