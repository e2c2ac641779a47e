"""Removing files, datasets and projects while they are being processed: the last intent wins, nothing is left."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from rag.embedders.hash import HashEmbedder
from rag.errors import NotFoundError, UpstreamError
from rag.stores import stores
from rag.stores.base import StoreIdentity
from rag.stores.ledger_store import LedgerStore
from rag.stores.memory import MemoryStore
from rag.stores.options import StoreOptions
from server.services.events import ProjectRecords
from server.services.projects import ProjectEraser, ProjectService
from state.events import EventStore
from state.files import DatasetFiles
from state.project_rows import ProjectRows
from state.sessions import SessionKey, SessionStore
from state.tables import EventRow, FileRow, TaskFileRow, TaskRow
from tests.workers.test_crashes import LONG
from tests.workers.world import PLACE, Crash, World, project_yaml
from workers.checkpoints import Checkpoints


@pytest.fixture
def filled(world: World) -> World:
    world.upload("long.txt", LONG)
    world.upload("short.txt", "A short text about windmills.")
    return world


def hash_of(world: World, name: str) -> str:
    return next(each.hash for each in DatasetFiles(world.paths()).list() if each.original_file_name == name)


def texts(world: World) -> list[str]:
    folder = world.paths().text_dir
    return sorted(path.name[:64] for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("message_count", range(6))
def test_a_file_removed_between_any_two_messages_is_gone(filled: World, message_count: int) -> None:
    long = hash_of(filled, "long.txt")
    task_id = filled.start()
    for _ in range(message_count):
        filled.step()
    filled.remove_file(long)
    filled.settle()
    assert filled.states(task_id)["short.txt"] == "processed"
    assert [row.filename for row in filled.rows(FileRow)] == ["short.txt"]
    assert long not in texts(filled)
    assert not any(long in key for key in filled.stored())


@pytest.mark.parametrize(("target", "method"), [("tasks", "parsed"), ("tasks", "commit"), ("store", "upsert")])
def test_a_file_removed_inside_a_stage_is_gone(filled: World, target: str, method: str) -> None:
    long = hash_of(filled, "long.txt")
    filled.start()
    owner: Any = filled.tasks if target == "tasks" else filled.store()
    original = getattr(owner, method)

    def removing(*args: Any, **kwargs: Any) -> Any:
        filled.patches.setattr(owner, method, original)
        filled.remove_file(long)
        return original(*args, **kwargs)

    filled.patches.setattr(owner, method, removing)
    filled.settle()
    assert long not in texts(filled)
    assert not any(long in key for key in filled.stored())


@pytest.mark.parametrize("message_count", range(6))
def test_a_dataset_removed_at_any_time_is_gone(filled: World, message_count: int) -> None:
    filled.start()
    for _ in range(message_count):
        filled.step()
    filled.dispatcher.remove_dataset(*PLACE, filled.config, "docs")
    DatasetFiles(filled.paths()).remove_all()
    filled.settle()
    assert (filled.rows(FileRow), filled.stored()) == ([], {})
    assert not filled.paths().root.exists()


def test_a_dataset_removed_while_a_file_is_parsed_does_not_come_back(filled: World) -> None:
    filled.start()
    save = Checkpoints.save_document

    def removing(self: Any, *args: Any) -> Any:
        filled.patches.setattr(Checkpoints, "save_document", save)
        filled.dispatcher.remove_dataset(*PLACE, filled.config, "docs")
        DatasetFiles(filled.paths()).remove_all()
        return save(self, *args)

    filled.patches.setattr(Checkpoints, "save_document", removing)
    filled.settle()
    assert not filled.paths().root.exists()


@pytest.mark.parametrize("message_count", range(6))
def test_a_project_removed_at_any_time_is_gone(filled: World, message_count: int) -> None:
    filled.start()
    for _ in range(message_count):
        filled.step()
    filled.dispatcher.remove_project(*PLACE, filled.config)
    filled.projects.delete(*PLACE)
    filled.settle()
    assert filled.rows(FileRow) == []
    assert not filled.settings.projects_dir.joinpath(*PLACE).exists()


def test_a_project_with_a_broken_configuration_can_be_removed(filled: World) -> None:
    filled.process()
    filled.dispatcher.remove_project(*PLACE, None)
    assert (filled.rows(FileRow), filled.stored()) == ([], {})


def test_a_file_that_is_uploaded_again_is_processed_again(filled: World) -> None:
    filled.process()
    expected = filled.stored()
    filled.remove_file(hash_of(filled, "long.txt"))
    filled.upload("long.txt", LONG)
    body = filled.process()
    assert (body["result"]["processed_files"], body["result"]["skipped_files"]) == (1, 1)
    assert filled.stored() == expected


def test_an_old_task_that_is_cancelled_does_not_touch_a_file_that_was_uploaded_again(filled: World) -> None:
    first = filled.start()
    filled.run_until("embed")
    filled.step()
    assert filled.states(first)["long.txt"] == "processed"
    waiting = list(filled.queue.messages)
    filled.queue.messages.clear()
    filled.remove_file(hash_of(filled, "long.txt"))
    filled.upload("long.txt", LONG)
    second = filled.start()
    while filled.states(second)["long.txt"] != "processed":
        filled.step()
    filled.queue.messages.extend(waiting)
    filled.cancel(first)
    filled.settle()
    assert filled.states(second) == {"long.txt": "processed", "short.txt": "processed"}


def test_clearing_the_chunks_of_a_file_keeps_the_file(filled: World) -> None:
    filled.process()
    expected, long = filled.stored(), hash_of(filled, "long.txt")
    deleted = filled.dispatcher.remove_chunks(*PLACE, filled.config, "docs", long)
    assert deleted > 10
    assert filled.dispatcher.remove_chunks(*PLACE, filled.config, "docs", long) == 0
    assert not any(long in key for key in filled.stored())
    assert filled.process()["result"]["processed_files"] == 1
    assert filled.stored() == expected


def test_nothing_is_removed_while_the_store_is_down(filled: World) -> None:
    filled.process()
    expected = filled.stored()
    filled.fail(filled.store(), "delete", UpstreamError("the store does not answer"), times=1)
    with pytest.raises(UpstreamError):
        filled.dispatcher.remove_file(*PLACE, filled.config, "docs", hash_of(filled, "long.txt"))
    assert filled.stored() == expected
    assert len(filled.rows(FileRow)) == 2


def test_files_can_be_removed_while_the_embedder_cannot_be_had(world: World) -> None:
    """The store is on disk, as Chroma's is: who deletes need not know what the vectors mean."""
    _use_disk_store(world, dimension=64)
    world.upload("a.txt", "some text")
    world.process()
    world.patches.setattr(world.dispatcher._assembly, "embedder", _raise(UpstreamError("Ollama does not answer")))
    assert world.remove_file(hash_of(world, "a.txt")) == 1
    assert on_disk(world) == {}


