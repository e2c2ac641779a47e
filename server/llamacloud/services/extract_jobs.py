"""What both generations of the extraction API share: which file, which schema, which options, and the job of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from rag.errors import BadRequestError
from rag.extraction.schemas import Schema, read_schema
from rag.extraction.wishes import read_wish
from server.llamacloud.engine import CloudEngine
from server.llamacloud.times import stamp
from state.cloud.ids import new_id
from state.cloud.jobs import NewJob
from state.cloud.objects import CloudObject

AGENT = "extraction_agent"
PRIORITIES: Mapping[str, int] = {"low": -1, "medium": 0, "high": 1, "critical": 2}


def files_of(cloud: CloudEngine, ids: Sequence[str], project_id: str) -> list[CloudObject]:
    """Raises BadRequestError for one that the project does not have, or whose bytes have not arrived."""
    found = cloud.objects.by_ids("file", ids, project_id)
    for each in ids:
        if each not in found:
            raise BadRequestError(f"file {each[:100]!r} not found in project {project_id!r}; upload it first")
        if found[each].ref is None:
            raise BadRequestError(f"the bytes of file {each[:100]!r} have not arrived yet; send them to its link first")
    return [found[each] for each in ids]


def file_job(
    kind: str,
    file: CloudObject,
    *,
    schema: Schema | None,
    config: Mapping[str, Any],
    item_key: str,
    params_hash: str | None = None,
    priority: str | None = None,
    **facts: Any,
) -> NewJob:
    """A job for one file; the workers' part is workers/cloud/extract.py.

    Args:
        schema: checked; None: the agent's, once it has one.
        facts: more of the request.

    Raises:
        InvalidInputError: an option has an unknown value.
    """
    read_wish(config)
    request = {
        "file_id": file.id,
        "file_hash": file.ref,
        "file_name": file.name or file.id,
        "file": file_facts(file),
        "data_schema": schema,
        "config": dict(config),
        **facts,
    }
    return NewJob(
        new_id(kind),
        kind,
        file.project_id,
        request,
        stage="parse",
        name=file.name,
        item_key=item_key,
        params_hash=params_hash,
        priority=PRIORITIES.get(str(priority or config.get("priority") or "").lower(), 0),
    )


def checked_schema(given: Any) -> Schema | None:
    """None and an empty schema mean that there is none yet."""
    return read_schema(given) if given not in (None, "", {}) else None


def file_facts(file: CloudObject) -> dict[str, Any]:
    """As it was when the job was made."""
    known = ("file_size", "file_type", "content_type", "external_file_id", "purpose")
    return {
        "id": file.id,
        "name": file.name or file.id,
        "project_id": file.project_id,
        **{key: file.body.get(key) for key in known},
        "created_at": stamp(file.created_at).isoformat(),
        "updated_at": stamp(file.updated_at).isoformat(),
    }
