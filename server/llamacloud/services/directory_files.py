"""Files in directories. An entry keeps its id while its content is replaced: that is how changed files come again."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from anyio import to_thread
from sqlalchemy import ColumnElement

from rag.errors import BadRequestError, ConflictError, InvalidInputError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.links import Links, PresignedURL
from server.llamacloud.schemas.directories import (
    DirectoryFileAdd,
    DirectoryFilePage,
    DirectoryFileUpdate,
    DirectoryFileView,
)
from server.llamacloud.scope import Scope
from server.llamacloud.services.directories import KIND as DIRECTORY
from server.llamacloud.services.files import FileService, Labels
from server.llamacloud.services.uploading import Arrived, Body, receive_form
from server.llamacloud.times import maybe_stamp, seconds_of, stamp
from state.cloud.ids import new_id
from state.cloud.objects import CloudObject, Wanted, not_found
from state.cloud.shelf import DIRECTORY_FILE, FILE, FileShelf
from state.cloud.tables import CloudObjectRow

EXPANSIONS = ("download_url", "metadata")
MAX_KEY_CHARS = 450
ROUNDING_S = 1e-6
"""Times on the wire have microseconds, those of the state a little more."""


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries of a directory; None does not narrow."""

    display_name: str | None = None
    display_name_contains: str | None = None
    file_id: str | None = None
    unique_id: str | None = None
    with_deleted: bool = False
    updated_from: datetime | None = None
    updated_to: datetime | None = None

    def of(self, directory_id: str) -> Wanted:
        row, where = CloudObjectRow, list[ColumnElement[bool]]()
        if self.display_name_contains is not None:
            where.append(row.name.icontains(self.display_name_contains, autoescape=True))
        if self.unique_id is not None:
            where.append(self._is_named(directory_id, self.unique_id))
        if (after := seconds_of(self.updated_from)) is not None:
            where.append(row.updated_at >= after - ROUNDING_S)
        if (before := seconds_of(self.updated_to)) is not None:
            where.append(row.updated_at <= before + ROUNDING_S)
        return Wanted(
            parent_id=directory_id,
            name=self.display_name,
            ref=self.file_id,
            with_deleted=self.with_deleted,
            where=tuple(where),
            query={name: getattr(self, name) for name in self.__slots__},
        )

    def _is_named(self, directory_id: str, unique_id: str) -> ColumnElement[bool]:
        if self.with_deleted:  # those have given their key free
            found: ColumnElement[bool] = CloudObjectRow.body["unique_id"].as_string() == unique_id
            return found
        return CloudObjectRow.unique_key == _key(directory_id, unique_id)


@dataclass(frozen=True, slots=True)
class _Entry:
    """What an entry is to say; None is taken from the file, or from what is there."""

    file: CloudObject
    unique_id: str | None = None
    display_name: str | None = None
    metadata: Mapping[str, Any] | None = None


