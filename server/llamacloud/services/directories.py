"""Directories: named sets of files that indexes are built over."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement

from server.llamacloud.engine import CloudEngine
from server.llamacloud.schemas.directories import DirectoryCreate, DirectoryPage, DirectoryUpdate, DirectoryView
from server.llamacloud.scope import Scope
from server.llamacloud.times import maybe_stamp, stamp
from state.cloud.ids import new_id
from state.cloud.objects import CloudObject, Wanted
from state.cloud.shelf import DIRECTORY_FILE, FileShelf
from state.cloud.tables import CloudObjectRow

KIND = "directory"
DEFAULT_TYPE = "user"


class DirectoryService:
    def __init__(self, cloud: CloudEngine) -> None:
        self._cloud = cloud
        self._objects = cloud.objects

    def create(self, scope: Scope, wanted: DirectoryCreate) -> DirectoryView:
        self._cloud.projects.ensure(scope.project_id)
        body = {
            "description": wanted.description,
            "type": wanted.type or DEFAULT_TYPE,
            "system_metadata": wanted.system_metadata,
        }
        return _view(self._objects.insert(KIND, new_id(KIND), project_id=scope.project_id, name=wanted.name, body=body))

    def get(self, directory_id: str, scope: Scope) -> DirectoryView:
        return _view(self._objects.get(KIND, directory_id, scope.visible))

    def page(
        self,
        scope: Scope,
        *,
        name: str | None,
        types: Sequence[str],
        data_source_id: str | None,
        with_deleted: bool,
        token: str | None,
        size: int | None,
    ) -> DirectoryPage:
        """Without `types`, those that users made."""
        body = CloudObjectRow.body
        shown = sorted(set(types)) or [DEFAULT_TYPE]
        where: list[ColumnElement[bool]] = [body["type"].as_string().in_(shown)]
        if data_source_id is not None:
            where.append(body["data_source_id"].as_string() == data_source_id)
        wanted = Wanted(
            project_id=scope.project_id,
            name=name,
            with_deleted=with_deleted,
            where=tuple(where),
            query={"types": shown, "data_source_id": data_source_id},
        )
        page = self._objects.page(KIND, wanted, token, size)
        return DirectoryPage(
            items=[_view(each) for each in page.items],
            next_page_token=page.next_page_token,
            total_size=page.total_size or 0,
        )

    def update(self, directory_id: str, scope: Scope, wanted: DirectoryUpdate) -> DirectoryView:
        def change(found: CloudObject) -> dict[str, Any]:
            new = {} if wanted.description is None else {"description": wanted.description}
            return {"name": wanted.name or found.name, "body": {**found.body, **new}}

        return _view(self._objects.change(KIND, directory_id, change, scope.visible))

    def delete(self, directory_id: str, scope: Scope) -> None:
        """With its entries. An index over it keeps what it has built until it is synced or deleted."""
        found = self._objects.get(KIND, directory_id, scope.visible)
        self._objects.mark_deleted(KIND, found.id)
        held = self._objects.all(DIRECTORY_FILE, Wanted(parent_id=found.id))
        self._objects.mark_deleted_of(DIRECTORY_FILE, found.id)
        files = self._cloud.files(found.project_id)
        FileShelf(self._objects, files, found.project_id).release_of_files(each.ref for each in held)


def _view(found: CloudObject) -> DirectoryView:
    body = found.body
    return DirectoryView(
        id=found.id,
        name=found.name or "",
        project_id=found.project_id,
        description=body.get("description"),
        type=body.get("type") or DEFAULT_TYPE,
        system_metadata=body.get("system_metadata"),
        created_at=stamp(found.created_at),
        updated_at=stamp(found.updated_at),
        deleted_at=maybe_stamp(found.deleted_at),
    )
