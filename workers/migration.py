"""A database in another store: moved there, or there as well under another name. Vectors are copied, never made."""

import copy
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from config.loader import ProjectStore
from config.project import ProjectConfig
from config.rag_section import DatabaseConfig
from rag.errors import BadRequestError, CancelledTaskError, ConflictError, NotFoundError, UpstreamError
from rag.stores.base import Pair, Store
from rag.types import Record
from state.contents import IMPORTED, DatabaseContents, ShownFile
from state.tables import TaskFileRow, TaskRow
from state.task_rows import ClaimedFile
from workers.runtime import Runtime
from workers.stage_frame import require_wanted

BATCH_SIZE = 500
TARGET_WAS_EMPTY = "target_was_empty"
"""Key of the row's details, once something is about to be written to the target."""

Report = Callable[[int], None]


class _Copying:
    """What both have in common: the files that a database shows, and a store that takes their chunks."""

    def __init__(self, runtime: Runtime, claimed: ClaimedFile, report: Report) -> None:
        self._runtime, self._claimed, self._report = runtime, claimed, report
        self._work: dict[str, Any] = claimed.details["work"]
        self._projects = ProjectStore(runtime.settings)
        self._contents = DatabaseContents(runtime.database)

    def _config(self) -> ProjectConfig:
        return self._projects.load(self._claimed.namespace, self._claimed.project)

    def _store(self, database: DatabaseConfig) -> Store:
        return self._runtime.assembly.store_to_delete_from(self._claimed.namespace, self._claimed.project, database)

    def _shown(self) -> list[ShownFile]:
        return self._contents.files(self._claimed.namespace, self._claimed.project, self._claimed.database)

    def _target(self, source: Store, target: DatabaseConfig) -> Store | None:
        """None when there is nothing to copy."""
        facts = source.upkeep.made_with()
        if facts is None:
            return None
        if facts.metric != target.metric:
            raise BadRequestError(
                f"the stored vectors are compared by {facts.metric}, and the new store is told {target.metric}. "
                f"Give it config.distance_metric={facts.metric}"
            )
        place = self._claimed.namespace, self._claimed.project
        return self._runtime.assembly.store_made_with(*place, target, facts)

    def _copy(self, source: Store, into: Store, files: Sequence[tuple[Pair, Pair]]) -> dict[Pair, int]:
        """Copy each generation to the one that it is to be; what is there already as a whole is left alone.

        Returns:
            Chunks of each of the new generations.
        """
        counts = _counts(source, [old for old, _ in files])
        wanted = {new: counts[old] for old, new in files if old in counts}
        there, done = _counts(into, list(wanted)), 0
        for old, new in files:
            if new in wanted and there.get(new) != wanted[new]:
                if there.get(new, 0) > wanted[new]:  # never of this copy, whose chunks have the ids of their originals
                    require_wanted(self._runtime, self._claimed)
                    into.delete(*new)
                for batch in source.upkeep.batches(old, BATCH_SIZE):
                    into.upsert([*_renamed(batch, old, new)])
                    self._report(done := done + len(batch))
            else:
                done += wanted.get(new, 0)
            self._report(done)
        if _counts(into, list(wanted)) != wanted:
            raise UpstreamError(
                f"the copy of database '{self._claimed.database}' is not complete; it is gone over again"
            )
        return wanted

    def _begin(self, into: Store) -> None:
        """Note whether the target is of this task alone; see `take_back`. A later try finds the note of the first."""
        if TARGET_WAS_EMPTY not in self._claimed.details:
            self._claimed.details[TARGET_WAS_EMPTY] = into.upkeep.made_with() is None
            noted = {"details": self._claimed.details}
            if not self._runtime.tasks.report(self._claimed.id, self._claimed.owner, **noted):
                raise CancelledTaskError("Task cancelled")

    def _edit(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change llamafarm.yaml unless the task was cancelled."""

        def checked(raw: dict[str, Any]) -> None:
            require_wanted(self._runtime, self._claimed)
            change(raw)

        self._projects.edit(self._claimed.namespace, self._claimed.project, checked)

    def _entry(self, raw: dict[str, Any], before: DatabaseConfig) -> dict[str, Any]:
        """Of the database in llamafarm.yaml, as long as it is what was copied."""
        databases = (raw.get("rag") or {}).get("databases") or []
        found: dict[str, Any] = next((each for each in databases if each.get("name") == before.name), {})
        if (found.get("type"), found.get("config") or {}) != (before.type, before.config):
            raise ConflictError(f"database '{before.name}' was changed while it was copied; migrate it again")
        return found


class Migration(_Copying):
    """Copies what a database shows into another store, and then lets llamafarm.yaml name that one.

    The edit of that file is the commit point: generations keep their names, so that nothing else changes. What was in
    the old store stays there, dead or alive, until it is dropped.
    """

    def run(self) -> dict[str, Any]:
        database = self._config().database(self._claimed.database)
        target = database.moved_to(self._work["type"], self._work["config"])
        if (database.type, database.config) != (target.type, target.config):
            self._move(database, target)
        # A try that died after the switch goes on here.
        dropped = self._drop_former() if self._work.get("drop_source") and self._is_wanted() else 0
        chunks = self._store(target).stats().chunk_count
        return {"database": database.name, "type": target.type, "chunks": chunks, "sources_dropped": dropped}

    def _move(self, database: DatabaseConfig, target: DatabaseConfig) -> None:
        source = self._store(database)
        into = self._target(source, target)
        copied: dict[Pair, int] = {}
        # With the same token, only the way to it is another.
        if into is not None and into.upkeep.token() != source.upkeep.token():
            self._begin(into)
            copied = self._copy(source, into, [(file.pair, file.pair) for file in self._shown()])
            self._delete_hidden(into)

        def change(raw: dict[str, Any]) -> None:
            entry = self._entry(raw, database)
            entry["type"], entry["config"] = target.type, target.config
            entry["moved_from"] = [each.model_dump(exclude_none=True) for each in target.moved_from]

        self._edit(change)
        # Who removes a file from now on, removes it from both. Not asked whether it is wanted: the switch is done.
        for pair in copied.keys() - {file.pair for file in self._shown()}:
            self._store(target).delete(*pair)

    def _delete_hidden(self, into: Store) -> None:
        """What was removed while it was copied, or is of an earlier migration: nobody shows it."""
        shown = {file.pair for file in self._shown()}
        for pair in into.generations():
            if pair not in shown:
                require_wanted(self._runtime, self._claimed)
                into.delete(*pair)

    def _is_wanted(self) -> bool:
        return self._runtime.tasks.is_wanted(self._claimed.id, self._claimed.owner)

    def _drop_former(self) -> int:
        database = self._config().database(self._claimed.database)
        kept = [former for former in database.moved_from if former.kept]
        in_use, dropped = self._store(database).upkeep.token(), 0
        for former in kept:
            store = self._store(database.model_copy(update={"type": former.type, "config": former.config}))
            if store.upkeep.token() != in_use:  # moved back, or reached under another address
                store.drop()
                dropped += 1

        def change(raw: dict[str, Any]) -> None:
            for former in self._entry(raw, database).get("moved_from") or []:
                former["kept"] = False

        self._projects.edit(self._claimed.namespace, self._claimed.project, change)  # also when cancelled: it is done
        return dropped


class Duplication(_Copying):
    """Makes a second database with a copy. Its files belong to no dataset, as those of an import."""

    def run(self) -> dict[str, Any]:
        config, name = self._config(), self._work["new_name"]
        database = config.database(self._claimed.database)
        target = database.moved_to(self._work["type"], self._work["config"])
        target = target.model_copy(update={"name": name, "moved_from": []})
        if name not in [each.name for each in config.databases]:
            self._make(database, target)
        return {"database": name, "type": target.type, "chunks": self._store(target).stats().chunk_count}

    def _make(self, database: DatabaseConfig, target: DatabaseConfig) -> None:
        source = self._store(database)
        into = self._target(source, target)
        if into is not None:
            self._begin(into)
            shown = self._shown()
            copies = [self._copied(file, target.name) for file in shown]
            pairs = [(file.pair, one.pair) for file, one in zip(shown, copies, strict=True)]
            counts = self._copy(source, into, pairs)
            present = {file.pair for file in self._shown()}
            there = [
                replace(one, chunk_count=counts[one.pair])
                for one, file in zip(copies, shown, strict=True)
                if one.pair in counts and file.pair in present
            ]
            for pair in counts.keys() - {one.pair for one in there}:  # removed while it was copied
                into.delete(*pair)
            require_wanted(self._runtime, self._claimed)
            self._contents.show(self._claimed.namespace, self._claimed.project, target.name, there)

        def change(raw: dict[str, Any]) -> None:
            entry = copy.deepcopy(self._entry(raw, database))
            entry.pop("moved_from", None)
            raw["rag"]["databases"].append({**entry, "name": target.name, "type": target.type, "config": target.config})

        self._edit(change)

    def _copied(self, file: ShownFile, name: str) -> ShownFile:
        dataset = f"{IMPORTED}{name}.{hashlib.sha256(file.dataset.encode()).hexdigest()[:12]}"
        return replace(file, dataset=dataset, generation=self._work["generation"], updated_at=time.time())


def take_back(runtime: Runtime, task: TaskRow, row: TaskFileRow) -> bool:
    """Delete the copy of a task that was cancelled or failed: what is removed later would stay in it.

    Returns:
        False when it has to wait, as another task may be copying to the same place.

    Raises:
        UpstreamError: the store does not answer; the copy is still there.
    """
    details = row.details or {}
    if row.state == "processed" or TARGET_WAS_EMPTY not in details:
        return True
    contents = DatabaseContents(runtime.database)
    if contents.tasks_at_work(task.namespace, task.project, task.database, (task.kind,)):
        return False
    work = details["work"]
    target = ProjectConfig.parse(task.config).database(work.get("new_name") or task.database)
    if any((each.type, each.config) == (target.type, target.config) for each in _named_now(runtime, task, target.name)):
        return True
    place = task.namespace, task.project, target.name
    own = [file for file in contents.files(*place) if file.generation == work.get("generation")]
    contents.hide(*place, own)
    store = runtime.assembly.store_to_delete_from(task.namespace, task.project, target)
    if details[TARGET_WAS_EMPTY]:
        store.drop()
    else:  # of a copy under another name; other chunks were there before
        for pair in store.generations():
            if pair[1] == work.get("generation"):
                store.delete(*pair)
    return True


def _named_now(runtime: Runtime, task: TaskRow, name: str) -> list[DatabaseConfig]:
    """Where llamafarm.yaml says that the database is."""
    try:
        return ProjectStore(runtime.settings).load(task.namespace, task.project).database(name).everywhere
    except NotFoundError:
        return []


def _renamed(batch: Sequence[Record], old: Pair, new: Pair) -> Iterator[Record]:
    """Ids begin with what they belong to."""
    for record in batch:
        tail = record.id.removeprefix("/".join(old))
        record_id = record.id if old == new else f"{'/'.join(new)}{tail}"
        yield replace(record, id=record_id, file_key=new[0], generation=new[1])


def _counts(store: Store, pairs: Sequence[Pair]) -> dict[Pair, int]:
    return {pair: each.chunk_count for pair, each in store.upkeep.contents(pairs).items()}
