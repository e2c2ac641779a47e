"""Brings an index or a pipeline in step with the files that it should have, and takes away what a deleted one leaves.

Its dataset gets the bytes of new files and loses those that nobody wants any more; then the usual ingest is started. A
step may run twice: each part looks at what is there, and does what is missing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from config.loader import ProjectStore
from config.project import ProjectConfig
from rag.errors import NotFoundError, UpstreamError
from state.cloud.blobs import CloudFiles
from state.cloud.collections import SYNC, Collections
from state.cloud.ids import NAMESPACE
from state.cloud.index_fields import FIELDS
from state.cloud.jobs import CloudJob, JobFilter
from state.cloud.members import Collection, Members
from state.cloud.objects import CloudObject, Wanted
from state.cloud.projects import CloudProjects
from state.cloud.shelf import FILE, FileShelf
from state.cloud.tables import CloudObjectRow
from state.file_names import StoredFile
from state.files import DatasetFiles
from workers.cloud.directories import take_in_directory
from workers.cloud.index_fields import start_fields
from workers.cloud.registry import Done
from workers.cloud.runner import require_wanted
from workers.cloud.sources import take_in_sources
from workers.dispatch import Dispatcher
from workers.runtime import Runtime

MAX_WAITS = 4
"""How often a job waits for one before it that has not noticed its own end yet."""


def sync(runtime: Runtime, job: CloudJob) -> Done:
    collection = _collection(job)
    collections = Collections(runtime.database)
    _wait_for_others(runtime, job)
    while True:
        seen = collections.requests(collection)
        found = collections.find(collection)
        if found is None:
            return Done(state="cancelled", error=f"the {collection.kind} was deleted")
        try:
            report = _Alignment(runtime, job, collection).run(found)
        except NotFoundError:
            if collections.find(collection) is None:
                continue
            raise
        if collections.release(collection, job.id, seen):
            break
    collections.record(collection, report.errors)
    return Done(result={"added": report.added, "removed": report.removed, "task_id": report.task_id})


@dataclass(frozen=True, slots=True)
class Report:
    """
    Args:
        errors: hash → why the bytes could not be had.
        task_id: of the ingest that was started; None: nothing was out of date.
    """

    added: int
    removed: int
    errors: Mapping[str, str]
    task_id: str | None


class _Alignment:
    def __init__(self, runtime: Runtime, job: CloudJob, collection: Collection) -> None:
        self._runtime = runtime
        self._job = job
        self._collection = collection
        self._objects = Collections(runtime.database).objects
        self._members = Members(self._objects)
        projects = CloudProjects(ProjectStore(runtime.settings))
        self._projects = projects
        self._config: ProjectConfig = projects.load(collection.project_id)
        self._files = _dataset_files(projects, collection)
        self._dispatcher = _dispatcher(runtime)

    def run(self, found: CloudObject) -> Report:
        self._ensure_database(found)
        self._refresh(found)
        wanted = self._wanted()
        removed = self._remove_others(wanted)
        known = {each.hash: each for each in self._files.list()}
        added, errors = self._add(wanted, known)
        present = [known[each] for each in wanted if each in known]
        self._runtime.generations.ensure(*self._collection.place, {each.hash: wanted[each.hash] for each in present})
        task_id = self._ingest(present, found)
        if self._collection.kind == "index":
            start_fields(self._runtime, self._collection, found, scheduled=not _was_asked(found))
        return Report(added, removed, errors, task_id)

    def _ensure_database(self, found: CloudObject) -> None:
        """The database and dataset are made by the first sync; what people change there later stays."""
        name = self._collection.dataset
        known = {each.name for each in self._config.databases} | {each.name for each in self._config.datasets}
        if name not in known:
            options = found.body.get("database") or {}
            self._config = self._projects.add_database(self._collection.project_id, name, **options)

    def _refresh(self, found: CloudObject) -> None:
        """What the collection is made from may have changed since its members were noted."""
        if self._collection.kind == "index":
            gone = take_in_directory(self._objects, self._collection, found)
        else:
            check = partial(require_wanted, self._runtime, self._job)
            gone = take_in_sources(self._runtime.settings, self._objects, self._collection, check)
        release_bytes(self._runtime, self._collection.project_id, gone)
        require_wanted(self._runtime, self._job)

    def _wanted(self) -> dict[str, str]:
        """Hash → name, as its first member has it."""
        names: dict[str, str] = {}
        for each in self._members.all(self._collection):
            names.setdefault(each.file_hash, each.name)
        return names

    def _remove_others(self, wanted: Mapping[str, str]) -> int:
        rows = self._runtime.generations.of_dataset(*self._collection.place)
        stored = {each.hash for each in self._files.list()}
        doomed = sorted((rows.keys() | stored) - wanted.keys())
        namespace, project, dataset = self._collection.place
        for each in doomed:
            require_wanted(self._runtime, self._job)
            self._dispatcher.remove_file(namespace, project, self._config, dataset, each)
            self._files.remove(each, with_bytes=True)
            self._runtime.generations.forget(namespace, project, dataset, each)
        return len(doomed)

    def _add(self, wanted: Mapping[str, str], known: dict[str, StoredFile]) -> tuple[int, dict[str, str]]:
        """Link what is missing in `known`, which grows by it."""
        blobs = CloudFiles.of(self._runtime.settings, self._collection.project_id)
        errors: dict[str, str] = {}
        missing = [each for each in wanted if each not in known]
        for number, file_hash in enumerate(missing):
            if number % 20 == 0:
                require_wanted(self._runtime, self._job)
            try:
                blobs.path(file_hash)
            except NotFoundError as error:
                errors[file_hash] = error.message
                continue
            known[file_hash] = self._files.adopt(
                lambda path, each=file_hash: blobs.link_into(each, path),  # type: ignore[misc]
                wanted[file_hash],
                file_hash=file_hash,
            )
        return len(missing) - len(errors), errors

    def _ingest(self, files: list[StoredFile], found: CloudObject) -> str | None:
        namespace, project, dataset = self._collection.place
        outdated = self._dispatcher.outdated(
            namespace=namespace, project=project, dataset=dataset, config=self._config, files=files
        )
        if not _was_asked(found):  # what failed is tried again when somebody asks for it
            outdated = {key: each for key, each in outdated.items() if key not in (found.body.get("errors") or {})}
        in_hand = Collections(self._runtime.database).open_work(self._collection).generations()
        due = [each for each in files if each.hash in outdated and (each.hash, outdated[each.hash]) not in in_hand]
        if not due:
            return None
        require_wanted(self._runtime, self._job)
        return self._dispatcher.start_ingest(
            namespace=namespace, project=project, dataset=dataset, config=self._config, files=due
        )


def drop(runtime: Runtime, job: CloudJob) -> Done:
    """Remove what stands behind a collection that was deleted."""
    collection = _collection(job)
    for each in runtime.cloud_jobs.all(SYNC, JobFilter(item_key=collection.id)):
        runtime.cloud_jobs.cancel(SYNC, each.id)
    _wait_for_others(runtime, job)
    projects = CloudProjects(ProjectStore(runtime.settings))
    if projects.exists(collection.project_id):
        _drop_dataset(runtime, projects, collection)
    objects = Collections(runtime.database).objects
    members = Members(objects)
    hashes = {each.file_hash for each in members.all(collection)}
    members.forget(collection)
    for kind in ("pipeline_data_source", "pipeline_document"):
        objects.delete_of(kind, collection.id)
    release_bytes(runtime, collection.project_id, hashes)
    for kind in (SYNC, FIELDS):
        for each in runtime.cloud_jobs.all(kind, JobFilter(item_key=collection.id)):
            runtime.cloud_jobs.delete(each.id)
    return Done()


def _drop_dataset(runtime: Runtime, projects: CloudProjects, collection: Collection) -> None:
    config = projects.load(collection.project_id)
    namespace, project, dataset = collection.place
    _dispatcher(runtime).remove_dataset(namespace, project, config, dataset)
    for database in config.databases:
        if database.name == collection.database:
            for each in database.everywhere:
                runtime.assembly.store_to_delete_from(namespace, project, each).drop()
    projects.remove_database(project, dataset)
    _dataset_files(projects, collection).remove_all()
    runtime.generations.forget(namespace, project, dataset)


def release_bytes(runtime: Runtime, project_id: str, hashes: Iterable[str]) -> None:
    """Bytes of files that nobody has any more go; those that are still uploaded files need no look at each."""
    objects = Collections(runtime.database).objects
    doomed = {each for each in hashes if each}
    some = sorted(doomed)
    for start in range(0, len(some), 1000):
        is_one = CloudObjectRow.ref.in_(some[start : start + 1000])
        doomed -= {each.ref or "" for each in objects.all(FILE, Wanted(project_id=project_id, where=(is_one,)))}
    FileShelf(objects, CloudFiles.of(runtime.settings, project_id), project_id).release(doomed)


def _was_asked(found: CloudObject) -> bool:
    """Whether somebody wants this sync, not a schedule alone."""
    return bool((found.body.get(SYNC) or {}).get("asked", True))


def _collection(job: CloudJob) -> Collection:
    return Collection(job.request["id"], job.request["kind"], job.project_id)


def _wait_for_others(runtime: Runtime, job: CloudJob) -> None:
    """Of the same collection, that run and are older: such a one was cancelled, and finds out within a file."""
    running = runtime.cloud_jobs.all(SYNC, JobFilter(item_key=job.item_key, states=("running",)))
    is_older = any((each.created_at, each.id) < (job.created_at, job.id) for each in running if each.id != job.id)
    if is_older and job.attempts < MAX_WAITS:
        raise UpstreamError("a sync that was cancelled has not ended yet")


def _dispatcher(runtime: Runtime) -> Dispatcher:
    return Dispatcher(runtime.settings, runtime.database, runtime.assembly, queue=runtime.queue)


def _dataset_files(projects: CloudProjects, collection: Collection) -> DatasetFiles:
    return DatasetFiles(projects.store.paths(NAMESPACE, collection.project_id).dataset(collection.dataset))
