"""Batches: one job for each file of a directory, gathered by one that ends with the last of them."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import orjson
from pydantic import ValidationError

from rag.errors import BadRequestError, InvalidInputError, NotFoundError
from rag.parsing.parameters import checked, masked
from server.llamacloud.engine import CloudEngine
from server.llamacloud.links import Links
from server.llamacloud.schemas.batches import (
    BatchCancelled,
    BatchCreate,
    BatchItem,
    BatchItemPage,
    BatchJob,
    BatchPage,
    BatchProgress,
    BatchStatus,
    ItemResult,
    ItemResults,
    ItemStatus,
    JobType,
)
from server.llamacloud.schemas.classify import ClassifierConfig
from server.llamacloud.scope import Scope
from server.llamacloud.services.job_lists import jobs_of
from server.llamacloud.services.parse_configuration import check_parameters
from server.llamacloud.services.parsing import is_fresh, parameters_hash, parse_job
from server.llamacloud.times import maybe_stamp, stamp
from server.problems import sentence
from state.cloud.ids import new_id
from state.cloud.jobs import CloudJob, JobFilter, JobState, NewJob
from state.cloud.objects import CloudObject, Wanted

KIND = "batch"
WORDS: Mapping[JobState, BatchStatus] = {
    "waiting": "pending",
    "running": "running",
    "completed": "completed",
    "partial": "completed",
    "failed": "failed",
    "skipped": "completed",
    "cancelled": "cancelled",
}
ITEM_WORDS: Mapping[JobState, ItemStatus] = {
    "waiting": "pending",
    "running": "processing",
    "completed": "completed",
    "partial": "completed",
    "failed": "failed",
    "skipped": "skipped",
    "cancelled": "cancelled",
}
OUTPUTS = {"result.json": "application/json", "result.txt": "text/plain", "result.md": "text/markdown"}


@dataclass(frozen=True, slots=True)
class Source:
    """A file of a batch, under the id that clients know it by."""

    item_id: str
    name: str
    file: CloudObject


class BatchService:
    def __init__(self, cloud: CloudEngine, scope: Scope) -> None:
        self._cloud = cloud
        self._scope = scope

    def create(self, wanted: BatchCreate) -> BatchJob:
        """
        Raises:
            InvalidInputError: not exactly one of directory and items is named, or the configuration is wrong.
            NotFoundError: one of them does not exist.
            UpstreamError: the broker does not answer; no job was made.
        """
        if (wanted.directory_id is None) is (wanted.item_ids is None):
            raise InvalidInputError("name either directory_id or item_ids, and not both")
        config = wanted.job_config
        job_type: JobType = "classify" if "rules" in config else "parse"
        project_id, sources = self._sources(wanted)
        make = self._classify(config) if job_type == "classify" else self._parse(config, project_id)
        fresh = job_type == "parse" and is_fresh(config.get("parameters") or {})
        items = [self._item(source, make, fresh=fresh) for source in sources]
        request = {"job_type": job_type, "job_config": _shown(config), "directory_id": wanted.directory_id}
        key = wanted.directory_id
        parent = NewJob(new_id(KIND), KIND, project_id, request, item_key=key, params_hash=_type_mark(job_type))
        return self._views([self._cloud.start(parent, items)])[0]

    def page(
        self, *, directory_id: str | None, job_type: JobType | None, status: BatchStatus | None, limit: int, offset: int
    ) -> BatchPage:
        shown = jobs_of(
            self._scope,
            WORDS,
            status,
            item_key=directory_id,
            params_hash=None if job_type is None else _type_mark(job_type),
        )
        found, total = self._cloud.jobs.slice(KIND, shown, limit=limit, offset=offset)
        return BatchPage(items=self._views(found), total_size=total)

    def status(self, job_id: str) -> BatchProgress:
        job = self._views([self._get(job_id)])[0]
        ended = job.processed_items + job.failed_items + job.skipped_items + job.cancelled_items
        share = 100.0 if job.total_items == 0 else round(100 * ended / job.total_items, 2)
        return BatchProgress(job=job, progress_percentage=share)

    def cancel(self, job_id: str) -> BatchCancelled:
        """Raises BadRequestError for one that has ended."""
        job = self._get(job_id)
        if not self._cloud.jobs.cancel(KIND, job.id):
            raise BadRequestError(f"Batch job {job.id!r} has ended already: it is {WORDS[job.state]}")
        view = self._views([self._get(job_id)])[0]
        return BatchCancelled(
            job_id=job.id,
            message="cancelled: items that wait have ended, and those that run end as soon as they find out",
            processed_items=view.processed_items,
            status=view.status,
        )

    def items(self, job_id: str, *, status: ItemStatus | None, limit: int, offset: int) -> BatchItemPage:
        parent = self._get(job_id)
        kind = parent.request["job_type"]
        states = None if status is None else tuple(state for state, word in ITEM_WORDS.items() if word == status)
        shown = JobFilter(parent_id=parent.id, states=states)
        found, total = self._cloud.jobs.slice(kind, shown, limit=limit, offset=offset)
        return BatchItemPage(items=[_item_view(each) for each in found], total_size=total)

    def results(self, item_id: str, job_type: JobType | None, links: Links) -> ItemResults:
        """Everything that batches have made of an item. Raises NotFoundError for an item of no batch."""
        wanted = JobFilter(item_key=item_id, project_id=self._scope.visible)
        jobs = [each for kind in ("parse", "classify") for each in self._cloud.jobs.all(kind, wanted)]
        jobs = [each for each in jobs if each.parent_id is not None]
        if not jobs:
            raise NotFoundError(f"Item {item_id[:100]!r} not found in any batch")
        done = [each for each in jobs if each.state in ("completed", "partial") and job_type in (None, each.kind)]
        return ItemResults(
            item_id=item_id,
            item_name=jobs[-1].name or item_id,
            processing_results=[self._result(each, links) for each in done],
        )

    def _get(self, job_id: str) -> CloudJob:
        return self._cloud.jobs.get(KIND, job_id, self._scope.visible)

    def _sources(self, wanted: BatchCreate) -> tuple[str, list[Source]]:
        if wanted.directory_id is not None:
            return directory_sources(self._cloud, self._scope, wanted.directory_id)
        ids = list(dict.fromkeys(wanted.item_ids or []))
        entries = self._cloud.objects.by_ids("directory_file", ids, self._scope.visible)
        files = self._cloud.objects.by_ids("file", [e.ref or "" for e in entries.values()] + ids, self._scope.visible)
        found = []
        for item_id in ids:
            entry = entries.get(item_id)
            file = files.get(entry.ref or "" if entry else item_id)
            if file is None:
                raise NotFoundError(f"item_ids: {item_id[:100]!r} is neither a directory file nor a file")
            found.append(_source(item_id, entry, file))
        projects = {each.file.project_id for each in found}
        if len(projects) > 1:
            raise InvalidInputError("item_ids: the files of one batch have to belong to one project")
        return (projects.pop() if projects else self._scope.project_id), found

    def _parse(self, config: Mapping[str, Any], project_id: str) -> Any:
        parameters = {} if config.get("parameters") is None else config["parameters"]
        if not isinstance(parameters, Mapping):
            raise InvalidInputError("job_config.parameters: expected an object")
        if config.get("type") not in (None, "parse"):
            shown = str(config["type"])[:60]
            raise InvalidInputError(f"job_config.type = {shown!r}: only parse is known; rules classify files")
        if config.get("job_name") not in (None, "parse_raw_file_job"):
            raise InvalidInputError("job_config.job_name: only parse_raw_file_job is known")
        if config.get("webhook_url") and not parameters.get("webhook_url"):
            parameters = {**parameters, "webhook_url": config["webhook_url"]}
        check_parameters(self._cloud, parameters, project_id)
        given = checked(parameters)
        return lambda source: parse_job(source.file, given)

    def _classify(self, config: Mapping[str, Any]) -> Any:
        if config.get("mode") == "MULTIMODAL":
            raise InvalidInputError("mode MULTIMODAL needs a model that sees, which this server has not: use FAST")
        rules, parsing = _classify_parts(config)
        shared = {"rules": rules, "mode": "FAST", "parsing_configuration": parsing}
        mark = hashlib.sha256(orjson.dumps(shared, option=orjson.OPT_SORT_KEYS)).hexdigest()

        def make(source: Source) -> NewJob:
            file = source.file
            about = {"file_id": file.id, "file_hash": file.ref, "file_name": file.name or file.id}
            about |= {"file_input": file.id, "document_input_type": "file_id"}
            request = {**about, **shared}
            name = file.name
            return NewJob(
                new_id("classify"), "classify", file.project_id, request, stage="parse", name=name, params_hash=mark
            )

        return make

    def _item(self, source: Source, make: Any, *, fresh: bool) -> NewJob:
        job: NewJob = make(source)
        mark = job.params_hash or parameters_hash({})
        same = hashlib.sha256(f"{mark}:{source.file.ref}".encode()).hexdigest()
        request = {**job.request, "parameters_hash": mark}
        job = replace(job, name=source.name, item_key=source.item_id, params_hash=same, request=request)
        size = int(source.file.body.get("file_size") or 0)
        if size > self._cloud.settings.max_upload_bytes:
            return replace(job, state="skipped", result={"skip_reason": "size_limit_exceeded"})
        before = None if fresh else self._cloud.jobs.last_same(job.kind, source.item_id, same, job.project_id)
        if before is not None:
            return replace(job, state="skipped", result={"skip_reason": "already_processed", "same_as": before.id})
        return job

    def _views(self, jobs: Sequence[CloudJob]) -> list[BatchJob]:
        counts = self._cloud.jobs.counts([each.id for each in jobs])
        return [_view(each, counts[each.id]) for each in jobs]

    def _result(self, job: CloudJob, links: Links) -> ItemResult:
        root = self._cloud.files(job.project_id).root / "jobs" / job.id
        outputs = {}
        for name, media_type in OUTPUTS.items():
            if (root / name).is_file():
                claim = {"kind": "result", "project_id": job.project_id, "job_id": job.id, "name": name}
                outputs[name] = links.presigned({**claim, "media_type": media_type}).url
        place = f"lf://llamacloud/{job.project_id}/cloud/jobs/{job.id}/"
        if not outputs:  # of a kind whose result stands in the state alone
            place = f"lf://llamacloud/{job.project_id}/classifier/jobs/{job.id}/results"
        return ItemResult(
            item_id=job.item_key or "",
            job_config=self._config_of(job),
            job_type="classify" if job.kind == "classify" else "parse",
            output_s3_path=place,
            parameters_hash=job.request["parameters_hash"],
            processed_at=stamp(job.finished_at or job.updated_at),
            result_id=job.id,
            output_metadata={**(job.result or {}), "outputs": outputs},
        )

    def _config_of(self, job: CloudJob) -> dict[str, Any]:
        with suppress(NotFoundError):
            found: dict[str, Any] = self._cloud.jobs.get(KIND, job.parent_id or "").request["job_config"]
            return found
        return {}


def directory_sources(cloud: CloudEngine, scope: Scope, directory_id: str) -> tuple[str, list[Source]]:
    """The project of a directory, and the files that it holds now."""
    directory = cloud.objects.get("directory", directory_id, scope.visible)
    entries = cloud.objects.all("directory_file", Wanted(parent_id=directory.id))
    files = cloud.objects.by_ids("file", [each.ref or "" for each in entries])
    return directory.project_id, [_of_entry(each, files.get(each.ref or "")) for each in entries]


def _of_entry(entry: CloudObject, file: CloudObject | None) -> Source:
    if file is None:  # its file was deleted; the directory keeps the bytes
        body = {"file_size": 0}
        made = (entry.ref or entry.id, "file", entry.project_id, body, entry.created_at, entry.updated_at)
        file = CloudObject(*made, name=entry.name, ref=entry.body.get("file_hash"))
    return _source(entry.id, entry, file)


def _source(item_id: str, entry: CloudObject | None, file: CloudObject) -> Source:
    """A directory shows a file under a name of its own, and keeps the content that it was given."""
    if entry is not None and entry.body.get("file_hash"):
        file = replace(file, ref=entry.body["file_hash"])
    name = (entry.name if entry is not None else None) or file.name or item_id
    return Source(item_id, name, file)


def _classify_parts(config: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    try:
        given = ClassifierConfig.model_validate(config)
    except ValidationError as error:
        raise InvalidInputError(sentence(error, config, "job_config")) from error
    parsing = given.parsing_configuration
    return [each.model_dump() for each in given.rules], None if parsing is None else parsing.model_dump()


def _type_mark(job_type: JobType) -> str:
    return f"type:{job_type}"


def _shown(config: Mapping[str, Any]) -> dict[str, Any]:
    parameters = config.get("parameters")
    return {**config, "parameters": masked(parameters)} if isinstance(parameters, Mapping) else dict(config)


def _count(counts: Mapping[str, int], states: Iterable[JobState]) -> int:
    return sum(counts.get(each, 0) for each in states)


def _view(job: CloudJob, counts: Mapping[str, int]) -> BatchJob:
    return BatchJob(
        id=job.id,
        job_type=job.request["job_type"],
        project_id=job.project_id,
        status=WORDS[job.state],
        total_items=sum(counts.values()),
        processed_items=_count(counts, ("completed", "partial")),
        failed_items=counts.get("failed", 0),
        skipped_items=counts.get("skipped", 0),
        cancelled_items=counts.get("cancelled", 0),
        directory_id=job.request["directory_id"],
        error_message=job.error,
        job_record_id=job.id,
        workflow_id=job.id,
        created_at=stamp(job.created_at),
        started_at=maybe_stamp(job.started_at),
        completed_at=maybe_stamp(job.finished_at),
        updated_at=stamp(job.updated_at),
        effective_at=stamp(job.updated_at),
    )


def _item_view(job: CloudJob) -> BatchItem:
    return BatchItem(
        item_id=job.item_key or job.id,
        item_name=job.name or job.id,
        status=ITEM_WORDS[job.state],
        job_id=job.id,
        job_record_id=job.id,
        error_message=job.error if job.is_final else None,
        skip_reason=(job.result or {}).get("skip_reason") if job.state == "skipped" else None,
        started_at=maybe_stamp(job.started_at),
        completed_at=maybe_stamp(job.finished_at),
        effective_at=stamp(job.updated_at),
    )
