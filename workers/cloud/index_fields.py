"""The extract product of an index: fields read out of each file by a language model become metadata of the file."""

from dataclasses import replace

from state.cloud.collections import Collections
from state.cloud.index_fields import (
    FIELDS,
    extract_product,
    fields_job,
    has_fields,
    jobs_of,
    last_of_each,
    put_fields,
)
from state.cloud.jobs import CloudJob
from state.cloud.members import Collection, Members
from state.cloud.objects import CloudObject
from workers.cloud import extract
from workers.cloud.registry import Done, Next
from workers.cloud.runner import announce
from workers.runtime import Runtime


def start_fields(runtime: Runtime, collection: Collection, index: CloudObject, *, scheduled: bool) -> None:
    """A job for each content that has no fields yet; jobs of contents that are gone are forgotten. Can run twice.

    Args:
        scheduled: nobody asked; what failed is left alone.
    """
    parameters = extract_product(index)
    if parameters is None:
        return
    members = {each.file_hash: each for each in Members(Collections(runtime.database).objects).all(collection)}
    wanted = [fields_job(collection, parameters, each) for each in members.values() if not has_fields(each, parameters)]
    jobs = runtime.cloud_jobs.all(FIELDS, jobs_of(collection))
    last = last_of_each(jobs)
    for each in jobs:
        if each.request["file_hash"] not in members:
            runtime.cloud_jobs.delete(each.id)
    for each_new in wanted:
        before = last.get(each_new.params_hash or "")
        if before is not None and (not before.is_final or scheduled):
            continue
        if before is not None:
            runtime.cloud_jobs.delete(before.id)
        runtime.cloud_jobs.create(each_new)
        announce(runtime, each_new.stage)


def parse(runtime: Runtime, job: CloudJob) -> Next:
    return extract.parse(runtime, job)


def read(runtime: Runtime, job: CloudJob) -> Done:
    done = extract.read(runtime, job)
    data = dict(done.result or {}).get("data")
    fields = data if isinstance(data, dict) else {"extracted": data}
    put_fields(Collections(runtime.database).objects, job, fields)
    return replace(done, result={"fields": sorted(fields)})