def _raise(error: Exception) -> Any:
    def raising(*_: Any) -> Any:
        raise error

    return raising


class DiskStore(MemoryStore):
    """Outlives the process and refuses vectors of another model, as ChromaStore does."""

    Options = StoreOptions

    def __init__(self, options: StoreOptions, *, identity: StoreIdentity, url: str, data_dir: Path) -> None:
        LedgerStore.__init__(self, identity, data_dir / "lexical" / f"{identity.database}.sqlite3")
        self._all = None


def on_disk(world: World) -> dict[tuple[str, str], int]:
    """What the database `main` holds, whoever wrote it."""
    place = {"url": "", "data_dir": world.settings.data_dir}
    return DiskStore(StoreOptions(), identity=StoreIdentity(*PLACE, "main", "", 64), **place).generations()  # type: ignore[arg-type]  # two types


def _use_disk_store(world: World, *, dimension: int, model: str | None = None) -> None:
    world.patches.setitem(stores._table, "DiskStore", "tests.workers.test_removing:DiskStore")
    raw = project_yaml()
    for database in raw["rag"]["databases"]:
        database["type"] = "DiskStore"
        config: dict[str, Any] = {"dimension": dimension}
        if model is not None:
            config["max_tokens"] = 300
        database["embedding_strategies"] = [{"name": "words", "type": "HashEmbedder", "config": config}]
    world.configure(raw)
    if model is not None:
        original = HashEmbedder.__init__

        def renamed(self: Any, options: Any) -> None:
            original(self, options)
            self.model_id = model

        world.patches.setattr(HashEmbedder, "__init__", renamed)
    world.restart()


@pytest.mark.parametrize(("dimension", "model"), [(32, None), (64, "hash/other")], ids=["dimension", "model"])
def test_another_embedding_model_is_refused_and_nothing_is_mixed(
    world: World, dimension: int, model: str | None
) -> None:
    _use_disk_store(world, dimension=64)
    world.upload("a.txt", "some text")
    world.process()
    before = on_disk(world)
    _use_disk_store(world, dimension=dimension, model=model)
    world.upload("b.txt", "more text")
    body = world.process()
    assert body["state"] == "FAILURE"
    for _, details in body["result"]["details"]:
        assert "holds vectors of 'hash/64' (dimension 64, cosine)" in details["error"]
        assert "Restore the old embedding strategy" in details["error"]
    assert on_disk(world) == before
    assert world.remove_file(hash_of(world, "a.txt")) == 1
    world.dispatcher.remove_dataset(*PLACE, world.config, "docs")
    assert on_disk(world) == {}


