"""The files of a pipeline: which there are, how far each is, and what is said of it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from rag.errors import BadRequestError, NotFoundError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.schemas.pipelines import (
    FileWord,
    IngestionError,
    IngestionStatus,
    PipelineFileCounts,
    PipelineFileInput,
    PipelineFilePage,
    PipelineFileView,
    PipelineStatusCounts,
)
from server.llamacloud.services.collections import CollectionService
from server.llamacloud.times import maybe_stamp, stamp
from state.cloud.collections import CollectionStatus, FileState, FileStatus, collection_of
from state.cloud.members import TOLD, Member
from state.cloud.objects import CloudObject
from state.cloud.shelf import FILE

WORDS: dict[FileState, FileWord] = {
    "pending": "NOT_STARTED",
    "processing": "IN_PROGRESS",
    "completed": "SUCCESS",
    "error": "ERROR",
    "cancelled": "CANCELLED",
}
"""Of the vendor's clients."""
SEED_WORDS: dict[FileState, str] = {**{each: each for each in WORDS}, "cancelled": "error"}
ORDERS: dict[str, Callable[[Member], Any]] = {
    "name": lambda each: each.name,
    "created_at": lambda each: each.created_at,
    "updated_at": lambda each: each.updated_at,
}
SOURCE = "data_source_id"
"""Key of a member's `extra`: the data source that it was found in."""


@dataclass(frozen=True, slots=True)
class FilesWanted:
    """Which files of a pipeline; None does not narrow."""

    data_source_id: str | None = None
    only_manually_uploaded: bool = False
    name_contains: str | None = None
    statuses: tuple[FileWord, ...] | None = None
    order_by: str | None = None

    def includes(self, member: Member, status: FileStatus) -> bool:
        source = member.extra.get(SOURCE)
        is_theirs = self.data_source_id in (None, source) and not (self.only_manually_uploaded and source)
        is_named = self.name_contains is None or self.name_contains.casefold() in member.name.casefold()
        return is_theirs and is_named and (self.statuses is None or WORDS[status.state] in self.statuses)

    def ordered(self, members: Iterable[Member]) -> list[Member]:
        if not self.order_by:
            return list(members)
        name, _, way = self.order_by.strip().partition(" ")
        key = ORDERS.get(name.removeprefix("-"))
        if key is None or way.strip().lower() not in ("", "asc", "desc"):
            raise BadRequestError(
                f"order_by {self.order_by[:100]!r} is not known. Known: {', '.join(ORDERS)}, each with 'asc' or 'desc'"
            )
        return sorted(members, key=key, reverse=name.startswith("-") or way.strip().lower() == "desc")


