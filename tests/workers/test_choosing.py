"""What a task is asked to do: options of cutting for some files, everything anew, one file, the failed ones."""

import json
import shutil
from typing import Any

import pytest

from rag.errors import BadRequestError, UpstreamError
from state.files import DatasetFiles
from state.tables import FileRow
from tests.workers.test_cancelling import live
from tests.workers.test_crashes import LONG
from tests.workers.world import PLACE, World, project_yaml


def counts(status: dict[str, Any]) -> tuple[int, int, int]:
    result = status["result"]
    return result["processed_files"], result["skipped_files"], result["failed_files"]


def longest(world: World, name: str) -> int:
    """Characters of the longest chunk of a file."""
    lengths = [
        len(record.text)
        for store in world.stores()
        for key, generation in store.generations()
        for record in store.records(key, generation)
        if record.metadata["filename"] == name
    ]
    return max(lengths)


def keep(world: World, file_hash: str, overrides: dict[str, Any]) -> None:
    DatasetFiles(world.paths()).set_overrides(file_hash, overrides)


# -- options of cutting -------------------------------------------------------------------------------------


def test_overrides_shape_the_chunks_of_the_files_that_they_match(world: World) -> None:
    world.upload("a.txt", LONG)
    world.upload("b.md", LONG + "other")
    status = world.process(overrides={"*.txt": {"chunk_size": 60}})
    assert counts(status) == (2, 0, 0)
    assert longest(world, "a.txt") <= 60 < longest(world, "b.md")
    sizes = {info["filename"]: info["chunk_size"] for _, info in status["result"]["details"]}
    assert sizes == {"a.txt": 60, "b.md": 200}


def test_overrides_of_a_task_hold_for_that_task(world: World) -> None:
    world.upload("a.txt", LONG)
    world.process(overrides={"*": {"chunk_size": 60}})
    assert counts(world.process(overrides={"*": {"chunk_size": 60}})) == (0, 1, 0)
    assert counts(world.process()) == (1, 0, 0)
    assert longest(world, "a.txt") > 60


def test_overrides_that_came_with_a_file_stay_with_it(world: World) -> None:
    file_hash = world.upload("a.txt", LONG)
    keep(world, file_hash, {"*": {"chunk_size": 60}})
    assert counts(world.process()) == (1, 0, 0)
    assert longest(world, "a.txt") <= 60
    assert counts(world.process()) == (0, 1, 0)
    keep(world, file_hash, {"*": {}})
    assert counts(world.process()) == (1, 0, 0)
    assert longest(world, "a.txt") > 60


def test_overrides_that_say_what_is_so_already_change_nothing(world: World) -> None:
    world.upload("a.txt", LONG)
    world.process()
    assert counts(world.process(overrides={"*": {"chunk_size": 200, "chunk_overlap": 0}})) == (0, 1, 0)


def test_later_patterns_win_and_a_parser_may_be_named(world: World) -> None:
    world.upload("a.txt", LONG)
    world.process(overrides={"*": {"chunk_size": 60}, "A.*": {"chunk_size": 150}})
    assert 60 < longest(world, "a.txt") <= 150
    world.process(overrides={"*": {"chunk_size": 90}, "UniversalParser": {"chunk_size": 60}})
    assert longest(world, "a.txt") <= 60


def test_a_smaller_size_alone_takes_the_overlap_that_goes_with_it(world: World) -> None:
    world.configure(project_yaml(chunk_overlap=100))
    world.upload("a.txt", LONG)
    assert counts(world.process(overrides={"*": {"chunk_size": 60}})) == (1, 0, 0)
    assert longest(world, "a.txt") <= 60


def test_overrides_that_do_not_go_with_the_strategy_start_no_task(world: World) -> None:
    world.upload("a.txt", LONG)
    with pytest.raises(BadRequestError, match="chunk_overlap"):
        world.start(overrides={"*": {"chunk_overlap": 200}})
    assert not world.queue.messages


def test_kept_overrides_that_stopped_to_fit_fail_their_file_alone(world: World) -> None:
    """The strategy was edited since the upload."""
    keep(world, world.upload("a.txt", LONG), {"*": {"chunk_overlap": 150}})
    world.upload("b.txt", "another text")
    world.configure(project_yaml(chunk_size=100))
    status = world.process()
    assert counts(status) == (1, 0, 1)
    assert "parser_overrides does not go with" in world.errors_of(status["task_id"])["a.txt"]


def test_overrides_survive_a_crash_and_a_retry(world: World) -> None:
    world.upload("a.txt", LONG)
    world.fail(world.embedder, "embed_documents", UpstreamError("away"), times=2)
    world.crash(world.tasks, "parsed", when="before")
    assert counts(world.process(overrides={"*": {"chunk_size": 60}})) == (1, 0, 0)
    assert longest(world, "a.txt") <= 60


# -- everything anew ----------------------------------------------------------------------------------------


