"""Saved configurations of products."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BaseModel, BeforeValidator, Field

from server.llamacloud.schemas.text import Name
from server.problems import shown

ProductType: TypeAlias = Literal["parse_v2", "extract_v2", "classify_v2", "split_v1", "spreadsheet_v1"]
PRODUCT_TYPES: tuple[ProductType, ...] = get_args(ProductType)


def _typed(value: Any) -> Any:
    if isinstance(value, dict) and value.get("product_type") not in PRODUCT_TYPES:
        given = shown(value.get("product_type"))
        raise ValueError(f"product_type: expected one of {', '.join(PRODUCT_TYPES)}, got {given}")
    return value


Parameters = Annotated[
    dict[str, Any],
    BeforeValidator(_typed),
    Field(description="`product_type` says what they are for; the rest is checked as when it is run with them."),
]


class ConfigurationCreate(BaseModel):
    name: Name
    parameters: Parameters


class ConfigurationUpdate(BaseModel):
    """What is left out stays as it is."""

    name: Name | None = None
    parameters: Parameters | None = None


class ConfigurationView(BaseModel):
    id: str
    name: str
    project_id: str
    parameters: dict[str, Any]
    product_type: ProductType
    version: str = Field(description="When its parameters were last set.")
    created_at: datetime
    updated_at: datetime


class ConfigurationPage(BaseModel):
    items: list[ConfigurationView]
    next_page_token: str | None
    total_size: int
