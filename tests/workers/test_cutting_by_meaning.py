"""Chunks whose ends depend on vectors: cut by the embed stage, with the same promises as all others."""

from collections.abc import Callable
from typing import Any

import pytest

from rag.errors import UpstreamError
from tests.workers.conftest import MakeWorld
from tests.workers.test_crashes import outcome
from tests.workers.world import Crash, World, project_yaml
from workers import embed_stage
from workers.checkpoints import Checkpoints

SUBJECTS = ("harbour boats anchor quay", "bread flour oven dough", "violin bow string concert")
TEXT = " ".join(
    f"The {' '.join(words.split()[n % 2 :])} matter here, note {n}." for words in SUBJECTS for n in range(8)
)


@pytest.fixture
def make_semantic(make_world: MakeWorld) -> Callable[[], World]:
    def make() -> World:
        world = make_world()
        options = {"semantic_breakpoint_percentile_threshold": 90, "min_chunk_size": 60}
        world.configure(project_yaml(chunk_strategy="semantic", chunk_size=2000, **options))
        world.upload("subjects.txt", TEXT)
        return world

    return make


@pytest.fixture
def semantic(make_semantic: Callable[[], World]) -> World:
    return make_semantic()


def test_chunks_end_where_the_subject_changes(semantic: World) -> None:
    body = semantic.process()
    assert body["state"] == "SUCCESS"
    texts = list(semantic.stored().values())
    assert len(texts) == len(SUBJECTS)
    for words, text in zip(SUBJECTS, sorted(texts, key=TEXT.index), strict=True):
        assert all(word in text for word in words.split())
    ((_, details),) = body["result"]["details"]
    assert details["chunks"] == len(SUBJECTS)


def test_the_parse_stage_asks_no_model_and_a_second_run_skips(semantic: World) -> None:
    semantic.start()
    embedded = semantic.count_embedded()
    semantic.run_until("embed")
    assert embedded == []
    semantic.settle()
    assert len(embedded) > len(SUBJECTS)
    before = len(embedded)
    semantic.process()
    assert len(embedded) == before


BOUNDARIES: dict[str, Callable[[World], None]] = {
    "after parsed": lambda world: world.crash(world.tasks, "parsed", when="after"),
    "before cutting": lambda world: world.crash(embed_stage, "cut", when="before"),
    "after cutting": lambda world: world.crash(embed_stage, "cut", when="after"),
    "before the chunks are saved": lambda world: world.crash(Checkpoints, "save_chunks", when="before"),
    "after the chunks were saved": lambda world: world.crash(Checkpoints, "save_chunks", when="after"),
    "before the chunks are stored": lambda world: world.crash(world.store(), "upsert", when="before"),
    "after the chunks were stored": lambda world: world.crash(world.store(), "upsert", when="after"),
    "before the commit": lambda world: world.crash(world.tasks, "commit", when="before"),
    "after the commit": lambda world: world.crash(world.tasks, "commit", when="after"),
}


@pytest.mark.parametrize("boundary", BOUNDARIES.values(), ids=BOUNDARIES.keys())
def test_a_crash_changes_nothing_in_the_end(
    boundary: Callable[[World], None], make_semantic: Callable[[], World]
) -> None:
    reference, world = make_semantic(), make_semantic()
    reference.process()
    task_id = world.start()
    boundary(world)
    with pytest.raises(Crash):
        world.step_all()
    world.settle()
    assert world.status(task_id)["state"] == "SUCCESS"
    assert outcome(world) == outcome(reference)


def test_a_try_after_a_crash_goes_on_with_the_same_chunks(semantic: World) -> None:
    semantic.start()
    semantic.crash(semantic.store(), "upsert", when="after")
    with pytest.raises(Crash):
        semantic.step_all()
    saved = semantic.paths().text_dir.glob("*.chunks.json")
    before = [path.read_bytes() for path in saved]
    embedded = semantic.count_embedded()
    semantic.settle()
    assert before
    assert embedded == []


def test_a_damaged_checkpoint_is_cut_again(semantic: World) -> None:
    task_id = semantic.start()
    semantic.crash(semantic.store(), "upsert", when="before")
    with pytest.raises(Crash):
        semantic.step_all()
    for path in semantic.paths().text_dir.glob("*.chunks.json"):
        path.write_bytes(b"{")
    semantic.settle()
    assert semantic.status(task_id)["state"] == "SUCCESS"
    assert len(semantic.stored()) == len(SUBJECTS)


def test_an_embedder_that_is_away_while_cutting_is_waited_for(semantic: World) -> None:
    semantic.fail(semantic.embedder, "embed_documents", UpstreamError("no answer"), times=2)
    assert semantic.process()["state"] == "SUCCESS"
    semantic.fail(semantic.embedder, "embed_documents", UpstreamError("no answer"))
    semantic.upload("more.txt", TEXT + " And so on.")
    body = semantic.process()
    assert any("no answer" in str(details["error"]) for _, details in body["result"]["details"])


def test_a_cancel_while_cutting_leaves_nothing(semantic: World) -> None:
    task_id = semantic.start()
    original = semantic.embedder.embed_documents

    def cancelling(texts: list[str]) -> Any:
        semantic.cancel(task_id)
        return original(texts)

    semantic.patches.setattr(semantic.embedder, "embed_documents", cancelling)
    semantic.settle()
    assert set(semantic.states(task_id).values()) == {"cancelled"}
    assert semantic.stored() == {}