def test_forced_processing_writes_what_is_unchanged_anew(world: World) -> None:
    world.upload("a.txt", LONG)
    world.process()
    before, embedded = live(world), world.count_embedded()
    assert counts(world.process(force=True)) == (1, 0, 0)
    assert len(embedded) == len(world.stored()), "vectors, too"
    assert live(world) != before
    assert counts(world.process()) == (0, 1, 0), "and is unchanged again afterwards"


def test_a_text_that_was_embedded_before_is_embedded_again_only_when_all_is_made_anew(world: World) -> None:
    world.upload("a.txt", LONG)
    world.process()
    world.process(overrides={"*": {"chunk_size": 60}})
    embedded = world.count_embedded()
    world.process(overrides={"*": {"chunk_size": 200}})
    assert embedded == [], "these chunks were embedded by the first task"
    world.process(force=True)
    assert embedded


def test_old_chunks_answer_until_the_forced_ones_are_complete(world: World) -> None:
    world.upload("a.txt", LONG)
    world.process()
    found = world.search("windmills")
    assert found
    world.start(force=True)
    while world.queue.messages:
        world.step()
        assert world.search("windmills") == found


def test_cancelled_forced_processing_leaves_the_chunks_that_were_there(world: World) -> None:
    world.upload("a.txt", LONG)
    world.process()
    before = (world.stored(), live(world))
    task_id = world.start(force=True)
    world.run_until("finish")
    assert live(world) != before[1]
    assert world.cancel(task_id)["already_completed"] is True
    task_id = world.start(force=True)
    after_first = live(world)
    world.run_until("embed")
    world.cancel(task_id)
    world.settle()
    assert live(world) == after_first


def test_what_a_later_task_found_unchanged_outlives_the_cancel_of_the_forced_one(world: World) -> None:
    world.upload("a.txt", LONG)
    world.upload("b.txt", LONG + "b")
    forced = world.start(force=True)
    world.run_until("embed")
    world.step()
    done = live(world)
    assert len(done) == 1
    later = world.start()
    assert sorted(world.states(later).values()) == ["queued", "skipped"]
    world.cancel(forced)
    world.settle()
    assert done.items() <= live(world).items()


def test_two_forced_tasks_at_once_leave_one_set_of_chunks(world: World) -> None:
    world.upload("a.txt", LONG)
    world.process()
    count = len(world.stored())
    world.start(force=True)
    world.start(force=True)
    world.settle()
    assert len(world.stored()) == count


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("target", ["commit", "parsed"])
def test_a_crash_in_a_forced_task_costs_time_only(world: World, target: str, when: str) -> None:
    world.upload("a.txt", LONG)
    world.process()
    count = len(world.stored())
    world.crash(world.tasks, target, when=when)
    assert counts(world.process(force=True)) == (1, 0, 0)
    assert len(world.stored()) == count


# -- which files --------------------------------------------------------------------------------------------


def test_failed_files_are_those_whose_last_processing_failed(world: World) -> None:
    good, bad = world.upload("good.txt", LONG), world.upload("bad.pdf", b"%PDF-1.7 broken")
    world.process()
    assert world.dispatcher.failed_files(*PLACE, "docs") == {bad}
    assert good not in world.dispatcher.failed_files(*PLACE, "more")


def test_unchanged_file_whose_bytes_are_gone_fails_and_still_answers(world: World) -> None:
    file_hash = world.upload("a.txt", LONG)
    world.process()
    found = world.search("windmills")
    world.paths().raw(file_hash).unlink()
    status = world.process()
    assert counts(status) == (0, 0, 1)
    info = status["result"]["details"][0][1]
    assert (info["reason"], "upload it again" in info["error"]) == ("missing_bytes", True)
    assert world.search("windmills") == found
    world.upload("a.txt", LONG)
    assert counts(world.process()) == (0, 1, 0)


# -- a data directory of the original -----------------------------------------------------------------------


def test_files_of_an_existing_data_directory_are_processed_and_nothing_of_it_is_lost(world: World) -> None:
    """Its metadata has no row here, its link is absolute, and its vectors lie in a store of their own."""
    file_hash = world.upload("a.txt", LONG)
    paths = world.paths()
    with world.database.write() as session:
        session.query(FileRow).delete()
    meta = json.loads(paths.meta(file_hash).read_text()) | {"uploaded_by": "someone"}
    paths.meta(file_hash).write_text(json.dumps(meta))
    (link,) = paths.index_by_name.iterdir()
    link.unlink()
    link.symlink_to(paths.raw(file_hash).resolve())
    shutil.rmtree(paths.root / "incoming")
    theirs = [
        paths.root / "stores",
        paths.root.parents[1] / "stores" / "ChromaStore",
        paths.root.parents[2] / "sessions",
    ]
    for folder in theirs:
        folder.mkdir(parents=True)
        (folder / "theirs").write_text("kept")
    before = {path: path.read_bytes() for path in paths.root.parents[2].rglob("*") if path.is_file()}
    assert counts(world.process()) == (1, 0, 0)
    assert world.search("windmills")
    assert counts(world.process()) == (0, 1, 0)
    after = {path: path.read_bytes() for path in paths.root.parents[2].rglob("*") if path.is_file()}
    assert before.items() <= after.items()
