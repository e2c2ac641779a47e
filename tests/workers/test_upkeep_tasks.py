"""Rebuilding a database and moving it to another store, as tasks: nothing is parsed or embedded, nothing is lost."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from config.loader import ProjectStore
from rag.errors import ConflictError, UpstreamError
from rag.filters import Filter
from rag.stores import qdrant_server
from rag.stores.qdrant import QdrantStore
from rag.stores.qdrant_collection import QdrantCollection
from rag.stores.qdrant_upkeep import QdrantUpkeep
from rag.stores.upkeep import LedgerUpkeep
from server.schemas.upkeep import MigrationRequest
from server.services.database_access import DatabaseAccess
from server.services.upkeep import UpkeepService
from state.contents import DatabaseContents
from state.tables import FileRow, TaskRow
from state.upkeep_tasks import UpkeepTasks
from tests.workers.test_crashes import LONG
from tests.workers.world import PLACE, Crash, World, project_yaml

QDRANT = {"path": "moved"}
_numbers = count()
_embedded = qdrant_server.embedded_qdrant


class Upkeep:
    """What a client asks for."""

    def __init__(self, world: World) -> None:
        self.world = world
        access = DatabaseAccess(world.projects, world.assembly, DatabaseContents(world.database), world.tasks)
        self.service = UpkeepService(world.projects, access, world.dispatcher, None)

    def start(self, to: str | None = "QdrantStore", config: dict[str, Any] = QDRANT, **wanted: Any) -> str:
        body = MigrationRequest(to=to, config=config if to else {}, **wanted)
        return self.service.migrate(*PLACE, "main", body, None)

    def migrate(self, *args: Any, **wanted: Any) -> dict[str, Any]:
        task_id = self.start(*args, **wanted)
        self.world.settle()
        return self.world.status(task_id)

    def rebuild(self) -> str:
        return self.service.rebuild(*PLACE, "main", None)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Checked at the end: every task has ended, and each store that is named holds exactly what is shown."""
    made = World(tmp_path / "world")
    number = next(_numbers)
    # In memory, because the embedded mode waits for the disk after every single chunk.
    made.patches.setattr(qdrant_server, "embedded_qdrant", lambda name, _: _embedded(f"{name}-{number}", None))
    yield made
    made.settle()
    for task in made.rows(TaskRow):
        assert task.finished_at is not None
        assert task.cleaned_at is not None
    for database in made.config.databases:
        shown = {
            (f"{row.dataset}/{row.file_hash}", row.live_generation): row.chunk_count
            for row in made.rows(FileRow)
            if row.database == database.name
        }
        assert made.store(database.name).generations() == shown
    made.patches.undo()


@pytest.fixture
def filled(world: World) -> World:
    world.upload("long.txt", LONG)
    world.upload("short.txt", "A short text about windmills.")
    assert world.process()["state"] == "SUCCESS"
    return world


@pytest.fixture
def upkeep(filled: World) -> Upkeep:
    return Upkeep(filled)


def words(world: World, database: str = "main") -> list[str]:
    store = world.assembly.store(*PLACE, world.config.database(database))
    return [hit.text for hit in store.search_text("windmills", limit=5, where=Filter())]


def test_a_moved_database_answers_the_same_and_nothing_was_embedded(upkeep: Upkeep) -> None:
    world = upkeep.world
    before, stats = world.search("windmills"), world.store().stats()
    embedded = world.count_embedded()
    task = upkeep.migrate()
    assert task["state"] == "SUCCESS", task
    assert task["result"]["chunks"] == stats.chunk_count
    assert task["meta"]["progress"] == 100
    database = world.config.database("main")
    assert (database.type, database.config) == ("QdrantStore", QDRANT)
    assert isinstance(world.store(), QdrantStore)
    assert world.store().stats() == stats
    assert embedded == []
    assert world.search("windmills")[0] == before[0]
    assert words(world) == ["A short text about windmills."]


def test_files_of_a_moved_database_count_as_processed(upkeep: Upkeep) -> None:
    world = upkeep.world
    upkeep.migrate()
    again = world.process()
    assert again["result"]["skipped_files"] == 2
    world.upload("new.txt", "Something about glaciers.")
    embedded = world.count_embedded()
    assert world.process()["result"]["processed_files"] == 1
    assert embedded == ["Something about glaciers."]
    assert world.search("glaciers")[0] == "Something about glaciers."


def test_the_source_is_kept_until_it_is_dropped(upkeep: Upkeep) -> None:
    world = upkeep.world
    source = world.store()
    chunks = source.stats().chunk_count
    upkeep.migrate()
    assert source.stats().chunk_count == chunks
    task = upkeep.migrate(None, drop_source=True)
    assert task["result"]["sources_dropped"] == 1
    assert source.stats().chunk_count == 0
    assert world.store().stats().chunk_count == chunks
    assert [each.kept for each in world.config.database("main").moved_from] == [False]


