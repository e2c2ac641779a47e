"""Uploaded files: taking them in, finding, showing and deleting them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyio import to_thread
from sqlalchemy import ColumnElement

from rag.errors import BadRequestError, InvalidInputError, NotFoundError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.links import Links, PresignedURL
from server.llamacloud.schemas.files import FileFilter, FilePage, FileView, UploadSlot, UploadSlotRequest
from server.llamacloud.scope import Scope
from server.llamacloud.services.file_kinds import read_kind
from server.llamacloud.services.uploading import Arrived, Body, receive_form, receive_raw
from server.llamacloud.times import maybe_stamp, seconds_of, stamp
from state.cloud.blobs import CloudFiles
from state.cloud.ids import new_id
from state.cloud.objects import CloudObject, Order, Wanted
from state.cloud.shelf import FILE, FileShelf, check_empty
from state.cloud.tables import CloudObjectRow
from state.file_names import safe_name
from state.incoming import IncomingFile

MAX_PURPOSE_CHARS = 100
MAX_EXTERNAL_ID_CHARS = 1_000
MAX_FILE_IDS = 1_000
DEFAULT_PAGE_SIZE = 50
ORDERS: Mapping[str, Order] = {"name": "name", "id": "id", "created_at": "-created_at"}
"""By date, the newest come first: so the vendor's reference has it."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What a client says of a file besides its bytes."""

    purpose: str | None = None
    external_file_id: str | None = None

    def merged(self, fields: Mapping[str, str]) -> dict[str, Any]:
        """With what stands in the form.

        Raises:
            InvalidInputError: a text that is too long, or that cannot be stored.
        """
        return {
            "purpose": _text(self.purpose or fields.get("purpose"), "purpose", MAX_PURPOSE_CHARS),
            "external_file_id": _text(
                self.external_file_id or fields.get("external_file_id"), "external_file_id", MAX_EXTERNAL_ID_CHARS
            ),
        }


class FileService:
    def __init__(self, cloud: CloudEngine) -> None:
        self._cloud = cloud

    async def upload(self, scope: Scope, body: Body, labels: Labels) -> FileView:
        """Raises BadRequestError, InvalidInputError, LimitExceededError as `receive_form` does."""
        found = await receive_form(
            await to_thread.run_sync(self.target, scope.project_id),
            body,
            max_bytes=self._cloud.settings.max_upload_bytes,
            keep=lambda arrived: self.keep(scope.project_id, arrived, labels),
        )
        return view_of(found)

    def target(self, project_id: str) -> CloudFiles:
        """Where bytes of a project go; the project is made if it is not there."""
        self._cloud.projects.ensure(project_id)
        return self._cloud.files(project_id)

    def keep(self, project_id: str, arrived: Arrived, labels: Labels) -> CloudObject:
        """A new file of what arrived in a form."""
        body = labels.merged(arrived.fields)
        return self.put(project_id, arrived.incoming, arrived.name or "", body, mime=arrived.mime)

    def put(
        self,
        project_id: str,
        incoming: IncomingFile,
        name: str,
        body: Mapping[str, Any],
        *,
        mime: str | None = None,
        file_id: str | None = None,
    ) -> CloudObject:
        return self.shelf(project_id).put(incoming, name, mime, body, file_id, _kind)

    def shelf(self, project_id: str) -> FileShelf:
        return FileShelf(self._cloud.objects, self._cloud.files(project_id), project_id)

    def get(self, file_id: str, scope: Scope) -> CloudObject:
        return self._cloud.objects.get(FILE, file_id, scope.visible)

    def view(self, file_id: str, scope: Scope) -> FileView:
        return view_of(self.get(file_id, scope))

    def page(
        self,
        scope: Scope,
        wanted: FileFilter,
        links: Links,
        *,
        order_by: str | None = None,
        expand: Sequence[str] = (),
        token: str | None = None,
        size: int | None = None,
    ) -> FilePage:
        """Raises InvalidInputError for an order or an expansion that there is not."""
        order = _order(order_by)
        _check_expand(expand)
        shown = _wanted(scope.within(wanted.project_id).project_id, wanted)
        page = self._cloud.objects.page(FILE, shown, token, size or DEFAULT_PAGE_SIZE, order)
        items = [view_of(each, self._link(each, links) if "download_url" in expand else None) for each in page.items]
        return FilePage(items=items, next_page_token=page.next_page_token, total_size=page.total_size or 0)

    def delete(self, file_id: str, scope: Scope) -> None:
        """Directories, indexes and pipelines that hold the file keep its bytes until they let go of it."""
        found = self.get(file_id, scope)
        self.shelf(found.project_id).delete(found.id, scope.visible)

    def content(self, file_id: str, scope: Scope, links: Links, seconds: int | None) -> PresignedURL:
        """Raises NotFoundError also for a presigned upload that did not arrive yet."""
        found = self.get(file_id, scope)
        if found.ref is None:
            raise NotFoundError(
                f"File {file_id[:100]!r} has no content yet: send its bytes to the link that came with it"
            )
        self._cloud.files(found.project_id).path(found.ref)
        return links.presigned(_claim(found), seconds)

    def slot(self, scope: Scope, wanted: UploadSlotRequest, links: Links, seconds: int | None) -> UploadSlot:
        """A file without content, and the link that takes it.

        Raises:
            InvalidInputError: more seconds than a link may last.
            LimitExceededError: the announced size is above the limit.
        """
        limit = self._cloud.settings.max_upload_bytes
        if (wanted.file_size or 0) > limit:
            raise BadRequestError(f"file_size = {wanted.file_size}: at most {limit} bytes (LF_MAX_UPLOAD_BYTES)")
        self._cloud.projects.ensure(scope.project_id)
        file_id = new_id(FILE)
        link = links.presigned({"kind": "upload", "project_id": scope.project_id, "file_id": file_id}, seconds)
        body = {
            "file_size": None,
            "content_type": None,
            "announced_size": wanted.file_size,
            "last_modified_at": seconds_of(wanted.last_modified_at),
            **wanted.model_dump(include={"external_file_id", "purpose", "resource_info", "permission_info"}),
        }
        self._cloud.objects.insert(FILE, file_id, project_id=scope.project_id, name=safe_name(wanted.name), body=body)
        return UploadSlot(file_id=file_id, url=link.url, expires_at=link.expires_at)

    async def fill(self, project_id: str, file_id: str, body: Body) -> None:
        """Take what is sent to the link of `slot`, once.

        Raises:
            NotFoundError: the file was deleted.
            ConflictError: it has content already.
            BadRequestError: it is empty, or not as long as announced.
        """
        found = await to_thread.run_sync(self._empty_slot, project_id, file_id)
        announced = found.body.get("announced_size")

        def keep(arrived: Arrived) -> None:
            if announced is not None and arrived.incoming.size != announced:
                raise BadRequestError(
                    f"{arrived.incoming.size} bytes arrived, but file_size = {announced} was announced"
                )
            self.put(project_id, arrived.incoming, found.name or "", {}, mime=None, file_id=file_id)

        limit = self._cloud.settings.max_upload_bytes
        files = await to_thread.run_sync(self.target, project_id)
        await receive_raw(files, body, max_bytes=limit, keep=keep)

    def _empty_slot(self, project_id: str, file_id: str) -> CloudObject:
        found = self._cloud.objects.get(FILE, file_id, project_id)
        check_empty(found)  # `put` looks again, under the lock; this spares who comes late the upload
        return found

    def _link(self, found: CloudObject, links: Links) -> PresignedURL | None:
        return None if found.ref is None else links.presigned(_claim(found))


