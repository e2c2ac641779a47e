"""Pipelines: files, documents and data sources that can be searched together."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from rag.errors import BadRequestError, ConflictError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.schemas.pipelines import (
    IngestionError,
    IngestionStatus,
    IngestionWord,
    PipelineCreate,
    PipelinePage,
    PipelineSettings,
    PipelineSummary,
    PipelineUpdate,
    PipelineView,
    SyncJobView,
)
from server.llamacloud.scope import Scope
from server.llamacloud.services.chunking_choice import chunk_options, strategy_of
from server.llamacloud.services.collections import CollectionService
from server.llamacloud.services.embedding_choice import choose_embedding
from server.llamacloud.services.parse_wishes import parse_options
from server.llamacloud.times import maybe_stamp, stamp
from state.cloud.collections import CollectionStatus, collection_of
from state.cloud.ids import DEFAULT_PROJECT_ID, new_id
from state.cloud.jobs import CloudJob
from state.cloud.members import Member
from state.cloud.objects import CloudObject, Wanted
from state.cloud.tallies import Tally

PIPELINE = "pipeline"
KEPT = ("llama_parse_parameters", "transform_config", "sparse_model_config", "metadata_config", "managed_pipeline_id")
"""Settings that are told as they were given."""
DEFAULT_PROJECT_NAME = "Default"
MAX_TOLD_ERRORS = 100


class PipelineService:
    def __init__(self, cloud: CloudEngine) -> None:
        self.cloud = cloud
        self.collections = CollectionService(cloud)

    # -- making and changing --------------------------------------------------------------------------------

    def create(self, scope: Scope, wanted: PipelineCreate) -> CloudObject:
        """
        Raises:
            BadRequestError: the name is taken, or something that is asked for is not here.
        """
        project_id = scope.within(wanted.project_id).project_id
        try:
            return self._insert(project_id, wanted)
        except ConflictError as error:
            raise BadRequestError(f"{error.message}; PUT /api/v1/pipelines changes it") from error

    def upsert(self, scope: Scope, wanted: PipelineCreate) -> CloudObject:
        """Change the pipeline of this name, or make it."""
        project_id = scope.within(wanted.project_id).project_id
        found = self.cloud.objects.find(PIPELINE, f"{project_id}/{wanted.name}")
        if found is None:
            try:
                return self._insert(project_id, wanted)
            except ConflictError:  # another request has just made it
                found = self.cloud.objects.find(PIPELINE, f"{project_id}/{wanted.name}")
                if found is None:
                    raise
        return self._change(found, wanted, name=None)

    def update(self, scope: Scope, pipeline_id: str, wanted: PipelineUpdate) -> CloudObject:
        return self._change(self.get(scope, pipeline_id), wanted, name=wanted.name)

    def delete(self, scope: Scope, pipeline_id: str) -> None:
        """Uploaded files stay."""
        self.collections.delete(collection_of(self.get(scope, pipeline_id)))

    # -- reading --------------------------------------------------------------------------------------------

    def get(self, scope: Scope, pipeline_id: str) -> CloudObject:
        return self.cloud.objects.get(PIPELINE, pipeline_id, scope.visible)

    def all(self, scope: Scope, *, name: str | None, project_name: str | None) -> list[CloudObject]:
        if project_name is not None:
            scope = scope.within(DEFAULT_PROJECT_ID if project_name == DEFAULT_PROJECT_NAME else project_name)
        return self.cloud.objects.all(PIPELINE, Wanted(project_id=scope.project_id, name=name))

    def page(self, scope: Scope, *, name: str | None, token: str | None, size: int | None) -> PipelinePage:
        page = self.cloud.objects.page(PIPELINE, Wanted(project_id=scope.project_id, name=name), token, size)
        items = [
            PipelineSummary(
                id=each.id,
                name=each.name or each.id,
                project_id=each.project_id,
                created_at=stamp(each.created_at),
                updated_at=stamp(each.updated_at),
            )
            for each in page.items
        ]
        return PipelinePage(items=items, next_page_token=page.next_page_token, total_size=page.total_size or 0)

    def views(self, found: Sequence[CloudObject], *, official: bool) -> list[PipelineView]:
        known = {} if official else self.collections.tallies(found)
        return [self.view(each, official=official, tally=known.get(each.id)) for each in found]

    def view(self, found: CloudObject, *, official: bool, tally: Tally | None = None) -> PipelineView:
        """
        Args:
            official: in the words of the vendor's clients.
            tally: None: each file is looked at.
        """
        body = found.body
        parameters = body.get("llama_parse_parameters") or {}
        return PipelineView(
            id=found.id,
            name=found.name or found.id,
            project_id=found.project_id,
            status="CREATED" if official else self._state(found, tally),
            embedding_model=body["embedding_model"],
            embedding_dimension=body.get("embedding_dimension"),
            embedding_config=embedding_config(body["embedding_model"]),
            sync_interval=body.get("sync_interval"),
            config_hash={
                "embedding_config_hash": _digest(body["embedding_model"]),
                "parsing_config_hash": _digest(parameters),
                "transform_config_hash": _digest(body.get("transform_config")),
            },
            transform_config=body.get("transform_config") or {"mode": "auto"},
            preset_retrieval_parameters=body.get("preset_retrieval_parameters") or {},
            llama_parse_parameters=parameters,
            sparse_model_config=body.get("sparse_model_config"),
            metadata_config=body.get("metadata_config"),
            managed_pipeline_id=body.get("managed_pipeline_id"),
            ignored_parameters=body.get("ignored_parameters") or [],
            created_at=stamp(found.created_at),
            updated_at=stamp(found.updated_at),
        )

    # -- syncing --------------------------------------------------------------------------------------------

    def sync(self, scope: Scope, pipeline_id: str) -> tuple[CloudObject, CloudJob]:
        found = self.get(scope, pipeline_id)
        return found, self.collections.start_sync(collection_of(found))

    def cancel_sync(self, scope: Scope, pipeline_id: str) -> CloudObject:
        found = self.get(scope, pipeline_id)
        self.collections.cancel_sync(found)
        return found

    def sync_job(self, found: CloudObject, job: CloudJob) -> SyncJobView:
        state: Any
        if job.state == "waiting":
            state = "pending"
        else:
            state = {"syncing": "running", "done": "completed"}.get(self.collections.status_of(found).sync, "failed")
        ended = found.body.get("last_synced_at") if state == "completed" else None
        return SyncJobView(
            id=job.id,
            pipeline_id=found.id,
            status=state,
            created_at=stamp(job.created_at),
            completed_at=maybe_stamp(ended),
        )

    def status(self, found: CloudObject) -> IngestionStatus:
        status = self.collections.status_of(found)
        members = self.collections.members_of(collection_of(found))
        job_id = status.job.id if status.job else None
        return IngestionStatus(
            status=_ingestion_word(status, members),
            job_id=job_id,
            deployment_date=maybe_stamp(found.body.get("last_synced_at")),
            effective_at=maybe_stamp(status.job.updated_at if status.job else None),
            error=_errors(status, members, job_id or found.id),
        )

    # -- inside ---------------------------------------------------------------------------------------------

    def _insert(self, project_id: str, wanted: PipelineCreate) -> CloudObject:
        _refuse_elsewhere(wanted)
        pipeline_id = new_id(PIPELINE)
        embedding = choose_embedding(self.cloud, project_id, wanted.embedding_model, wanted.embedding_config)
        options, ignored = _reading(wanted.transform_config, wanted.llama_parse_parameters, embedding.model)
        database: dict[str, Any] = dict(embedding.database)
        if options:
            name = collection_of(_unmade(pipeline_id, project_id)).dataset
            database["strategy"] = strategy_of(self.cloud, project_id, name, options)
        body = {
            **embedding.facts,
            **_kept(wanted),
            "sync_interval": wanted.sync_interval or None,
            "ignored_parameters": ignored + _ignored(wanted.sparse_model_config, wanted.metadata_config),
            "database": database,
        }
        return self.cloud.objects.insert(
            PIPELINE,
            pipeline_id,
            project_id=project_id,
            name=wanted.name,
            unique_key=f"{project_id}/{wanted.name}",
            body=body,
        )

    def _change(self, found: CloudObject, wanted: PipelineSettings, *, name: str | None) -> CloudObject:
        _refuse_elsewhere(wanted)
        self._refuse_other_embedding(found, wanted)
        values: dict[str, Any] = _kept(wanted)
        if wanted.sync_interval is not None:
            values["sync_interval"] = wanted.sync_interval or None
        told = found.body
        transform, parsing = (values.get(key, told.get(key)) for key in ("transform_config", "llama_parse_parameters"))
        options, ignored = _reading(transform, parsing, told["embedding_model"])
        before, _ = _reading(told.get("transform_config"), told.get("llama_parse_parameters"), told["embedding_model"])
        values["ignored_parameters"] = ignored + _ignored(
            wanted.sparse_model_config or told.get("sparse_model_config"),
            wanted.metadata_config or told.get("metadata_config"),
        )
        is_read_anew = options != before
        if is_read_anew:
            values["database"] = self._read_anew(found, options)
        columns: dict[str, Any] = {}
        if name is not None and name != found.name:
            columns = {"name": name, "unique_key": f"{found.project_id}/{name}"}
        changed = self.cloud.objects.change(
            PIPELINE, found.id, lambda now: {"body": {**now.body, **values}, **columns}, found.project_id
        )
        if is_read_anew:
            self.collections.start_sync(collection_of(found))
        return changed

    def _read_anew(self, found: CloudObject, options: Mapping[str, Any]) -> dict[str, Any]:
        collection = collection_of(found)
        strategy = strategy_of(self.cloud, found.project_id, collection.dataset, options)
        self.cloud.engine.dispatcher.check_broker()
        self.cloud.projects.set_strategy(found.project_id, collection.dataset, strategy)
        return {**(found.body.get("database") or {}), "strategy": strategy}

    def _refuse_other_embedding(self, found: CloudObject, wanted: PipelineSettings) -> None:
        if wanted.embedding_model is None and not wanted.embedding_config:
            return
        config = wanted.embedding_config
        if config == embedding_config(found.body["embedding_model"]):
            return
        chosen = choose_embedding(self.cloud, found.project_id, wanted.embedding_model, config)
        if chosen.model != found.body["embedding_model"]:
            raise BadRequestError(
                f"pipeline '{found.name}' embeds with '{found.body['embedding_model']}', which cannot become "
                f"'{chosen.model}'; make another pipeline"
            )

    def _state(self, found: CloudObject, tally: Tally | None) -> Any:
        if tally is not None:
            return "active" if tally.completed else "idle"
        status = self.collections.status_of(found)
        if status.sync == "syncing":
            return "syncing"
        counts = status.counts(self.collections.members_of(collection_of(found)))
        if status.sync == "failed" or (counts["error"] and not counts["completed"]):
            return "error"
        return "active" if counts["completed"] else "idle"


def embedding_config(model: str) -> dict[str, Any]:
    """Of a kind that the vendor's strict clients know, and with the model that is really used."""
    component = {"class_name": "HuggingFaceInferenceAPIEmbedding", "model_name": model}
    return {"type": "HUGGINGFACE_API_EMBEDDING", "component": component}