def test_a_file_removed_while_a_task_is_made_does_not_come_back(filled: World) -> None:
    long = hash_of(filled, "long.txt")
    ensure = filled.dispatcher._generations.ensure

    def removed_before(*args: Any) -> None:
        filled.patches.setattr(filled.dispatcher._generations, "ensure", ensure)
        filled.remove_file(long)
        ensure(*args)

    filled.patches.setattr(filled.dispatcher._generations, "ensure", removed_before)
    assert filled.states(filled.start()) == {"short.txt": "queued"}
    assert [row.filename for row in filled.rows(FileRow)] == ["short.txt"]


def test_a_file_whose_row_is_gone_is_not_parsed(filled: World) -> None:
    task_id = filled.start()
    long = hash_of(filled, "long.txt")
    filled.generations.forget(*PLACE, "docs", long)
    filled.settle()
    details = {each["filename"]: each for _, each in filled.status(task_id)["result"]["details"]}
    assert (details["long.txt"]["status"], details["long.txt"]["reason"]) == ("cancelled", "removed")
    assert details["short.txt"]["status"] == "processed"


def test_clearing_that_breaks_off_leaves_nothing_that_counts_as_unchanged(filled: World) -> None:
    filled.process()
    expected, long = filled.stored(), hash_of(filled, "long.txt")
    filled.crash(filled.store(), "delete", when="before")
    with pytest.raises(Crash):
        filled.dispatcher.remove_chunks(*PLACE, filled.config, "docs", long)
    assert filled.process()["result"]["processed_files"] == 1
    assert filled.stored() == expected


def test_clearing_that_the_store_refuses_changes_nothing(filled: World) -> None:
    filled.process()
    expected, long = filled.stored(), hash_of(filled, "long.txt")
    filled.fail(filled.store(), "delete", UpstreamError("the store does not answer"), times=1)
    with pytest.raises(UpstreamError):
        filled.dispatcher.remove_chunks(*PLACE, filled.config, "docs", long)
    assert filled.stored() == expected
    assert filled.process()["result"]["processed_files"] == 0


def test_a_project_whose_configuration_broke_loses_its_chunks_too(world: World) -> None:
    _use_disk_store(world, dimension=64)
    world.upload("a.txt", "some text")
    world.process()
    world.restart()
    world.dispatcher.remove_project(*PLACE, None)
    assert on_disk(world) == {}


def test_the_embedder_is_not_even_built_to_delete(world: World) -> None:
    _use_disk_store(world, dimension=64)
    world.upload("a.txt", "some text")
    world.process()
    world.restart()
    world.patches.setattr(HashEmbedder, "__init__", _raise(AssertionError("a model was loaded")))
    assert world.remove_file(hash_of(world, "a.txt")) == 1


def test_a_corrected_embedder_can_be_used_once_everything_was_deleted(world: World) -> None:
    _use_disk_store(world, dimension=64)
    world.upload("a.txt", "some text")
    world.process()
    _use_disk_store(world, dimension=32)
    assert world.process()["state"] == "FAILURE"
    world.dispatcher.remove_chunks(*PLACE, world.config, "docs", hash_of(world, "a.txt"))
    assert world.process()["state"] == "SUCCESS"


def listed(world: World, *states: Any) -> list[Any]:
    return list(world.dispatcher.task_list(*PLACE, states=states, limit=10, offset=0)["tasks"])


def test_a_task_whose_dataset_was_removed_fails_and_says_why(filled: World) -> None:
    task_id = filled.start()
    filled.dispatcher.remove_dataset(*PLACE, filled.config, "docs")
    DatasetFiles(filled.paths()).remove_all()
    filled.settle()
    body = filled.status(task_id)
    assert (body["state"], body["error"]) == ("FAILURE", "2 of 2 file(s) were removed before they were processed")
    (summary,) = listed(filled, "FAILURE")
    assert {key: summary[key] for key in ("task_id", "state", "error")} == {
        key: body[key] for key in ("task_id", "state", "error")
    }
    assert (summary["meta"]["message"], summary["meta"]["progress"]) == ("0 of 2 file(s) done, 2 removed meanwhile", 0)
    assert listed(filled, "SUCCESS") == []


def test_the_list_tells_of_a_cancelled_task_what_its_poll_tells(filled: World) -> None:
    task_id = filled.start()
    filled.run_until("embed")
    filled.step()
    filled.cancel(task_id)
    filled.settle()
    (summary,), meta = listed(filled), filled.status(task_id)["meta"]
    assert meta["message"] == "cancelled: 0 of 2 file(s) done, 1 reverted"
    assert {key: meta[key] for key in ("current", "total", "progress", "message")} == {
        key: summary["meta"][key] for key in ("current", "total", "progress", "message")
    }