def view_of(found: CloudObject, link: PresignedURL | None = None) -> FileView:
    body = found.body
    return FileView(
        id=found.id,
        name=found.name or "",
        project_id=found.project_id,
        file_size=body.get("file_size"),
        content_type=body.get("content_type"),
        file_type=body.get("file_type"),
        purpose=body.get("purpose"),
        external_file_id=body.get("external_file_id"),
        data_source_id=body.get("data_source_id"),
        last_modified_at=maybe_stamp(body.get("last_modified_at")),
        permission_info=body.get("permission_info"),
        resource_info=body.get("resource_info"),
        download_url=link,
        created_at=stamp(found.created_at),
        updated_at=stamp(found.updated_at),
    )


def _kind(path: Path, name: str) -> dict[str, str]:
    content_type, file_type = read_kind(path, name)
    return {"content_type": content_type, "file_type": file_type}


def _claim(found: CloudObject) -> dict[str, Any]:
    return {"kind": "file", "project_id": found.project_id, "file_id": found.id}


def _wanted(project_id: str, wanted: FileFilter) -> Wanted:
    row, where = CloudObjectRow, list[ColumnElement[bool]]()
    if wanted.file_ids is not None:
        if len(wanted.file_ids) > MAX_FILE_IDS:
            raise InvalidInputError(f"file_ids holds {len(wanted.file_ids)} ids: at most {MAX_FILE_IDS} at once")
        where.append(row.id.in_(wanted.file_ids))
    for key, value in (("external_file_id", wanted.external_file_id), ("data_source_id", wanted.data_source_id)):
        if value is not None:
            where.append(row.body[key].as_string() == value)
    if wanted.only_manually_uploaded:
        where.append(row.body["data_source_id"].as_string().is_(None))
    query = wanted.model_dump(exclude_none=True)
    return Wanted(project_id=project_id, name=wanted.file_name, where=tuple(where), query=query)


def _order(wanted: str | None) -> Order:
    if wanted is None:
        return "created_at"
    if wanted not in ORDERS:
        raise InvalidInputError(f"order_by = {wanted[:100]!r}: expected one of {', '.join(ORDERS)}")
    return ORDERS[wanted]


def _check_expand(expand: Sequence[str]) -> None:
    unknown = [each for each in expand if each != "download_url"]
    if unknown:
        raise InvalidInputError(f"expand = {unknown[0][:100]!r}: only download_url can be asked for")


def _text(value: str | None, name: str, max_chars: int) -> str | None:
    if value is not None and (len(value) > max_chars or "\x00" in value):
        raise InvalidInputError(f"{name}: expected at most {max_chars} characters without NUL")
    return value or None