def test_a_move_may_drop_its_source_at_once(upkeep: Upkeep) -> None:
    source = upkeep.world.store()
    assert upkeep.migrate(drop_source=True)["state"] == "SUCCESS"
    assert source.stats().chunk_count == 0
    assert words(upkeep.world) == ["A short text about windmills."]


def test_a_database_can_be_moved_on_and_older_copies_do_not_come_back(upkeep: Upkeep) -> None:
    world = upkeep.world
    upkeep.migrate()
    upkeep.migrate("QdrantStore", {"path": "second"})
    short = next(row.file_hash for row in world.rows(FileRow) if row.filename == "short.txt")
    world.remove_file(short)
    assert upkeep.migrate("QdrantStore", QDRANT)["state"] == "SUCCESS"
    assert words(world) == []
    assert world.store().generations().keys() == {
        (f"{row.dataset}/{row.file_hash}", row.live_generation) for row in world.rows(FileRow)
    }


def test_dropping_spares_what_is_in_use_again(upkeep: Upkeep) -> None:
    """Moved away and back, with other words for the same place."""
    world = upkeep.world
    upkeep.migrate()
    upkeep.migrate("QdrantStore", {"path": "second"})
    back = {"path": "moved", "collection_name": "documents", "prefer_grpc": False}
    assert upkeep.migrate("QdrantStore", back, drop_source=True)["state"] == "SUCCESS"
    assert words(world) == ["A short text about windmills."]


def test_other_words_for_the_same_place_move_nothing(upkeep: Upkeep) -> None:
    world = upkeep.world
    upkeep.migrate()
    same = {"path": "moved", "vector_size": 64}
    work = {"action": "migrate", "type": "QdrantStore", "config": same, "drop_source": True}
    world.dispatcher.start_upkeep(
        namespace=PLACE[0], project=PLACE[1], database="main", config=world.config, work=work, title="x", chunk_count=1
    )
    world.settle()
    assert world.config.database("main").config == same
    assert words(world) == ["A short text about windmills."]


def test_a_copy_under_another_name_leaves_the_database_as_it_is(upkeep: Upkeep) -> None:
    world = upkeep.world
    stats = world.store().stats()
    embedded = world.count_embedded()
    task = upkeep.migrate(new_name="twin")
    assert task["state"] == "SUCCESS", task
    assert task["result"]["chunks"] == stats.chunk_count
    assert world.config.database("main").type == "MemoryStore"
    assert world.config.database("twin").type == "QdrantStore"
    assert words(world) == words(world, "twin") == ["A short text about windmills."]
    assert world.store("twin").stats() == world.store().stats() == stats
    assert embedded == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_worker_that_dies_while_it_copies_costs_nothing(upkeep: Upkeep, when: str, nth: int) -> None:
    world = upkeep.world
    stats = world.store().stats()
    task_id = upkeep.start()
    world.crash(QdrantStore, "upsert", when=when, nth=nth)
    with pytest.raises(Crash):
        world.step_all()
    assert world.config.database("main").type == "MemoryStore"
    assert words(world) == ["A short text about windmills."]
    world.settle()
    assert world.status(task_id)["state"] == "SUCCESS"
    assert world.store().stats() == stats


def test_a_worker_that_dies_after_the_switch_finishes_the_rest(upkeep: Upkeep) -> None:
    world = upkeep.world
    source = world.store()
    task_id = upkeep.start(drop_source=True)
    world.crash(source, "drop", when="before")
    with pytest.raises(Crash):
        world.step_all()
    assert world.config.database("main").type == "QdrantStore"
    world.settle()
    assert world.status(task_id)["state"] == "SUCCESS"
    assert source.stats().chunk_count == 0


def test_a_cancelled_move_changes_nothing_and_the_next_one_goes_on(upkeep: Upkeep) -> None:
    world = upkeep.world
    task_id = upkeep.start()
    original = QdrantStore.upsert

    def cancelling(store: QdrantStore, records: Any) -> None:
        world.cancel(task_id)
        original(store, records)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(QdrantStore, "upsert", cancelling)
        world.settle()
    task = world.status(task_id)
    assert (task["state"], task["cancelled"]) == ("FAILURE", True)
    assert world.config.database("main").type == "MemoryStore"
    assert words(world) == ["A short text about windmills."]
    assert upkeep.migrate()["state"] == "SUCCESS"
    assert words(world) == ["A short text about windmills."]


