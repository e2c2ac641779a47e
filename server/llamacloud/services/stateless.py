"""Extraction of what arrives with the request: a text, bytes, or an upload."""

from functools import partial
from typing import Any

import orjson
from anyio import to_thread

from rag.errors import BadRequestError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.schemas.extraction import StatelessRun
from server.llamacloud.schemas.noticing import MAX_NAMES, shown_name
from server.llamacloud.scope import Scope
from server.llamacloud.services.extract_agents import AgentService
from server.llamacloud.services.extract_jobs import checked_schema
from server.llamacloud.services.extraction import ExtractionService, JobWithRuns
from server.llamacloud.services.files import FileService, Labels
from server.llamacloud.services.inline_files import PURPOSE, keep_base64, keep_text
from server.llamacloud.services.uploading import Arrived, Body, receive_form

FIELDS = frozenset({"extraction_agent_id", "data_schema_override", "config_override", "organization_id", "project_id"})
"""Of the form of an upload."""


def start_stateless(cloud: CloudEngine, scope: Scope, body: StatelessRun) -> JobWithRuns:
    """
    Raises:
        BadRequestError: not exactly one of file, text and bytes is given, or it cannot be used.
        InvalidInputError: the schema or an option is not good.
    """
    schema = checked_schema(body.data_schema)
    if schema is None:
        raise BadRequestError("data_schema is empty: say what is to be read")
    given = [each for each in (body.file_id, body.text, body.file) if each is not None]
    if len(given) != 1:
        raise BadRequestError("give one of file_id, text and file")
    service = ExtractionService(cloud, scope)
    service.check(body.config)
    agent = AgentService(cloud, scope).default()
    file_ids, ignored = [_file_id(cloud, scope, body)], body.ignored()
    return service.start(agent, file_ids, "client", schema=schema, config=body.config, ignored=ignored)


def _file_id(cloud: CloudEngine, scope: Scope, body: StatelessRun) -> str:
    if body.file_id is not None:
        return body.file_id
    if body.text is not None:
        return keep_text(cloud, scope.project_id, body.text).id
    assert body.file is not None
    return keep_base64(cloud, scope.project_id, body.file.data, body.file.mime_type).id


async def start_upload(cloud: CloudEngine, scope: Scope, body: Body, *, from_ui: bool) -> JobWithRuns:
    """
    Raises:
        BadRequestError, InvalidInputError, LimitExceededError: the form, its agent, schema or options are not good;
            nothing was kept.
    """
    files = await to_thread.run_sync(FileService(cloud).target, scope.project_id)
    keep = partial(_start_arrived, cloud, scope, from_ui)
    return await receive_form(files, body, max_bytes=cloud.settings.max_upload_bytes, keep=keep)


def _start_arrived(cloud: CloudEngine, scope: Scope, from_ui: bool, arrived: Arrived) -> JobWithRuns:
    fields = arrived.fields
    agent_id = fields.get("extraction_agent_id")
    if not agent_id:
        raise BadRequestError("the form needs a field extraction_agent_id")
    schema, config = _json(fields, "data_schema_override"), _json(fields, "config_override")
    checked_schema(schema)
    service = ExtractionService(cloud, scope)
    service.check(config)
    agent = service.agent(agent_id)
    if agent.project_id != scope.project_id:
        raise BadRequestError(f"agent {agent_id[:100]!r} is of another project: name that in project_id")
    file = FileService(cloud).keep(scope.project_id, arrived, Labels(purpose=PURPOSE))
    ignored = sorted(shown_name(name) for name, value in fields.items() if name not in FIELDS and value)[:MAX_NAMES]
    return service.start(agent, [file.id], "client", schema=schema, config=config, from_ui=from_ui, ignored=ignored)


def _json(fields: Any, name: str) -> dict[str, Any] | None:
    """Raises BadRequestError for what is no JSON object; empty and `null` mean that there is none."""
    try:
        value = orjson.loads(fields.get(name) or "null")
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"{name} is not JSON: {error.msg}") from error
    if value is not None and not isinstance(value, dict):
        raise BadRequestError(f"{name} must be a JSON object")
    return value
