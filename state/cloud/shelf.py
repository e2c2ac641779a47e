"""Files of one project: their objects, and the bytes that they share with whatever else points at them.

Bytes stay as long as anything needs them: a file, a directory file that is not deleted, a member of an index or of a
pipeline. A file that was deleted while a directory holds it leaves its row, hidden, to say which bytes those are.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from filelock import FileLock, Timeout
from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session, aliased

from rag.errors import ConflictError, OverloadedError
from state.cloud.blobs import CloudFiles
from state.cloud.ids import new_id
from state.cloud.objects import IDS_PER_STATEMENT, CloudObject, CloudObjects, Wanted
from state.cloud.tables import CloudObjectRow
from state.file_names import StoredFile
from state.incoming import IncomingFile

FILE = "file"
DIRECTORY_FILE = "directory_file"
MEMBER = "member"
LOCK_TIMEOUT_S = 30.0
SWEPT_AFTER_S = 86_400.0
"""Longer than any work takes between bringing bytes and pointing at them, such as a sync of thousands of addresses."""


Describe: TypeAlias = Callable[[Path, str], Mapping[str, Any]]


class FileShelf:
    """Safe for several processes: keeping and dropping bytes take turns."""

    def __init__(self, objects: CloudObjects, files: CloudFiles, project_id: str) -> None:
        self._objects = objects
        self._files = files
        self._project_id = project_id

    def put(
        self,
        incoming: IncomingFile,
        name: str,
        mime: str | None,
        body: Mapping[str, Any],
        file_id: str | None = None,
        describe: Describe = lambda _path, _name: {},
    ) -> CloudObject:
        """Keep what arrived as a new file, or as the content of `file_id`, which has none yet.

        Args:
            describe: what is to be told of the bytes at a path, under a name; goes into the body.

        Raises:
            ConflictError: `file_id` has its content by now; NotFoundError: it was deleted. Nothing was kept.
        """
        with self.locked(), ExitStack() as undo:
            stored, _ = incoming.commit(name, mime)
            undo.callback(self.release, [stored.hash])
            found = self._filled(stored, body, file_id, describe)
            undo.pop_all()
            return found

    def _filled(
        self, stored: StoredFile, body: Mapping[str, Any], file_id: str | None, describe: Describe
    ) -> CloudObject:
        told = describe(self._files.path(stored.hash), stored.original_file_name)
        known = {"file_size": stored.size, "last_modified_at": stored.timestamp, **told}
        if file_id is None:
            return self._insert(stored, {**body, **known})

        def fill(found: CloudObject) -> Mapping[str, Any]:
            check_empty(found)
            return {"ref": stored.hash, "body": {**found.body, **body, **known}}

        return self._objects.change(FILE, file_id, fill)

    def put_bytes(self, data: bytes, name: str, max_bytes: int) -> StoredFile:
        """Keep bytes without a file of their own. Until something points at them, they are safe only while `locked`."""
        with self._files.receive(max_bytes) as incoming:
            incoming.write(data)
            return self.commit(incoming, name)

    def commit(self, incoming: IncomingFile, name: str) -> StoredFile:
        """As `put_bytes`, for what was written already."""
        with self.locked():
            return incoming.commit(name, None)[0]

    def delete(self, file_id: str, visible: str | None = None) -> None:
        """Raises NotFoundError as `CloudObjects.get` does."""
        found = self._objects.get(FILE, file_id, visible)
        if found.ref is None:  # its bytes never came
            self._objects.delete(FILE, found.id)
            return
        self._objects.mark_deleted(FILE, found.id)
        self.release([found.ref])

    def release(self, hashes: Iterable[str | None]) -> None:
        """Drop the bytes that nothing needs any more, to be called after whatever needed them is gone."""
        if not self._files.has_project:
            return  # with all bytes
        for file_hash in sorted({each for each in hashes if each}):
            with self.locked():
                if not self._is_needed(file_hash):
                    self._files.remove(file_hash)

    def release_of_files(self, file_ids: Iterable[str | None]) -> None:
        """The same for the bytes of files, deleted ones too."""
        ids = [each for each in file_ids if each]
        found: set[str | None] = set()
        for start in range(0, len(ids), IDS_PER_STATEMENT):
            is_gone = CloudObjectRow.deleted_at.is_not(None)
            some = CloudObjectRow.id.in_(ids[start : start + IDS_PER_STATEMENT])
            wanted = Wanted(project_id=self._project_id, with_deleted=True, where=(is_gone, some))
            found |= {each.ref for each in self._objects.all(FILE, wanted)}
        self.release(found)

    def sweep(self) -> int:
        """Drop bytes that came a day ago and that nothing needs: of work that broke off before it pointed at them.

        Returns:
            How many there were.
        """
        hashes = self._files.older_than(SWEPT_AFTER_S)
        doomed = set(hashes)
        for start in range(0, len(hashes), IDS_PER_STATEMENT):
            doomed -= self._pointed_at(hashes[start : start + IDS_PER_STATEMENT])
        count = 0
        for file_hash in sorted(doomed):
            with self.locked():
                is_old = self._files.is_older_than(file_hash, SWEPT_AFTER_S)  # somebody may have brought it again
                if is_old and not self._is_needed(file_hash):
                    self._files.remove(file_hash)
                    count += 1
        return count

    def _pointed_at(self, hashes: Sequence[str]) -> set[str]:
        is_one = CloudObjectRow.ref.in_(hashes)
        wanted = Wanted(project_id=self._project_id, with_deleted=True, where=(is_one,))
        return {each.ref or "" for kind in (FILE, MEMBER) for each in self._objects.all(kind, wanted)}

    def _insert(self, stored: StoredFile, body: Mapping[str, Any]) -> CloudObject:
        return self._objects.insert(
            FILE,
            new_id(FILE),
            project_id=self._project_id,
            name=stored.original_file_name,
            ref=stored.hash,
            body={"content_type": stored.mime_type, **body},
        )

    def _is_needed(self, file_hash: str) -> bool:
        """Also forgets hidden rows of files that nothing holds any more."""
        answer = False

        def look(session: Session) -> None:
            nonlocal answer
            row, entry = CloudObjectRow, aliased(CloudObjectRow)
            its_own = (row.project_id == self._project_id, row.ref == file_hash)
            is_held = exists().where(entry.kind == DIRECTORY_FILE, entry.ref == row.id, entry.deleted_at.is_(None))
            session.execute(
                delete(row)
                .where(row.kind == FILE, *its_own, row.deleted_at.is_not(None), ~is_held)
                .execution_options(synchronize_session=False)
            )
            found = session.scalar(select(row.id).where(row.kind.in_((FILE, MEMBER)), *its_own).limit(1))
            answer = found is not None

        self._objects.write(look)
        return answer

    @contextmanager
    def locked(self) -> Iterator[None]:
        """May be entered again by the thread that holds it."""
        lock = FileLock(self._files.folder() / ".lock", timeout=LOCK_TIMEOUT_S, is_singleton=True)
        try:
            lock.acquire()
        except Timeout as error:
            raise OverloadedError("files of this project are being changed by others; try again") from error
        try:
            yield
        finally:
            lock.release()


def check_empty(file: CloudObject) -> None:
    """Raises ConflictError for a file that has its content already."""
    if file.ref is not None:
        raise ConflictError(f"File {file.id!r} has its content already; a link takes one upload")