def _unmade(pipeline_id: str, project_id: str) -> CloudObject:
    return CloudObject(pipeline_id, PIPELINE, project_id, {}, 0.0, 0.0)


def _ingestion_word(status: CollectionStatus, members: Sequence[Member]) -> IngestionWord:
    if status.sync == "syncing":
        return "IN_PROGRESS"
    if status.sync == "none":
        return "NOT_STARTED"
    counts = status.counts(members)
    if status.sync == "cancelled":
        return "CANCELLED"
    if status.sync == "failed" or (counts["error"] and not counts["completed"]):
        return "ERROR"
    if counts["error"] or counts["cancelled"]:
        return "PARTIAL_SUCCESS" if counts["completed"] else "CANCELLED"
    return "SUCCESS"


def _errors(status: CollectionStatus, members: Sequence[Member], job_id: str) -> list[IngestionError]:
    if status.error is not None:
        return [IngestionError(job_id=job_id, message=status.error, step="MANAGED_INGESTION")]
    failed = [each for each in members if status.of(each.file_hash).state == "error"]
    return [
        IngestionError(job_id=job_id, message=status.of(each.file_hash).error or "", step="PARSE")
        for each in failed[:MAX_TOLD_ERRORS]
    ]


def _refuse_elsewhere(wanted: PipelineSettings) -> None:
    for name in ("data_sink", "data_sink_id"):
        if getattr(wanted, name):
            raise BadRequestError(f"{name}: vectors are kept by this server alone; leave it out")
    if wanted.embedding_model_config_id:
        raise BadRequestError("embedding_model_config_id: no such configurations are kept; give embedding_model")


def _kept(wanted: PipelineSettings) -> dict[str, Any]:
    found = {name: getattr(wanted, name) for name in KEPT if getattr(wanted, name) is not None}
    if wanted.preset_retrieval_parameters is not None:
        found["preset_retrieval_parameters"] = wanted.preset_retrieval_parameters.model_dump(exclude_none=True)
    return found


def _reading(
    transform: Mapping[str, Any] | None, parsing: Mapping[str, Any] | None, model: str
) -> tuple[dict[str, Any], list[str]]:
    """How files are read and cut: options of parsers, and what has no effect."""
    cut, ignored_cuts = chunk_options(transform, model)
    read, ignored = parse_options(parsing)
    return {**read, **(cut or {})}, ignored_cuts + [f"llama_parse_parameters.{each}" for each in ignored]


def _ignored(sparse: Mapping[str, Any] | None, metadata: Mapping[str, Any] | None) -> list[str]:
    model_type = (sparse or {}).get("model_type")
    found = [] if model_type in (None, "bm25", "auto") else [f"sparse_model_config.model_type: {str(model_type)[:100]}"]
    return found + [f"metadata_config.{key}" for key, value in (metadata or {}).items() if value]


def _digest(value: Any) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