class DirectoryFileService:
    def __init__(self, cloud: CloudEngine) -> None:
        self._cloud = cloud
        self._objects = cloud.objects
        self._files = FileService(cloud)

    def add(self, directory_id: str, scope: Scope, wanted: DirectoryFileAdd) -> DirectoryFileView:
        """Put a file in; one of the same `unique_id` gets its content.

        Raises:
            NotFoundError: directory or file are not there, or not in the same project.
            BadRequestError: the file has no content yet.
        """
        directory = self._objects.get(DIRECTORY, directory_id, scope.visible)
        with self._shelf(directory.project_id).locked():  # the file must not go meanwhile
            file = self._objects.get(FILE, wanted.file_id, directory.project_id)
            return _view(self._put(directory, _Entry(file, wanted.unique_id, wanted.display_name, wanted.metadata)))

    async def upload(
        self, directory_id: str, scope: Scope, body: Body, read: Callable[[Mapping[str, str]], DirectoryFileAdd]
    ) -> DirectoryFileView:
        """Store a file and put it in.

        Args:
            read: makes the request of `add` out of the form's text fields; what it raises leaves nothing behind.
        """
        directory = await to_thread.run_sync(self._objects.get, DIRECTORY, directory_id, scope.visible)

        def keep(arrived: Arrived) -> CloudObject:
            wanted = read(arrived.fields)
            with self._shelf(directory.project_id).locked():
                self._objects.get(DIRECTORY, directory.id)
                file = self._files.keep(directory.project_id, arrived, Labels())
                return self._put(directory, _Entry(file, wanted.unique_id, wanted.display_name, wanted.metadata))

        return _view(
            await receive_form(
                await to_thread.run_sync(self._files.target, directory.project_id),
                body,
                max_bytes=self._cloud.settings.max_upload_bytes,
                keep=keep,
            )
        )

    def get(
        self, directory_id: str, entry_id: str, scope: Scope, links: Links, expand: Sequence[str]
    ) -> DirectoryFileView:
        _check_expand(expand)
        return self._expanded(self._entry(directory_id, entry_id, scope), links, expand)

    def page(
        self,
        directory_id: str,
        scope: Scope,
        wanted: EntryFilter,
        links: Links,
        *,
        expand: Sequence[str],
        token: str | None,
        size: int | None,
    ) -> DirectoryFilePage:
        _check_expand(expand)
        directory = self._objects.get(DIRECTORY, directory_id, scope.visible)
        page = self._objects.page(DIRECTORY_FILE, wanted.of(directory.id), token, size)
        return DirectoryFilePage(
            items=[self._expanded(each, links, expand) for each in page.items],
            next_page_token=page.next_page_token,
            total_size=page.total_size or 0,
        )

    def update(self, directory_id: str, entry_id: str, scope: Scope, wanted: DirectoryFileUpdate) -> DirectoryFileView:
        """Rename, move, or give other metadata.

        Raises:
            NotFoundError: it is not there, or the directory to move to is not, or is another project's.
            BadRequestError: another file of the directory has the `unique_id`.
        """
        found = self._entry(directory_id, entry_id, scope)
        target = wanted.target_directory_id or wanted.directory_id or found.parent_id or ""
        if target != found.parent_id:
            self._objects.get(DIRECTORY, target, found.project_id)
        change = _change(target, wanted.display_name, wanted.unique_id, wanted.metadata)
        try:
            return _view(self._objects.change(DIRECTORY_FILE, found.id, change, scope.visible))
        except ConflictError as error:
            named = wanted.unique_id or found.body["unique_id"]
            raise BadRequestError(
                f"another file of directory {target!r} has unique_id {named[:100]!r}; choose another"
            ) from error

    def delete(self, directory_id: str, entry_ids: Sequence[str], scope: Scope) -> None:
        """Hide entries; a later sync of an index drops what it made of them. All are there, or none is deleted."""
        found = [self._entry(directory_id, each, scope) for each in dict.fromkeys(entry_ids)]
        for each in found:
            self._objects.mark_deleted(DIRECTORY_FILE, each.id)
        if found:
            self._shelf(found[0].project_id).release_of_files(each.ref for each in found)

    def _put(self, directory: CloudObject, entry: _Entry) -> CloudObject:
        file = entry.file
        if file.ref is None:
            raise BadRequestError(f"File {file.id!r} has no content yet: send its bytes to the link that came with it")
        unique_id = entry.unique_id or file.body.get("external_file_id") or file.name or file.id
        named = replace(entry, unique_id=unique_id)
        known = self._objects.find(DIRECTORY_FILE, _key(directory.id, unique_id))
        if known is None:
            try:
                return self._insert(directory, named)
            except ConflictError:  # another request was quicker
                known = self._objects.find(DIRECTORY_FILE, _key(directory.id, unique_id))
                if known is None:
                    raise
        return self._refill(known, named)

    def _insert(self, directory: CloudObject, entry: _Entry) -> CloudObject:
        unique_id, file = entry.unique_id or "", entry.file
        body = {
            "file_hash": file.ref,
            "unique_id": unique_id,
            "metadata": dict(entry.metadata or {}),
            "system_metadata": {},
        }
        return self._objects.insert(
            DIRECTORY_FILE,
            new_id(DIRECTORY_FILE),
            project_id=directory.project_id,
            parent_id=directory.id,
            name=entry.display_name or file.name,
            ref=file.id,
            unique_key=_key(directory.id, unique_id),
            body=body,
        )

    def _refill(self, known: CloudObject, entry: _Entry) -> CloudObject:
        def change(found: CloudObject) -> dict[str, Any]:
            metadata = found.body["metadata"] if entry.metadata is None else dict(entry.metadata)
            return {
                "ref": entry.file.id,
                "name": entry.display_name or entry.file.name,
                "body": {**found.body, "file_hash": entry.file.ref, "metadata": metadata},
            }

        changed = self._objects.change(DIRECTORY_FILE, known.id, change)
        if known.ref != entry.file.id:
            self._shelf(known.project_id).release_of_files([known.ref])
        return changed

    def _entry(self, directory_id: str, entry_id: str, scope: Scope) -> CloudObject:
        directory = self._objects.get(DIRECTORY, directory_id, scope.visible)
        found = self._objects.get(DIRECTORY_FILE, entry_id, scope.visible)
        if found.parent_id != directory.id:
            raise not_found(DIRECTORY_FILE, entry_id)
        return found

    def _expanded(self, found: CloudObject, links: Links, expand: Sequence[str]) -> DirectoryFileView:
        file_hash = found.body.get("file_hash")
        if "download_url" not in expand or found.deleted_at is not None or not file_hash:
            return _view(found)
        claim = {"kind": "blob", "project_id": found.project_id, "file_hash": file_hash, "filename": found.name}
        return _view(found, links.presigned(claim))

    def _shelf(self, project_id: str) -> FileShelf:
        return self._files.shelf(project_id)


def _view(found: CloudObject, link: PresignedURL | None = None) -> DirectoryFileView:
    body = found.body
    return DirectoryFileView(
        id=found.id,
        directory_id=found.parent_id or "",
        display_name=found.name or "",
        project_id=found.project_id,
        unique_id=body["unique_id"],
        file_id=found.ref,
        metadata={**(body.get("system_metadata") or {}), **(body.get("metadata") or {})},
        download_url=link,
        created_at=stamp(found.created_at),
        updated_at=stamp(found.updated_at),
        deleted_at=maybe_stamp(found.deleted_at),
    )


def _change(
    target: str, display_name: str | None, unique_id: str | None, metadata: Mapping[str, Any] | None
) -> Callable[[CloudObject], dict[str, Any]]:
    def change(found: CloudObject) -> dict[str, Any]:
        body = dict(found.body)
        if unique_id is not None:
            body["unique_id"] = unique_id
        if metadata is not None:
            body["metadata"] = dict(metadata)
        key = _key(target, body["unique_id"])
        return {"parent_id": target, "name": display_name or found.name, "unique_key": key, "body": body}

    return change


def _key(directory_id: str, unique_id: str) -> str:
    """A long id stands as its digest: the column is bounded."""
    if len(unique_id) > MAX_KEY_CHARS:
        unique_id = f"sha256:{hashlib.sha256(unique_id.encode()).hexdigest()}"
    return f"{directory_id}/{unique_id}"


def _check_expand(expand: Sequence[str]) -> None:
    unknown = [each for each in expand if each not in EXPANSIONS]
    if unknown:
        raise InvalidInputError(f"expand = {unknown[0][:100]!r}: expected one of {', '.join(EXPANSIONS)}")
