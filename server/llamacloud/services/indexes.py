"""Indexes: a directory, parsed and embedded, so that its files can be searched."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rag.errors import InvalidInputError, NotFoundError
from rag.extraction.schemas import read_schema
from server.llamacloud.engine import CloudEngine
from server.llamacloud.schemas.indexes import IndexCreate, IndexPage, IndexProduct, IndexView
from server.llamacloud.scope import Scope
from server.llamacloud.services.chunking_choice import strategy_of
from server.llamacloud.services.collections import CollectionService
from server.llamacloud.services.embedding_choice import choose_embedding
from server.llamacloud.services.parse_wishes import parse_options
from server.llamacloud.times import maybe_stamp, stamp
from state.cloud.collections import CollectionStatus, collection_of
from state.cloud.ids import database_name, new_id
from state.cloud.index_fields import FIELDS, extract_product, has_fields, jobs_of, last_of_each
from state.cloud.jobs import CloudJob
from state.cloud.members import Member
from state.cloud.objects import CloudObject, Wanted
from state.cloud.tallies import Tally

INDEX = "index"
IN_PROGRESS = "sync_in_progress"
MAX_TOLD_ERRORS = 100


class IndexService:
    def __init__(self, cloud: CloudEngine) -> None:
        self._cloud = cloud
        self._collections = CollectionService(cloud)

    def create(self, scope: Scope, wanted: IndexCreate) -> IndexView:
        """Start a build over all files of the directory.

        Raises:
            NotFoundError: no such directory.
            InvalidInputError: no such configuration.
        """
        directory = self._cloud.objects.get("directory", wanted.source_directory_id, scope.visible)
        products = [self._product(each, directory.project_id) for each in wanted.products or ()]
        embedding = choose_embedding(self._cloud, directory.project_id, None)
        options, ignored = _parsing(products)
        self._cloud.engine.dispatcher.check_broker()
        index_id, name = new_id(INDEX), wanted.name or directory.name or directory.id
        output = self._cloud.objects.insert(
            "directory",
            new_id("directory"),
            project_id=directory.project_id,
            name=name,
            body={"description": f"Made from directory {directory.id} by index {index_id}", "type": "index"},
        )
        body = {
            "description": wanted.description,
            "source_directory_id": directory.id,
            "output_directory_id": output.id,
            "export_config_id": new_id("export"),
            "sync_config_id": new_id("sync"),
            "sync_frequency": wanted.sync_frequency,
            "products": products,
            "ignored_parameters": _ignored(wanted) + ignored,
            "database": {**embedding.database, **self._strategy(directory.project_id, index_id, options)},
            **embedding.facts,
        }
        found = self._cloud.objects.insert(
            INDEX, index_id, project_id=directory.project_id, name=name, ref=directory.id, body=body
        )
        self._collections.start_sync(collection_of(found))
        return self._view(self._cloud.objects.get(INDEX, index_id))

    def get(self, scope: Scope, index_id: str, expand: Iterable[str] = ()) -> IndexView:
        return self._view(self._cloud.objects.get(INDEX, index_id, scope.visible), expand)

    def page(self, scope: Scope, *, token: str | None, size: int | None, expand: Iterable[str] = ()) -> IndexPage:
        page = self._cloud.objects.page(INDEX, Wanted(project_id=scope.project_id), token, size)
        known = self._collections.tallies([each for each in page.items if extract_product(each) is None])
        views = [self._view(each, expand, known.get(each.id)) for each in page.items]
        return IndexPage(items=views, next_page_token=page.next_page_token, total_size=page.total_size or 0)

    def sync(self, scope: Scope, index_id: str) -> None:
        self._collections.start_sync(collection_of(self._cloud.objects.get(INDEX, index_id, scope.visible)))

    def cancel_sync(self, scope: Scope, index_id: str) -> IndexView:
        found = self._cloud.objects.get(INDEX, index_id, scope.visible)
        self._collections.cancel_sync(found)
        return self._view(self._cloud.objects.get(INDEX, index_id))

    def delete(self, scope: Scope, index_id: str) -> None:
        """The source directory stays as it is."""
        found = self._cloud.objects.get(INDEX, index_id, scope.visible)
        self._collections.delete(collection_of(found))
        self._cloud.objects.delete("directory", found.body["output_directory_id"])

    def _strategy(self, project_id: str, index_id: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """One of its own where the parse product says how files are to be read."""
        if not options:
            return {}
        name = database_name(INDEX, index_id)
        return {"strategy": strategy_of(self._cloud, project_id, name, options)}

    def _product(self, wanted: IndexProduct, project_id: str) -> dict[str, Any]:
        try:
            found = self._cloud.objects.get("configuration", wanted.product_config_id, project_id)
        except NotFoundError as error:
            raise InvalidInputError(
                f"products: configuration '{wanted.product_config_id[:100]}' not found; save one with "
                "POST /api/v1/beta/configurations"
            ) from error
        parameters = found.body.get("parameters") or {}
        kind = str(parameters.get("product_type") or found.body.get("product_type") or "")
        if kind and not kind.startswith(wanted.product_type):
            raise InvalidInputError(
                f"products: configuration '{found.id}' is for '{kind}', not for '{wanted.product_type}'"
            )
        if wanted.product_type == "extract":
            _require_schema(found)
        return {"product_type": wanted.product_type, "product_config_id": found.id, "parameters": parameters}

    def _view(self, found: CloudObject, expand: Iterable[str] = (), tally: Tally | None = None) -> IndexView:
        body, is_busy = found.body, False
        if tally is not None:
            facts = _resting(found, tally)
        else:
            status = self._collections.status_of(found)
            facts, is_busy = self._metadata(found, status), IN_PROGRESS in expand and self._is_busy(found, status)
        return IndexView(
            id=found.id,
            name=found.name or found.id,
            description=body.get("description"),
            project_id=found.project_id,
            source_directory_id=body["source_directory_id"],
            output_directory_id=body["output_directory_id"],
            export_config_id=body["export_config_id"],
            sync_config_id=body["sync_config_id"],
            created_at=stamp(found.created_at),
            updated_at=stamp(max(found.updated_at, body.get("last_exported_at") or 0)),
            last_synced_at=maybe_stamp(body.get("last_synced_at")),
            last_exported_at=maybe_stamp(body.get("last_exported_at")),
            metadata=facts,
            sync_in_progress=is_busy if IN_PROGRESS in expand else None,
        )

    def _is_busy(self, found: CloudObject, status: CollectionStatus) -> bool:
        return status.sync == "syncing" or any(not each.is_final for each in self._fields_jobs(found))

    def _fields_jobs(self, found: CloudObject) -> list[CloudJob]:
        if extract_product(found) is None:
            return []
        return self._cloud.jobs.all(FIELDS, jobs_of(collection_of(found)))

    def _extraction(self, found: CloudObject, members: Sequence[Member]) -> dict[str, Any] | None:
        """How far the extract product is, if there is one."""
        parameters = extract_product(found)
        if parameters is None:
            return None
        jobs = last_of_each(self._fields_jobs(found))
        failed = [each for each in jobs.values() if each.state == "failed"]
        errors = [{"file_name": each.name, "message": each.error or ""} for each in failed[:MAX_TOLD_ERRORS]]
        return {
            "files_completed": sum(has_fields(each, parameters) for each in members),
            "files_pending": sum(not each.is_final for each in jobs.values()),
            "files_failed": len(failed),
            "errors": errors,
        }

    def _metadata(self, found: CloudObject, status: CollectionStatus) -> dict[str, Any]:
        members = self._collections.members_of(collection_of(found))
        states = [(each, status.of(each.file_hash)) for each in members]
        failed = [(each, state) for each, state in states if state.state == "error"]
        completed = sum(state.state == "completed" for _, state in states)
        errors: list[dict[str, str | None]] = [
            {"file_id": each.id, "message": state.error or ""} for each, state in failed[:MAX_TOLD_ERRORS]
        ]
        if status.error and not errors:
            errors = [{"file_id": None, "message": status.error}]
        chunks = {each.file_hash: state.chunk_count for each, state in states}
        return {
            "status": _build_state(status, len(members), completed, len(failed)),
            "extraction": self._extraction(found, members),
            "file_count": len(members),
            "files_completed": completed,
            "files_failed": len(failed),
            "chunk_count": sum(chunks.values()),
            "errors": errors,
            **_settings(found),
        }


def _resting(found: CloudObject, tally: Tally) -> dict[str, Any]:
    """The same of an index at rest that has no extract product."""
    return {
        "status": "ready" if tally.was_synced else "pending",
        "extraction": None,
        "file_count": tally.total,
        "files_completed": tally.completed,
        "files_failed": 0,
        "chunk_count": tally.chunks,
        "errors": [],
        **_settings(found),
    }


def _settings(found: CloudObject) -> dict[str, Any]:
    names = ("embedding_model", "embedding_dimension", "sync_frequency")
    return {
        **{each: found.body.get(each) for each in names},
        "ignored_parameters": found.body.get("ignored_parameters") or [],
    }


def _build_state(status: CollectionStatus, total: int, completed: int, failed: int) -> str:
    if status.sync == "none" or (status.job is not None and status.job.state == "waiting"):
        return "pending"
    if status.sync == "syncing":
        return "syncing"
    if status.sync == "failed" or (total and failed == total):
        return "error"
    if status.sync == "cancelled" and not completed:
        return "pending"
    return "partial" if failed or status.sync == "cancelled" else "ready"


def _parsing(products: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    found = next((each for each in products if each["product_type"] == "parse"), None)
    if found is None:
        return {}, []
    options, ignored = parse_options(found["parameters"])
    return options, [f"parse: {each}" for each in ignored]


def _require_schema(found: CloudObject) -> None:
    schema = (found.body.get("parameters") or {}).get("data_schema")
    if not schema:
        raise InvalidInputError(f"products: configuration '{found.id}' has no data_schema, so nothing can be extracted")
    read_schema(schema)


def _ignored(wanted: IndexCreate) -> list[str]:
    """What was asked for and has no effect."""
    found = [f"store_attachments: {each}" for each in wanted.store_attachments or ()]
    if wanted.vector_target == "DISABLED":
        found.append("vector_target: DISABLED")
    return found
