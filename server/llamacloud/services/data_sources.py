"""Data sources, and the pipelines that take files from them. The `sync` of a pipeline fetches."""

from collections.abc import Sequence
from typing import Any

from config.data_sources import read_source
from rag.errors import BadRequestError, ConflictError, NotFoundError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.schemas.data_sources import (
    DataSourceCreate,
    DataSourceUpdate,
    DataSourceView,
    PipelineSourceInput,
    PipelineSourceView,
    SourceStatus,
    SourceWord,
)
from server.llamacloud.scope import Scope
from server.llamacloud.services.collections import CollectionService
from server.llamacloud.times import maybe_stamp, stamp
from state.cloud.collections import collection_of
from state.cloud.ids import new_id
from state.cloud.objects import CloudObject, Wanted, not_found

SOURCE = "data_source"
LINK = "pipeline_data_source"
PIPELINE = "pipeline"
WORDS: dict[str, SourceWord] = {"success": "SUCCESS", "error": "ERROR"}


class DataSourceService:
    def __init__(self, cloud: CloudEngine) -> None:
        self._cloud = cloud
        self._objects = cloud.objects
        self._collections = CollectionService(cloud)

    def create(self, scope: Scope, wanted: DataSourceCreate) -> DataSourceView:
        """Raises BadRequestError for a type or a configuration that is not served."""
        return _view(self._insert(scope.project_id, wanted))

    def all(self, scope: Scope) -> list[DataSourceView]:
        return [_view(each) for each in self._objects.all(SOURCE, Wanted(project_id=scope.project_id))]

    def get(self, source_id: str, scope: Scope) -> DataSourceView:
        return _view(self._objects.get(SOURCE, source_id, scope.visible))

    def update(self, source_id: str, scope: Scope, wanted: DataSourceUpdate) -> DataSourceView:
        """Pipelines that have it are synced."""
        found = self._objects.get(SOURCE, source_id, scope.visible)
        source_type = wanted.source_type or found.body["source_type"]
        config = found.body["config"] if wanted.config is None else wanted.config
        self._cloud.engine.dispatcher.check_broker()
        body = self._body(source_type, config)
        if wanted.custom_metadata is not None:
            body["custom_metadata"] = dict(wanted.custom_metadata)

        def change(now: CloudObject) -> dict[str, Any]:
            return {"name": wanted.name or now.name, "body": {**now.body, **body}}

        changed = self._objects.change(SOURCE, found.id, change)
        self._sync_all(self._links_of(found.id))
        return _view(changed)

    def delete(self, source_id: str, scope: Scope) -> None:
        """Pipelines lose what they had from it with a sync, which is started."""
        found = self._objects.get(SOURCE, source_id, scope.visible)
        links = self._links_of(found.id)
        self._cloud.engine.dispatcher.check_broker()
        self._objects.delete(SOURCE, found.id)
        for each in links:
            self._objects.delete(LINK, each.id)
        self._sync_all(links)

    # -- of a pipeline --------------------------------------------------------------------------------------

    def of_pipeline(self, pipeline_id: str, scope: Scope) -> list[PipelineSourceView]:
        return self._views(self._objects.get(PIPELINE, pipeline_id, scope.visible))

    def attach(self, pipeline_id: str, scope: Scope, wanted: Sequence[PipelineSourceInput]) -> list[PipelineSourceView]:
        """Give sources to a pipeline and start a sync. One that it has already is changed: by id, or by name.

        Raises:
            BadRequestError: one of them does not exist or is not served; none was added.
        """
        pipeline = self._objects.get(PIPELINE, pipeline_id, scope.visible)
        for each in wanted:
            self._check(pipeline, each)
        self._cloud.engine.dispatcher.check_broker()
        named = {each.name: each.data_source_id for each in self._views(pipeline)}
        for each in wanted:
            self._link(pipeline, self._source_id(pipeline, each, named), each.sync_interval)
        self._apply_intervals(pipeline)
        if wanted:
            self._collections.start_sync(collection_of(pipeline))
        return self._views(pipeline)

    def set_interval(
        self, pipeline_id: str, source_id: str, scope: Scope, interval: float | None
    ) -> PipelineSourceView:
        pipeline, link = self._found(pipeline_id, source_id, scope)
        self._objects.edit_body(LINK, link.id, sync_interval=interval)
        self._apply_intervals(pipeline)
        return next(each for each in self._views(pipeline) if each.data_source_id == source_id)

    def sync(self, pipeline_id: str, source_id: str, scope: Scope) -> PipelineSourceView:
        """The pipeline's sync looks at all of its sources."""
        pipeline, _ = self._found(pipeline_id, source_id, scope)
        self._collections.start_sync(collection_of(pipeline))
        return next(each for each in self._views(pipeline) if each.data_source_id == source_id)

    def status(self, pipeline_id: str, source_id: str, scope: Scope) -> SourceStatus:
        pipeline, link = self._found(pipeline_id, source_id, scope)
        status = self._collections.status_of(pipeline)
        job_id = status.job.id if status.job else None
        errors = [
            {"job_id": job_id or pipeline.id, "step": "DATA_SOURCE", "message": f"{key}: {why}" if key else why}
            for key, why in (link.body.get("errors") or {}).items()
        ]
        return SourceStatus(
            status=_word(link, is_syncing=status.sync == "syncing"),
            deployment_date=maybe_stamp(link.body.get("last_synced_at")),
            effective_at=stamp(link.updated_at),
            error=errors,
            job_id=job_id,
        )

    def _check(self, pipeline: CloudObject, wanted: PipelineSourceInput) -> None:
        if wanted.data_source_id is None:
            if not wanted.name or not wanted.source_type:
                raise BadRequestError("a data source needs 'data_source_id', or 'name' and 'source_type' with 'config'")
            self._body(wanted.source_type, wanted.config)
            return
        try:
            self._objects.get(SOURCE, wanted.data_source_id, pipeline.project_id)
        except NotFoundError as error:
            raise BadRequestError(f"{error.message} in the pipeline's project; nothing was added") from error

    def _source_id(self, pipeline: CloudObject, wanted: PipelineSourceInput, named: dict[str, str]) -> str:
        if wanted.data_source_id is not None:
            return wanted.data_source_id
        made = DataSourceCreate(
            name=wanted.name or "",
            source_type=wanted.source_type or "",
            config=wanted.config,
            custom_metadata=wanted.custom_metadata,
        )
        known = named.get(made.name)
        if known is None:
            named[made.name] = self._insert(pipeline.project_id, made).id
            return named[made.name]
        body = self._body(made.source_type, made.config)
        if made.custom_metadata is not None:
            body["custom_metadata"] = dict(made.custom_metadata)
        self._objects.edit_body(SOURCE, known, **body)
        return known

    def _link(self, pipeline: CloudObject, source_id: str, interval: float | None) -> None:
        key = f"{pipeline.id}/{source_id}"
        known = self._objects.find(LINK, key)
        if known is None:
            try:
                self._objects.insert(
                    LINK,
                    new_id(LINK),
                    project_id=pipeline.project_id,
                    parent_id=pipeline.id,
                    ref=source_id,
                    unique_key=key,
                    body={"sync_interval": interval},
                )
            except ConflictError:  # another request was quicker
                return
        elif interval is not None:
            self._objects.edit_body(LINK, known.id, sync_interval=interval)

    def _apply_intervals(self, pipeline: CloudObject) -> None:
        """One sync serves all sources: the shortest interval is the pipeline's."""
        links = self._objects.all(LINK, Wanted(parent_id=pipeline.id))
        asked = [each.body["sync_interval"] for each in links if each.body.get("sync_interval")]
        if asked:
            own = self._objects.get(PIPELINE, pipeline.id).body.get("sync_interval")
            shortest = min([*asked, own] if own else asked)
            self._objects.edit_body(PIPELINE, pipeline.id, sync_interval=max(1, int(shortest)))

    def _views(self, pipeline: CloudObject) -> list[PipelineSourceView]:
        links = self._objects.all(LINK, Wanted(parent_id=pipeline.id))
        sources = self._objects.by_ids(SOURCE, [each.ref or "" for each in links])
        is_syncing = bool(links) and self._collections.status_of(pipeline).sync == "syncing"
        return [
            _pipeline_view(each, sources[each.ref], is_syncing=is_syncing)
            for each in links
            if each.ref is not None and each.ref in sources
        ]

    def _found(self, pipeline_id: str, source_id: str, scope: Scope) -> tuple[CloudObject, CloudObject]:
        pipeline = self._objects.get(PIPELINE, pipeline_id, scope.visible)
        link = self._objects.find(LINK, f"{pipeline.id}/{source_id}"[:500])
        if link is None:
            raise not_found(SOURCE, source_id)
        return pipeline, link

    def _insert(self, project_id: str, wanted: DataSourceCreate) -> CloudObject:
        body = self._body(wanted.source_type, wanted.config)
        body["custom_metadata"] = None if wanted.custom_metadata is None else dict(wanted.custom_metadata)
        self._cloud.projects.ensure(project_id)
        return self._objects.insert(SOURCE, new_id(SOURCE), project_id=project_id, name=wanted.name, body=body)

    def _body(self, source_type: str, config: dict[str, Any]) -> dict[str, Any]:
        kind, read = read_source(source_type, config, self._cloud.settings)
        return {"source_type": kind, "config": read.model_dump(exclude_none=True)}

    def _links_of(self, source_id: str) -> list[CloudObject]:
        return self._objects.all(LINK, Wanted(ref=source_id))

    def _sync_all(self, links: Sequence[CloudObject]) -> None:
        pipelines = self._objects.by_ids(PIPELINE, [each.parent_id or "" for each in links])
        for each in pipelines.values():
            self._collections.start_sync(collection_of(each))


def _view(found: CloudObject) -> DataSourceView:
    body = found.body
    return DataSourceView(
        id=found.id,
        name=found.name or "",
        project_id=found.project_id,
        source_type=body["source_type"],
        config=body["config"],
        component=body["config"],
        custom_metadata=body.get("custom_metadata"),
        created_at=stamp(found.created_at),
        updated_at=stamp(found.updated_at),
    )


def _pipeline_view(link: CloudObject, source: CloudObject, *, is_syncing: bool) -> PipelineSourceView:
    body = link.body
    return PipelineSourceView(
        **_view(source).model_dump(),
        data_source_id=source.id,
        pipeline_id=link.parent_id or "",
        last_synced_at=stamp(body.get("last_synced_at") or link.created_at),
        sync_interval=body.get("sync_interval"),
        status=_word(link, is_syncing=is_syncing),
        status_updated_at=stamp(link.updated_at),
        errors=body.get("errors") or {},
    )


def _word(link: CloudObject, *, is_syncing: bool) -> SourceWord:
    if is_syncing:
        return "IN_PROGRESS"
    return WORDS.get(link.body.get("status") or "", "NOT_STARTED")