def test_a_store_that_is_away_is_tried_again(upkeep: Upkeep) -> None:
    world = upkeep.world
    task_id = upkeep.start()
    world.fail(QdrantStore, "upsert", UpstreamError("Qdrant at x does not answer"), times=2)
    world.settle()
    assert world.status(task_id)["state"] == "SUCCESS"


def test_files_are_not_processed_while_a_database_is_moved_and_the_other_way_round(upkeep: Upkeep) -> None:
    world = upkeep.world
    task_id = upkeep.start()
    with pytest.raises(ConflictError, match=task_id):
        world.start(force=True)
    with pytest.raises(ConflictError, match=task_id):
        upkeep.rebuild()
    world.settle()
    ingest = world.start(force=True)
    with pytest.raises(ConflictError, match=ingest):
        upkeep.rebuild()
    world.settle()
    assert world.status(upkeep.rebuild())["state"] == "STARTED"
    world.settle()


def test_a_rebuild_reports_what_it_did(upkeep: Upkeep) -> None:
    world = upkeep.world
    task_id = upkeep.rebuild()
    listed = world.dispatcher.task_list(*PLACE, states=("STARTED",), limit=5, offset=0)["tasks"]
    assert [(each["task_id"], each["meta"]["kind"]) for each in listed] == [(task_id, "upkeep")]
    world.settle()
    task = world.status(task_id)
    assert task["state"] == "SUCCESS"
    assert task["result"]["chunks"] == world.store().stats().chunk_count
    assert words(world) == ["A short text about windmills."]


def short_hash(world: World) -> str:
    return next(str(row.file_hash) for row in world.rows(FileRow) if row.filename == "short.txt")


def moved_store(world: World) -> Any:
    """The target of a move, whether llamafarm.yaml names it or not."""
    database = world.config.database("main").model_copy(update={"type": "QdrantStore", "config": QDRANT})
    return world.assembly.store_to_delete_from(*PLACE, database)


def around(world: World, target: Any, name: str, *, nth: int = 1, before: Any = None, after: Any = None) -> None:
    """Have something happen before or after the nth call of a method."""
    original, calls = getattr(target, name), count(1)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        is_meant = next(calls) == nth
        if is_meant and before:
            before()
        result = original(*args, **kwargs)
        if is_meant and after:
            after()
        return result

    world.patches.setattr(target, name, wrapped)


def test_a_worker_that_was_thought_dead_deletes_nothing_of_the_finished_move(upkeep: Upkeep) -> None:
    world = upkeep.world
    stats = world.store().stats()
    upkeep.start()
    row = world.run_until("embed")
    original = QdrantUpkeep.contents

    def stalled(self: Any, pairs: Any) -> Any:
        """While the first worker looks into the target, its lease ends and another one moves the database."""
        found = original(self, pairs)
        world.patches.setattr(QdrantUpkeep, "contents", original)
        world.clock.now += 100
        world.tasks.take_over_expired()
        world.deliver("embed", row, world.worker("worker-2"))
        assert world.config.database("main").type == "QdrantStore"
        return found

    world.patches.setattr(QdrantUpkeep, "contents", stalled)
    deleted: list[Any] = []
    world.patches.setattr(QdrantStore, "delete", lambda _, *pair: deleted.append(pair))
    world.settle()
    assert deleted == []
    assert world.store().stats() == stats


def test_what_is_removed_while_a_database_is_moved_does_not_come_back(upkeep: Upkeep) -> None:
    world = upkeep.world
    around(world, QdrantStore, "upsert", nth=2, after=lambda: world.remove_file(short_hash(world)))
    assert upkeep.migrate()["state"] == "SUCCESS"
    assert {row.filename for row in world.rows(FileRow)} == {"long.txt"}
    assert words(world) == []


def test_what_is_removed_while_a_copy_is_made_is_not_in_the_copy(upkeep: Upkeep) -> None:
    world = upkeep.world
    around(world, QdrantStore, "upsert", nth=2, after=lambda: world.remove_file(short_hash(world)))
    assert upkeep.migrate(new_name="twin")["state"] == "SUCCESS"
    assert words(world, "twin") == []


def test_what_is_removed_while_a_database_is_rebuilt_does_not_come_back(upkeep: Upkeep) -> None:
    world = upkeep.world
    upkeep.migrate()
    around(world, QdrantCollection, "put_in_use", before=lambda: world.remove_file(short_hash(world)))
    upkeep.rebuild()
    world.settle()
    assert words(world) == []


def test_a_removed_file_is_gone_from_former_stores_too(upkeep: Upkeep) -> None:
    world = upkeep.world
    source, short = world.store(), short_hash(world)
    upkeep.migrate()
    assert world.remove_file(short) == 1
    assert [key for key, _ in source.generations() if short in key] == []
    assert source.generations()


