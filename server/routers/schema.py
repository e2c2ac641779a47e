"""The JSON schema of llamafarm.yaml, for editors."""

import hashlib
from functools import cache
from typing import Annotated

from fastapi import Header, Response

from config.schema import render_schema
from server.routing import Router
from server.schemas.errors import ERROR_RESPONSES

router = Router(prefix="/v1/schema", tags=["schema"], responses={422: ERROR_RESPONSES[422]})

MEDIA_TYPE = "application/schema+json"


@cache
def _schema() -> tuple[bytes, str]:
    """The document and its etag; the same for as long as the process runs."""
    content = render_schema().encode()
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'


@router.get(
    "/llamafarm.json",
    operation_id="schema_get",
    response_class=Response,
    responses={
        200: {"description": "The schema.", "content": {MEDIA_TYPE: {"schema": {"type": "object"}}}},
        304: {"description": "It is the version that `If-None-Match` names."},
    },
)
def get_schema(
    if_none_match: Annotated[str | None, Header(description="ETags that the client has.")] = None,
) -> Response:
    """Give the JSON schema of llamafarm.yaml, for editors that complete and check it."""
    """The JSON schema of llamafarm.yaml; a client that has this version already gets 304."""
    content, etag = _schema()
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    known = {tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")}
    if etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=MEDIA_TYPE, headers=headers)
