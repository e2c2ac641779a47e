"""The one body of every failure."""

from typing import Any

from pydantic import BaseModel, Field


class Problem(BaseModel):
    """One thing that is wrong with a request."""

    loc: list[str | int]
    msg: str
    type: str
    input: Any = None


class ErrorBody(BaseModel):
    detail: str | list[Problem] = Field(description="What went wrong, for people; a list when a request is malformed.")
    error: str = Field(description="A stable code, for programs.")
    message: str


ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The project cannot do what is asked."},
    404: {"model": ErrorBody, "description": "Something that the request names does not exist."},
    422: {"model": ErrorBody, "description": "The request, or the project's configuration, is malformed."},
    503: {"model": ErrorBody, "description": "Something behind the server does not answer; trying again may help."},
}
"""Documented on every route."""