@pytest.mark.parametrize("is_readable", [True, False])
def test_a_removed_project_leaves_nothing_in_any_store(upkeep: Upkeep, is_readable: bool) -> None:
    world = upkeep.world
    source = world.store()
    world.clock.now += 1  # its task is the newest
    upkeep.migrate()
    target = world.store()
    world.dispatcher.remove_project(*PLACE, world.config if is_readable else None)
    assert source.generations() == target.generations() == {}


def test_clearing_a_database_empties_former_stores_too(upkeep: Upkeep) -> None:
    world = upkeep.world
    source = world.store()
    upkeep.migrate()
    access = DatabaseAccess(world.projects, world.assembly, DatabaseContents(world.database), world.tasks)
    access.clear(access.open(*PLACE, "main"))
    assert source.generations() == world.store().generations() == {}


@pytest.mark.parametrize("new_name", [None, "twin"])
def test_a_cancelled_copy_is_deleted(upkeep: Upkeep, new_name: str | None) -> None:
    world = upkeep.world
    task_id = upkeep.start(new_name=new_name)
    shown = len(world.rows(FileRow))
    around(world, ProjectStore, "edit", before=lambda: world.cancel(task_id))
    world.settle()
    assert world.status(task_id)["error"] == "Task cancelled"
    database = world.config.database("main").moved_to("QdrantStore", QDRANT)
    database = database.model_copy(update={"name": new_name or "main"})
    assert world.assembly.store_to_delete_from(*PLACE, database).generations() == {}
    assert len(world.rows(FileRow)) == shown


def test_a_project_that_is_removed_while_it_is_moved_leaves_no_copy(upkeep: Upkeep) -> None:
    world = upkeep.world
    upkeep.start()
    target = moved_store(world)

    def remove() -> None:
        world.dispatcher.remove_project(*PLACE, world.config)
        world.projects.delete(*PLACE)

    around(world, QdrantStore, "upsert", before=remove)
    world.settle()
    assert target.generations() == {}
    world.configure(project_yaml())


def test_a_cancel_that_comes_after_the_switch_does_not_deny_it(upkeep: Upkeep) -> None:
    world = upkeep.world
    task_id = upkeep.start()

    def meanwhile() -> None:
        world.remove_file(short_hash(world))
        world.cancel(task_id)

    around(world, ProjectStore, "edit", after=meanwhile)
    world.settle()
    task = world.status(task_id)
    assert (task["state"], task["cancelled"]) == ("SUCCESS", False)
    assert world.config.database("main").type == "QdrantStore"


def test_a_cancel_between_the_end_of_the_work_and_the_end_of_its_task_comes_too_late(upkeep: Upkeep) -> None:
    world = upkeep.world
    task_id = upkeep.start()
    answers: list[dict[str, Any]] = []
    around(world, UpkeepTasks, "finish", after=lambda: answers.append(world.cancel(task_id)))
    world.settle()
    assert [each["already_completed"] for each in answers] == [True]
    assert world.status(task_id)["state"] == "SUCCESS"


def test_a_rebuild_that_is_cancelled_at_last_does_not_switch(upkeep: Upkeep) -> None:
    world = upkeep.world
    upkeep.migrate()
    collection = world.store()._collection
    used = collection.in_use()
    task_id = upkeep.rebuild()
    around(world, QdrantCollection, "write", after=lambda: world.cancel(task_id))
    world.settle()
    assert world.status(task_id)["cancelled"]
    assert collection.in_use() == used
    assert collection.all_names() == [used]


def test_nothing_is_processed_until_a_cancelled_upkeep_has_ended(upkeep: Upkeep) -> None:
    world = upkeep.world
    upkeep.migrate()
    task_id = upkeep.rebuild()

    def meanwhile() -> None:
        world.cancel(task_id)
        with pytest.raises(ConflictError, match=task_id):
            world.start(force=True)

    refusals: list[bool] = []
    around(world, QdrantCollection, "write", after=lambda: refusals.append(meanwhile() is None))
    world.settle()
    assert refusals == [True]
    assert world.process(force=True)["state"] == "SUCCESS"


def test_a_rebuild_that_fails_says_why(upkeep: Upkeep) -> None:
    world = upkeep.world
    world.fail(LedgerUpkeep, "rebuild", UpstreamError("the chunk ledger is damaged"))
    task_id = upkeep.rebuild()
    world.settle()
    task = world.status(task_id)
    assert task["state"] == "FAILURE"
    assert "the chunk ledger is damaged" in task["error"]