@pytest.mark.parametrize("message_count", range(6))
def test_the_tasks_of_a_removed_project_are_gone(filled: World, message_count: int) -> None:
    task_id = filled.start()
    for _ in range(message_count):
        filled.step()
    filled.dispatcher.remove_project(*PLACE, filled.config)
    filled.projects.delete(*PLACE)
    filled.configure(project_yaml())
    for ask in (filled.status, filled.cancel, lambda each: filled.dispatcher.task_stamp(*PLACE, each)):
        with pytest.raises(NotFoundError, match=task_id):
            ask(task_id)
    assert listed(filled) == []
    assert filled.dispatcher.failed_files(*PLACE, "docs") == set()
    filled.settle()
    assert filled.errors == []
    assert (filled.rows(TaskRow), filled.rows(TaskFileRow), filled.stored()) == ([], [], {})


def test_a_worker_that_was_writing_when_its_project_was_removed_leaves_nothing(filled: World) -> None:
    filled.start()
    filled.run_until("embed")
    store: Any = filled.store()
    original = store.upsert

    def removing(*args: Any, **kwargs: Any) -> Any:
        filled.patches.setattr(store, "upsert", original)
        filled.dispatcher.remove_project(*PLACE, filled.config)
        return original(*args, **kwargs)

    filled.patches.setattr(store, "upsert", removing)
    filled.settle()
    assert (filled.rows(TaskRow), filled.rows(TaskFileRow), filled.stored()) == ([], [], {})


def service(world: World) -> ProjectService:
    """As `server.parts` puts it together."""
    records = ProjectRecords(SessionStore(world.database), EventStore(world.database))
    eraser = ProjectEraser(world.dispatcher, records, ProjectRows(world.database))
    world.projects.erase_leftovers = eraser.erase
    return ProjectService(world.projects, eraser)


def test_a_project_does_not_inherit_from_one_whose_folder_was_removed_by_hand(filled: World) -> None:
    task_id = filled.process()["task_id"]
    key = SessionKey(*PLACE, "s1")
    SessionStore(filled.database).append(key, [{"role": "user", "content": "windmills?"}])
    assert filled.stored()
    shutil.rmtree(filled.settings.projects_dir.joinpath(*PLACE))
    service(filled).create(*PLACE, None)
    filled.settle()
    assert (filled.rows(TaskRow), filled.rows(FileRow), filled.rows(EventRow), filled.stored()) == ([], [], [], {})
    assert SessionStore(filled.database).history(key) == []
    with pytest.raises(NotFoundError, match=task_id):
        filled.status(task_id)


def test_a_project_that_only_the_state_knows_can_be_deleted_once(filled: World) -> None:
    filled.process()
    shutil.rmtree(filled.settings.projects_dir.joinpath(*PLACE))
    deleted = service(filled).delete(*PLACE)
    assert (deleted.namespace, deleted.name, deleted.config) == (*PLACE, {})
    assert (filled.rows(TaskRow), filled.rows(FileRow), filled.rows(EventRow), filled.stored()) == ([], [], [], {})
    with pytest.raises(NotFoundError, match="Project acme/handbook not found"):
        service(filled).delete(*PLACE)


def test_what_lies_in_a_folder_without_configuration_is_kept_by_creating_its_project(filled: World) -> None:
    filled.process()
    filled.settings.projects_dir.joinpath(*PLACE, "llamafarm.yaml").unlink()
    before = filled.stored()
    service(filled).create(*PLACE, None)
    assert filled.stored() == before
    assert len(filled.rows(FileRow)) == 2


def test_each_file_of_a_task_answers_under_its_own_id(filled: World) -> None:
    filled.upload("empty.pdf", b"%PDF-1.4 damaged")
    task_id = filled.start()
    first = filled.status(task_id)["meta"]["files"][0]
    waiting = filled.status(first["task_id"])
    assert (waiting["task_id"], waiting["state"], waiting["result"]) == (f"{task_id}-0", "PENDING", None)
    filled.settle()
    body = filled.status(task_id)
    for each, pair in zip(body["meta"]["files"], body["result"]["details"], strict=True):
        part = filled.status(each["task_id"])
        assert part["result"] == pair
        assert (part["state"], part["error"]) == ("SUCCESS" if pair[0] else "FAILURE", each["error"])
        assert (part["meta"]["filename"], part["meta"]["progress"]) == (each["filename"], 100)
        assert filled.dispatcher.task_stamp(*PLACE, each["task_id"])
    assert {pair[0] for pair in body["result"]["details"]} == {True, False}
    for unknown in (f"{task_id}-3", f"{task_id}-{'9' * 9}", f"{task_id}-x", f"{task_id}-{'9' * 40}"):
        with pytest.raises(NotFoundError):
            filled.status(unknown)
        with pytest.raises(NotFoundError):
            filled.dispatcher.task_stamp(*PLACE, unknown)
    with pytest.raises(NotFoundError):
        filled.dispatcher.task_status("acme", "other", f"{task_id}-0")
