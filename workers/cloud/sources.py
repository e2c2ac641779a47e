"""What pipelines take from their data sources: one member for each file that a source has now.

Bytes are copied, never opened: what they hold is read where all files are. A source that cannot be reached keeps what
it gave before, and says why.
"""

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from config.data_sources import DirectorySource, UrlSource, allowed_directory, read_source, request_headers
from config.outside import CHECK_INTERVAL_S, name_of
from config.outside import fetch as fetch_url
from config.settings import Settings
from rag.errors import CancelledTaskError, NotFoundError, RagError
from state.cloud.blobs import CloudFiles
from state.cloud.members import TOLD, Collection, Member, Members
from state.cloud.objects import CloudObject, CloudObjects, Wanted
from state.cloud.shelf import FileShelf
from state.file_names import StoredFile
from state.incoming import IncomingFile

LINK = "pipeline_data_source"
SOURCE = "data_source"
MAX_FILES = 10_000
MAX_ERRORS = 50
BLOCK_BYTES = 1 << 20
_NAMES = UUID("6d6f7265-2d66-4f6c-8572-7061646f636b")
NO_STAMPS: Mapping[str, "Pulled"] = {}


@dataclass(frozen=True, slots=True)
class Pulled:
    """One file of a source.

    Args:
        key: its address, or its path below the directory: what it is known again by.
        stamp: while it is the same, the bytes need not be looked at; None: they do.
    """

    key: str
    name: str
    file_hash: str
    stamp: str | None = None


@dataclass(slots=True)
class Haul:
    """What one source gave; `errors` are told of by key, `brought` are the hashes of bytes that were stored for it."""

    files: list[Pulled] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    brought: set[str] = field(default_factory=set)


Check = Callable[[], None]


