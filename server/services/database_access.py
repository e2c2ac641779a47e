"""One database as the services that look after it open it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from filelock import Timeout

from config.loader import ProjectStore
from config.project import ProjectConfig
from config.rag_section import DatabaseConfig
from rag.embedders.base import Embedder
from rag.errors import ConflictError, UpstreamError
from rag.stores.base import Pair, Store
from state.contents import DatabaseContents, is_being_imported
from state.tasks import TaskStore


class DatabaseAssembly(Protocol):
    """The part of `config.assemble.Assembly` that looking after databases needs."""

    def embedder(self, database: DatabaseConfig) -> Embedder: ...

    def raw_store(self, namespace: str, project: str, database: DatabaseConfig) -> Store: ...

    def store_to_delete_from(self, namespace: str, project: str, database: DatabaseConfig) -> Store: ...


@dataclass(frozen=True, slots=True)
class OpenDatabase:
    """`store` sees all chunks, live or not, and needs no embedder."""

    config: ProjectConfig
    database: DatabaseConfig
    store: Store

    @property
    def place(self) -> tuple[str, str, str]:
        return self.config.namespace, self.config.name, self.database.name


class DatabaseAccess:
    def __init__(
        self,
        projects: ProjectStore,
        assembly: DatabaseAssembly,
        contents: DatabaseContents,
        tasks: TaskStore,
    ) -> None:
        self.assembly = assembly
        self.contents = contents
        self._projects = projects
        self._tasks = tasks

    def find(self, namespace: str, project: str, database: str | None) -> DatabaseConfig:
        """As `open`, without its store."""
        return self._projects.load(namespace, project).database(database)

    def open(self, namespace: str, project: str, database: str | None) -> OpenDatabase:
        """None opens the project's default database, else its first.

        Raises:
            NotFoundError: no such project or database.
            BadRequestError: the project has no database at all.
        """
        config = self._projects.load(namespace, project)
        chosen = config.database(database)
        return OpenDatabase(config, chosen, self.assembly.store_to_delete_from(namespace, project, chosen))

    @contextmanager
    def alone(self, namespace: str, project: str, database: str) -> Iterator[None]:
        """For an import while it writes, and for the beginning of a rebuild or a move: neither sees half of the other.
        A process that dies lets go of it.

        Raises:
            ConflictError: somebody else has it.
        """
        lock = self._projects.import_lock(namespace, project, database)
        try:
            lock.acquire()
        except Timeout:
            raise ConflictError(f"an import is writing to database '{database}'; try again when it has ended") from None
        try:
            yield
        finally:
            lock.release()

    def require_idle(self, opened: OpenDatabase, action: str, kinds: Sequence[str] = ("ingest", "upkeep")) -> None:
        """Raises ConflictError while a task writes to the database: what it writes would outlive `action`."""
        working = self.contents.tasks_at_work(*opened.place, kinds)
        if working:
            raise ConflictError(
                f"cannot {action} database '{opened.database.name}': task {working[0]} is writing to it"
                f"{f' (and {len(working) - 1} more)' if len(working) > 1 else ''}. Wait for it, or cancel it first"
            )

    def clear(self, opened: OpenDatabase) -> tuple[int, int]:
        """Delete all that is stored, in former stores too; (files, chunks) that queries could find. The files of
        datasets stay.

        Raises:
            UpstreamError: the store does not answer; all is shown as before.
        """
        shown = self.contents.files(*opened.place)
        counts = opened.store.upkeep.contents([file.pair for file in shown])
        # Hidden first, because a file that is live without chunks would count as unchanged for ever.
        self.contents.hide(*opened.place)
        namespace, project, _ = opened.place
        try:
            for former in opened.database.everywhere[1:]:
                self.assembly.store_to_delete_from(namespace, project, former).drop()
            opened.store.drop()
        except UpstreamError:
            self.contents.show(*opened.place, shown)
            raise
        self._settle_late_tasks(opened)
        return len(shown), sum(each.chunk_count for each in counts.values())

    def _settle_late_tasks(self, opened: OpenDatabase) -> None:
        """A task that began after `require_idle` may have lost chunks to `drop`: what it has made live is hidden, and
        what it would still make live is embedded again. Whoever claims a file from now on writes after the drop.
        """
        self._tasks.embed_again(*opened.place)
        shown = self.contents.files(*opened.place)
        stored = opened.store.upkeep.contents([file.pair for file in shown])
        lost = [
            file for file in shown if file.chunk_count > (stored[file.pair].chunk_count if file.pair in stored else 0)
        ]
        if lost:
            self.contents.hide(*opened.place, lost)

    def discard(self, opened: OpenDatabase, pair: Pair, owner: str) -> int:
        """Delete the chunks of a generation that nobody shows or writes; returns how many there were.

        0 when a task uses them after all. Until they are deleted, no task can begin to write them anew.
        """
        dataset, _, file_hash = pair[0].rpartition("/")
        namespace, project, database = opened.place
        row = self.contents.last_task_file(namespace, project, dataset, file_hash)
        if row is not None and not self._tasks.reserve_discard(row, owner, generation=pair[1], database=database):
            return 0
        try:
            return opened.store.delete(*pair)
        finally:
            if row is not None:
                self._tasks.end_discard(row, owner)

    def dead(self, opened: OpenDatabase) -> dict[Pair, int]:
        """Generations in the store that no query shows and no task needs → chunks; vectors without a chunk too."""
        shown = {file.pair for file in self.contents.files(*opened.place)}
        in_work = self.contents.pairs_in_work(*opened.place)
        stored = {**opened.store.upkeep.strays(), **opened.store.generations()}
        kept = shown | in_work
        return {pair: count for pair, count in stored.items() if pair not in kept and not is_being_imported(pair[1])}
