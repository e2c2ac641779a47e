"""The one body of every failure."""

from typing import Any

from pydantic import BaseModel, Field


class Problem(BaseModel):
    """One thing that is wrong with a request."""

    loc: list[str | int]
    msg: str
    type: str
    input: Any = None


class OpenAIError(BaseModel):
    """Where clients of OpenAI's API look for the sentence."""

    message: str
    type: str = Field(description="invalid_request_error, authentication_error, rate_limit_error or server_error.")
    code: str = Field(description="The stable code.")
    param: str | None = None


class ErrorBody(BaseModel):
    detail: str | list[Problem] = Field(description="What went wrong, for people; a list when a request is malformed.")
    error: str | OpenAIError = Field(
        description="A stable code, for programs; an object on OpenAI's paths and for OpenAI's clients."
    )
    message: str


ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The project cannot do what is asked."},
    404: {"model": ErrorBody, "description": "Something that the request names does not exist."},
    422: {"model": ErrorBody, "description": "The request, or the project's configuration, is malformed."},
    503: {"model": ErrorBody, "description": "Something behind the server does not answer; trying again may help."},
}
"""Documented on every route."""

CONFLICT_RESPONSES: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorBody, "description": "It exists already, something depends on it, or is writing to it."},
    429: {"model": ErrorBody, "description": "Others are changing the same thing; try again."},
    507: {"model": ErrorBody, "description": "The disk is full."},
}
TOO_LARGE_RESPONSES: dict[int | str, dict[str, Any]] = {
    413: {"model": ErrorBody, "description": "Larger than a limit that the message names."},
    507: {"model": ErrorBody, "description": "The disk is full."},
}

GUARD_RESPONSES: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorBody, "description": "The API key is missing or wrong."},
    403: {"model": ErrorBody, "description": "The API key is good for a part, and this is outside of it."},
    413: {"model": ErrorBody, "description": "The body is larger than LF_MAX_BODY_BYTES."},
    421: {"model": ErrorBody, "description": "The server is called by a name that is not its own."},
    507: {"model": ErrorBody, "description": "The disk is full."},
}
"""What stands before and below every route may answer this."""

STALE_RESPONSES: dict[int | str, dict[str, Any]] = {
    412: {"model": ErrorBody, "description": "`If-Match` names another version than the stored one."}
}
