"""Fields that an index's extract product reads out of each content: whose turn it is, and where the answer goes.

One job for each content of an index; its `item_key` is the index, its `params_hash` the content with the product.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from state.cloud.ids import new_id
from state.cloud.jobs import CloudJob, JobFilter, NewJob
from state.cloud.members import KIND, Collection, Member, mark
from state.cloud.objects import CloudObject, CloudObjects
from state.cloud.tables import CloudObjectRow

FIELDS = "index_fields"
EXTRACTED = "extracted"
"""Key of a member's `extra`: {"by": params_hash, "data": fields}."""


def extract_product(index: CloudObject) -> dict[str, Any] | None:
    """Its saved parameters; None for an index without one."""
    products = index.body.get("products") or ()
    found = next((each for each in products if each["product_type"] == "extract"), None)
    return None if found is None else dict(found["parameters"])


def fields_hash(parameters: Mapping[str, Any], file_hash: str) -> str:
    return hashlib.sha256(orjson.dumps([parameters, file_hash], option=orjson.OPT_SORT_KEYS)).hexdigest()


def fields_job(collection: Collection, parameters: Mapping[str, Any], member: Member) -> NewJob:
    config = {key: each for key, each in parameters.items() if key not in ("data_schema", "product_type")}
    request = {
        "index_id": collection.id,
        "file_id": member.file_id,
        "file_hash": member.file_hash,
        "file_name": member.name,
        "data_schema": parameters.get("data_schema"),
        "config": config,
    }
    return NewJob(
        new_id(FIELDS),
        FIELDS,
        collection.project_id,
        request,
        stage="parse",
        name=member.name,
        item_key=collection.id,
        params_hash=fields_hash(parameters, member.file_hash),
    )


def jobs_of(collection: Collection) -> JobFilter:
    return JobFilter(item_key=collection.id)


def has_fields(member: Member, parameters: Mapping[str, Any]) -> bool:
    return (member.extra.get(EXTRACTED) or {}).get("by") == fields_hash(parameters, member.file_hash)


def put_fields(objects: CloudObjects, job: CloudJob, data: Mapping[str, Any]) -> None:
    """Give every member with the content what was read of it; what users say of a file goes before that."""

    def work(session: Session) -> None:
        row = CloudObjectRow
        is_its = (row.kind == KIND, row.parent_id == job.request["index_id"], row.ref == job.request["file_hash"])
        for each in session.scalars(select(row).where(*is_its)):
            body = dict(each.body)
            before = ((body.get("extra") or {}).get(EXTRACTED) or {}).get("data") or {}
            own = {key: value for key, value in body["metadata"].items() if before.get(key) != value}
            extracted = {"by": job.params_hash, "data": dict(data)}
            body |= {"metadata": {**data, **own}, "extra": {**(body.get("extra") or {}), EXTRACTED: extracted}}
            each.body, each.updated_at = body, objects.now()
        mark(session, job.request["index_id"], job.project_id)

    objects.write(work)


def last_of_each(jobs: Sequence[CloudJob]) -> dict[str, CloudJob]:
    """params_hash → the newest job."""
    return {each.params_hash or "": each for each in jobs}