class PipelineFileService:
    def __init__(self, cloud: CloudEngine) -> None:
        self._cloud = cloud
        self._collections = CollectionService(cloud)

    def put(self, found: CloudObject, wanted: Sequence[PipelineFileInput]) -> list[Member]:
        """Add files or replace what is said of them, and start a sync.

        Raises:
            BadRequestError: one of them does not exist in the project, or has no content yet; none was added.
        """
        given = {each.file_id: each.metadata or {} for each in wanted}
        files = self._cloud.objects.by_ids(FILE, given, found.project_id)
        missing = [each for each in given if each not in files]
        if missing:
            raise BadRequestError(
                f"file_id {', '.join(repr(each[:100]) for each in missing[:5])}: no such file in the project; nothing "
                "was added. Upload it with POST /api/v1/files"
            )
        waiting = [each for each in given if not files[each].ref]
        if waiting:
            raise BadRequestError(f"file_id {waiting[0]!r}: its content was not uploaded yet; nothing was added")
        members = [_member(files[file_id], metadata) for file_id, metadata in given.items()]
        if members:
            self._collections.put(collection_of(found), members)
        return [each for each in self._files(found) if each.id in given]

    def describe(self, found: CloudObject, file_id: str, metadata: dict[str, Any] | None) -> Member:
        """Replace what is said of a file; no chunk is touched."""
        member = self.get(found, file_id)
        if metadata is None:
            return member
        extra = {**member.extra, TOLD: True} if SOURCE in member.extra else member.extra
        changed = replace(member, metadata=metadata, extra=extra)
        self._collections.members.update(collection_of(found), put=[changed])
        return self.get(found, member.id)

    def remove(self, found: CloudObject, file_id: str) -> None:
        self._collections.take_away(collection_of(found), [self.get(found, file_id).id])

    def get(self, found: CloudObject, file_id: str) -> Member:
        """Raises NotFoundError."""
        member = self._collections.members.find(collection_of(found), file_id)
        if member is None or member.file_id is None:
            raise NotFoundError(f"File {file_id[:100]!r} not found in pipeline '{found.id}'")
        return member

    # -- how far they are -----------------------------------------------------------------------------------

    def all(self, found: CloudObject, *, official: bool) -> Sequence[PipelineFileView]:
        members = self._files(found)
        return self.views(found, members, official=official)

    def page(self, found: CloudObject, wanted: FilesWanted, *, limit: int, offset: int) -> PipelineFilePage:
        status = self._collections.status_of(found)
        matching = [each for each in self._files(found) if wanted.includes(each, status.of(each.file_hash))]
        shown = wanted.ordered(matching)[offset : offset + limit]
        files = list(self.views(found, shown, official=True, status=status))
        return PipelineFilePage(files=files, total_count=len(matching), limit=limit, offset=offset)

    def counts(self, found: CloudObject) -> PipelineFileCounts:
        counted = self._collections.status_of(found).counts(self._files(found))
        return PipelineFileCounts(
            total=counted.total(),
            pending=counted["pending"],
            processing=counted["processing"],
            completed=counted["completed"],
            error=counted["error"] + counted["cancelled"],
        )

    def status_counts(self, found: CloudObject, wanted: FilesWanted) -> PipelineStatusCounts:
        status = self._collections.status_of(found)
        matching = [each for each in self._files(found) if wanted.includes(each, status.of(each.file_hash))]
        counted = status.counts(matching)
        return PipelineStatusCounts(
            counts={word: counted[state] for state, word in WORDS.items() if counted[state]},
            total_count=len(matching),
            pipeline_id=found.id,
            data_source_id=wanted.data_source_id,
            only_manually_uploaded=wanted.only_manually_uploaded,
        )

    def status(self, found: CloudObject, file_id: str) -> IngestionStatus:
        member, status = self.get(found, file_id), self._collections.status_of(found)
        return member_status(status, member, found)

    def views(
        self,
        found: CloudObject,
        members: Sequence[Member],
        *,
        official: bool,
        status: CollectionStatus | None = None,
    ) -> Sequence[PipelineFileView]:
        status = status or self._collections.status_of(found)
        files = self._cloud.objects.by_ids(FILE, [each.file_id or "" for each in members])
        words: dict[FileState, Any] = WORDS if official else SEED_WORDS
        return [_view(found, each, status.of(each.file_hash), files.get(each.file_id or ""), words) for each in members]

    def _files(self, found: CloudObject) -> Sequence[Member]:
        """Documents that came as text are told of elsewhere."""
        return [each for each in self._collections.members_of(collection_of(found)) if each.file_id is not None]


def member_status(status: CollectionStatus, member: Member, found: CloudObject) -> IngestionStatus:
    """Of one file or document of a pipeline."""
    its, job = status.of(member.file_hash), status.job
    word = WORDS[its.state]
    if word == "NOT_STARTED" and status.sync == "syncing":
        word = "IN_PROGRESS"
    job_id = job.id if job else None
    errors = []
    if its.state == "error":
        errors.append(IngestionError(job_id=job_id or found.id, message=its.error or "", step="PARSE"))
    return IngestionStatus(
        status=word,
        job_id=job_id,
        deployment_date=maybe_stamp(found.body.get("last_synced_at")),
        effective_at=stamp(member.updated_at),
        error=errors,
    )


def _member(file: CloudObject, metadata: dict[str, Any]) -> Member:
    return Member(id=file.id, file_hash=file.ref or "", name=file.name or file.id, file_id=file.id, metadata=metadata)


def _view(
    found: CloudObject, member: Member, status: FileStatus, file: CloudObject | None, words: dict[FileState, Any]
) -> PipelineFileView:
    body = file.body if file is not None else {}
    return PipelineFileView(
        id=member.id,
        file_id=member.file_id,
        pipeline_id=found.id,
        project_id=found.project_id,
        name=member.name,
        status=words[status.state],
        status_message=status.error,
        metadata=dict(member.metadata),
        custom_metadata=dict(member.metadata),
        chunk_count=status.chunk_count,
        data_source_id=member.extra.get(SOURCE),
        external_file_id=body.get("external_file_id"),
        file_size=body.get("file_size"),
        file_type=body.get("file_type") or PurePath(member.name).suffix.lstrip(".").lower() or None,
        created_at=stamp(member.created_at),
        updated_at=stamp(member.updated_at),
    )