class Seldom:
    """Asks at the first call, and then at most once a second: what is asked is in the state database."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._last: float | None = None

    def __call__(self) -> None:
        if self._last is None or time.monotonic() - self._last >= CHECK_INTERVAL_S:
            self._check()
            self._last = time.monotonic()


def fetch(
    settings: Settings,
    shelf: FileShelf,
    files: CloudFiles,
    source: CloudObject,
    before: Mapping[str, Pulled] = NO_STAMPS,
    check: Check = lambda: None,
) -> Haul:
    """Bring the bytes of every file of a source into the project.

    Args:
        before: what it gave last, by key.
        check: asked now and then; what it raises ends the work.

    Raises:
        BadRequestError: the source cannot be used at all.
        CancelledTaskError: of `check`; what was brought is gone again.
    """
    _, wanted = read_source(source.body["source_type"], source.body["config"], settings)
    taker = _Taker(settings, shelf, files, before, Seldom(check))
    try:
        if isinstance(wanted, DirectorySource):
            taker.take_directory(wanted)
        else:
            taker.take_urls(wanted)
    except CancelledTaskError:
        shelf.release(taker.haul.brought)
        raise
    return taker.haul


def take_in_sources(
    settings: Settings, objects: CloudObjects, collection: Collection, check: Check = lambda: None
) -> set[str]:
    """Have the members be what the sources of a pipeline hold; returns hashes that no member has any more."""
    members = Members(objects)
    everything = members.all(collection)
    links = {each.ref: each for each in objects.all(LINK, Wanted(parent_id=collection.id))}
    sources = objects.by_ids(SOURCE, [each for each in links if each], collection.project_id)
    theirs = [each for each in everything if each.extra.get("data_source_id")]
    if not links and not theirs:
        return set()
    gone = [each.id for each in theirs if each.extra["data_source_id"] not in sources]
    if gone:
        members.update(collection, remove=gone)
    for source in sources.values():
        mine = [each for each in theirs if each.extra["data_source_id"] == source.id]
        _align(settings, objects, collection, source, links[source.id], mine, check)
    return {each.file_hash for each in everything} - {each.file_hash for each in members.all(collection)}


def _align(
    settings: Settings,
    objects: CloudObjects,
    collection: Collection,
    source: CloudObject,
    link: CloudObject,
    mine: Sequence[Member],
    check: Check,
) -> None:
    files = CloudFiles.of(settings, collection.project_id)
    shelf = FileShelf(objects, files, collection.project_id)
    before = {each.extra["key"]: _pulled(each) for each in mine}
    try:
        haul = fetch(settings, shelf, files, source, before, check)
    except CancelledTaskError:
        raise
    except RagError as error:
        _note(objects, link, "error", {"": error.message})
        return
    known = {each.id: each for each in mine}
    put = [_member(source, each, known) for each in haul.files]
    changed = [each for each in put if _facts(each) != _facts(known.get(each.id))]
    gone = known.keys() - {each.id for each in put}
    if changed or gone:
        try:
            check()  # a download may take longer than a deletion waits
            Members(objects).update(collection, put=changed, remove=sorted(gone))
        except (CancelledTaskError, NotFoundError):
            shelf.release(haul.brought)  # no member holds it
            raise
    _note(objects, link, "error" if haul.errors and not haul.files else "success", haul.errors)


def _note(objects: CloudObjects, link: CloudObject, status: str, errors: Mapping[str, str]) -> None:
    told = dict(list(errors.items())[:MAX_ERRORS])
    try:
        objects.edit_body(LINK, link.id, status=status, errors=told, last_synced_at=objects.now())
    except NotFoundError:
        return  # it was taken off the pipeline meanwhile


class _Taker:
    def __init__(
        self,
        settings: Settings,
        shelf: FileShelf,
        files: CloudFiles,
        before: Mapping[str, Pulled],
        check: Check,
    ) -> None:
        self.haul = Haul()
        self._settings = settings
        self._shelf = shelf
        self._files = files
        self._before = before
        self._check = check

    def take_directory(self, source: DirectorySource) -> None:
        root = allowed_directory(source.path, self._settings)
        for relative, folder in _walk(root, source):
            self._check()
            if len(self.haul.files) >= MAX_FILES:
                self.haul.errors[relative] = f"a data source takes at most {MAX_FILES} files; this and others are left"
                return
            self._guarded(relative, lambda key=relative, at=folder: self._copy(key, at))  # type: ignore[misc]

    def take_urls(self, source: UrlSource) -> None:
        headers = request_headers(source, self._settings)
        for url in dict.fromkeys(source.urls):
            self._check()
            self._guarded(url, lambda each=url: self._download(each, headers))  # type: ignore[misc]

    def _guarded(self, key: str, take: Callable[[], Pulled]) -> None:
        """One file that cannot be had is told of, and keeps no other back; what it was before stays."""
        found = self._before.get(key)
        try:
            found = take()
        except CancelledTaskError:
            raise
        except NotFoundError as error:  # it is gone, and so is what was made of it
            self.haul.errors[key], found = error.message, None
        except RagError as error:
            self.haul.errors[key] = error.message
        except OSError as error:
            self.haul.errors[key] = f"it cannot be read: {error.strerror}"
        if found is not None:
            self.haul.files.append(found)

    def _copy(self, key: str, folder: int) -> Pulled:
        name = key.rpartition("/")[2]
        # Neither a link nor a pipe is opened, whatever was put in the place of the file meanwhile.
        with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder), "rb") as stream:
            facts = os.fstat(stream.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise OSError(0, "it is no plain file")
            stamp = f"{facts.st_size}:{facts.st_mtime_ns}:{facts.st_ino}"
            known = self._before.get(key)
            if known is not None and known.stamp == stamp and self._has(known.file_hash):
                return known
            with self._files.receive(self._settings.max_upload_bytes) as incoming:
                while block := stream.read(BLOCK_BYTES):
                    self._check()
                    incoming.write(block)
                return Pulled(key, name, self._keep(incoming, name).hash, stamp)

    def _download(self, url: str, headers: Mapping[str, str]) -> Pulled:
        limit = self._settings.max_upload_bytes
        with self._files.receive(limit) as incoming:
            fetched = fetch_url(
                url, incoming.write, self._settings, max_bytes=limit, headers=headers, check=self._check
            )
            stored = self._keep(incoming, name_of(fetched))
        return Pulled(url, stored.original_file_name, stored.hash)

    def _keep(self, incoming: IncomingFile, name: str) -> StoredFile:
        stored = self._shelf.commit(incoming, name)
        self.haul.brought.add(stored.hash)
        return stored

    def _has(self, file_hash: str) -> bool:
        with suppress(NotFoundError):
            return self._files.path(file_hash).is_file()
        return False


def _walk(root: Path, source: DirectorySource) -> Iterator[tuple[str, int]]:
    """(path below the root, open folder) of each plain file, sorted; neither links nor hidden names are followed."""
    for top, folders, names, opened in os.fwalk(root, follow_symlinks=False):
        folders[:] = sorted(each for each in folders if not each.startswith(".")) if source.recursive else []
        below = Path(top).relative_to(root)
        for name in sorted(names):
            is_wanted = not source.patterns or any(fnmatch(name, each) for each in source.patterns)
            if is_wanted and not name.startswith(".") and _is_plain(name, opened):
                yield (below / name).as_posix().encode("utf-8", "replace").decode(), opened


def _is_plain(name: str, folder: int) -> bool:
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _member(source: CloudObject, pulled: Pulled, known: Mapping[str, Member]) -> Member:
    """What a client said of the file stays, as long as the source has it."""
    member_id = str(uuid5(_NAMES, f"{source.id}/{pulled.key}"))
    extra: dict[str, Any] = {"data_source_id": source.id, "key": pulled.key, "stamp": pulled.stamp}
    metadata: dict[str, Any] = {**(source.body.get("custom_metadata") or {}), "source": pulled.key}
    before = known.get(member_id)
    if before is not None and before.extra.get(TOLD):
        metadata, extra[TOLD] = dict(before.metadata), True
    return Member(
        id=member_id,
        file_hash=pulled.file_hash,
        name=pulled.name,
        file_id=member_id,
        metadata=metadata,
        extra=extra,
    )


def _pulled(member: Member) -> Pulled:
    return Pulled(member.extra["key"], member.name, member.file_hash, member.extra.get("stamp"))


def _facts(member: Member | None) -> tuple[Any, ...] | None:
    return None if member is None else (member.file_hash, member.name, dict(member.metadata), dict(member.extra))
