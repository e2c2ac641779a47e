"""Documents of pipelines: text that comes without a file, kept as one, and a member like any other."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rag.errors import BadRequestError, NotFoundError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.schemas.documents import DocumentCounts, DocumentInput, DocumentPage, DocumentView
from server.llamacloud.schemas.pipelines import IngestionStatus
from server.llamacloud.scope import Scope
from server.llamacloud.services.collections import CollectionService
from server.llamacloud.services.pipeline_files import member_status
from state.cloud.collections import CollectionStatus, collection_of
from state.cloud.ids import new_id
from state.cloud.members import Member
from state.cloud.objects import CloudObject, not_found
from state.cloud.shelf import FileShelf
from state.file_names import safe_name

PIPELINE = "pipeline"
DOCUMENT = "document"
MAX_MEMBER_ID_CHARS = 60
KEPT = ("excluded_embed_metadata_keys", "excluded_llm_metadata_keys", "page_positions")


class DocumentService:
    def __init__(self, cloud: CloudEngine) -> None:
        self._cloud = cloud
        self._collections = CollectionService(cloud)

    def put(self, pipeline_id: str, scope: Scope, wanted: Sequence[DocumentInput]) -> list[DocumentView]:
        """Add documents, replace those of the same id, and start a sync.

        Raises:
            BadRequestError: an id is that of a file of the pipeline; nothing was added.
        """
        pipeline = self._cloud.objects.get(PIPELINE, pipeline_id, scope.visible)
        collection, shelf = collection_of(pipeline), self._shelf(pipeline)
        given = {each.id or new_id(DOCUMENT): each for each in wanted}
        self._cloud.engine.dispatcher.check_broker()
        if given:
            with shelf.locked():  # until the members are there, nothing else holds the bytes
                known = {each.id: each for each in self._collections.members_of(collection)}
                _check_ids(given, known)
                members = [self._member(shelf, each_id, each) for each_id, each in given.items()]
                self._collections.put(collection, members)
            before = [known[each.id] for each in members if each.id in known]
            shelf.release(each.file_hash for each in before)
        status = self._collections.status(collection)
        return [self._view(pipeline, self._found(pipeline, each), status) for each in given]

    def all(self, pipeline_id: str, scope: Scope, *, skip: int, limit: int, file_id: str | None = None) -> DocumentPage:
        """In the order in which they came. A file is no document: with `file_id` there are none."""
        pipeline = self._cloud.objects.get(PIPELINE, pipeline_id, scope.visible)
        found = [] if file_id is not None else self._documents(pipeline)
        status = self._collections.status_of(pipeline)
        shown = [self._view(pipeline, each, status) for each in found[skip : skip + limit]]
        return DocumentPage(documents=shown, limit=limit, offset=skip, total_count=len(found))

    def get(self, pipeline_id: str, document_id: str, scope: Scope) -> DocumentView:
        pipeline = self._cloud.objects.get(PIPELINE, pipeline_id, scope.visible)
        return self._view(pipeline, self._found(pipeline, document_id), self._collections.status_of(pipeline))

    def status(self, pipeline_id: str, document_id: str, scope: Scope) -> IngestionStatus:
        pipeline = self._cloud.objects.get(PIPELINE, pipeline_id, scope.visible)
        return member_status(self._collections.status_of(pipeline), self._found(pipeline, document_id), pipeline)

    def counts(self, pipeline_id: str, scope: Scope) -> DocumentCounts:
        pipeline = self._cloud.objects.get(PIPELINE, pipeline_id, scope.visible)
        status, found = self._collections.status_of(pipeline), self._documents(pipeline)
        counted = Counter(member_status(status, each, pipeline).status for each in found)
        return DocumentCounts(counts=dict(counted), pipeline_id=pipeline.id, total_count=len(found))

    def sync(self, pipeline_id: str, document_id: str, scope: Scope) -> None:
        """The pipeline's sync takes what is new or failed, whichever document was named."""
        pipeline = self._cloud.objects.get(PIPELINE, pipeline_id, scope.visible)
        self._found(pipeline, document_id)
        self._collections.start_sync(collection_of(pipeline))

    def delete(self, pipeline_id: str, document_id: str, scope: Scope) -> None:
        pipeline = self._cloud.objects.get(PIPELINE, pipeline_id, scope.visible)
        member = self._found(pipeline, document_id)
        self._collections.take_away(collection_of(pipeline), [member.id])
        self._shelf(pipeline).release([member.file_hash])

    def _documents(self, pipeline: CloudObject) -> list[Member]:
        return [each for each in self._collections.members_of(collection_of(pipeline)) if DOCUMENT in each.extra]

    def _found(self, pipeline: CloudObject, document_id: str) -> Member:
        members = self._collections.members.find(collection_of(pipeline), _member_id(document_id))
        if members is None or members.extra.get(DOCUMENT) != document_id:
            raise not_found(DOCUMENT, document_id)
        return members

    def _member(self, shelf: FileShelf, document_id: str, wanted: DocumentInput) -> Member:
        name = _name(document_id, wanted.metadata)
        stored = shelf.put_bytes(wanted.text.encode(), name, self._cloud.settings.max_upload_bytes)
        return Member(
            id=_member_id(document_id),
            file_hash=stored.hash,
            name=name,
            metadata=wanted.metadata,
            extra={DOCUMENT: document_id, **wanted.model_dump(include=set(KEPT), exclude_none=True)},
        )

    def _view(self, pipeline: CloudObject, member: Member, status: CollectionStatus) -> DocumentView:
        told = member_status(status, member, pipeline)
        word, errors = told.status, [each.message for each in told.error]
        try:
            text = self._cloud.files(pipeline.project_id).path(member.file_hash).read_bytes().decode()
        except (NotFoundError, FileNotFoundError):  # one such document must not hide the others
            text, word = "", "ERROR"
            errors = ["the text of this document is not stored any more; send it again"]
        return DocumentView(
            id=member.extra[DOCUMENT],
            text=text,
            metadata=dict(member.metadata),
            status_metadata={"status": word, "errors": errors},
            **{key: member.extra[key] for key in KEPT if key in member.extra},
        )

    def _shelf(self, pipeline: CloudObject) -> FileShelf:
        return FileShelf(self._cloud.objects, self._cloud.files(pipeline.project_id), pipeline.project_id)


def _member_id(document_id: str) -> str:
    """A long id stands as its digest: rows of members have short ones."""
    if len(document_id) <= MAX_MEMBER_ID_CHARS:
        return document_id
    return f"doc-{hashlib.sha256(document_id.encode()).hexdigest()[:48]}"


def _check_ids(given: Iterable[str], known: Mapping[str, Member]) -> None:
    taken = [each for each in given if _is_other(known.get(_member_id(each)))]
    if taken:
        raise BadRequestError(f"document id {taken[0][:100]!r} is that of a file of the pipeline; nothing was added")


def _is_other(member: Member | None) -> bool:
    return member is not None and DOCUMENT not in member.extra


def _name(document_id: str, metadata: dict[str, Any]) -> str:
    """It tells the parsers that this is plain text, whatever it was made of."""
    named = metadata.get("file_name")
    name = safe_name(named if isinstance(named, str) else document_id)
    return name if name.endswith((".txt", ".md")) else f"{name[:200]}.txt"
