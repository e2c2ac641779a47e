"""Jobs in the hands of workers: done once, tried again where that helps, and never lost."""

from collections.abc import Callable
from typing import Any

import pytest

from rag.errors import CancelledTaskError, InvalidInputError, UpstreamError
from state.cloud.jobs import CloudJob, NewJob
from tests.workers.world import Crash, World
from workers.cloud import registry
from workers.cloud.registry import Done, Next, Outcome
from workers.cloud.runner import UPSTREAM_ATTEMPTS, AskPool
from workers.runtime import Runtime

Do = Callable[[Runtime, CloudJob], Outcome]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> dict[str, Do]:
    """`kind/stage` → what it does, in the place of the real ones."""
    found: dict[str, Do] = {}
    monkeypatch.setattr("workers.cloud.runner.step", lambda kind, stage: found[f"{kind}/{stage}"])
    return found


def start(world: World, *, stage: str = "parse") -> None:
    world.cloud_jobs.create(NewJob("j", "work", "p1", {}, stage=stage))
    world.queue.send_jobs(stage, 1)


def job(world: World) -> CloudJob:
    return world.cloud_jobs.get("work", "j")


def test_every_step_that_is_registered_can_be_loaded() -> None:
    for place in registry.STEPS:
        kind, _, stage = place.partition("/")
        assert callable(registry.step(kind, stage)), place


def test_a_job_goes_from_stage_to_stage_to_its_end(world: World, steps: dict[str, Do]) -> None:
    steps["work/parse"] = lambda _, each: Next("ask", {"pages": 2})
    steps["work/ask"] = lambda _, each: Done({"saw": each.progress["pages"]}, "partial", "one page is empty")
    start(world)
    world.settle()
    assert (job(world).state, job(world).result, job(world).error) == ("partial", {"saw": 2}, "one page is empty")


def test_a_refusal_fails_the_job_with_its_sentence(world: World, steps: dict[str, Do]) -> None:
    steps["work/parse"] = raising(InvalidInputError("'a.xlsx' is no spreadsheet"))
    start(world)
    world.settle()
    assert (job(world).state, job(world).error) == ("failed", "'a.xlsx' is no spreadsheet")


def test_a_bug_fails_the_job_and_the_next_one_is_done(world: World, steps: dict[str, Do]) -> None:
    steps["work/parse"] = raising(KeyError("secret detail"))
    start(world)
    world.settle()
    assert "unexpected KeyError" in (job(world).error or "")
    assert "secret detail" not in (job(world).error or "")
    assert [type(each) for each in world.errors] == [KeyError]


def test_a_server_that_comes_back_is_asked_again_and_one_that_does_not_is_told(
    world: World, steps: dict[str, Do]
) -> None:
    tries: list[int] = []

    def flaky(_: Runtime, each: CloudJob) -> Outcome:
        tries.append(each.attempts)
        if len(tries) < 3:
            raise UpstreamError("the model server does not answer")
        return Done({})

    steps["work/parse"] = flaky
    start(world)
    world.settle()
    assert (job(world).state, tries) == ("completed", [0, 1, 2])
    world.cloud_jobs.delete("j")
    steps["work/parse"] = raising(UpstreamError("the model server does not answer"))
    start(world)
    world.settle()
    assert job(world).error == f"the model server does not answer (tried {UPSTREAM_ATTEMPTS} times)"


def test_a_process_that_dies_loses_no_job(world: World, steps: dict[str, Do]) -> None:
    tries: list[int] = []

    def dying(_: Runtime, each: CloudJob) -> Outcome:
        tries.append(each.crashes)
        if len(tries) == 1:
            raise Crash
        return Done({"ok": True})

    steps["work/parse"] = dying
    start(world)
    world.settle()
    assert (job(world).result, tries) == ({"ok": True}, [0, 1])


def test_a_message_that_was_lost_is_sent_again(world: World, steps: dict[str, Do]) -> None:
    steps["work/parse"] = lambda *_: Done({})
    start(world)
    world.queue.messages.clear()
    world.settle()
    assert job(world).state == "completed"


def test_a_broker_that_is_down_between_two_steps_loses_nothing(world: World, steps: dict[str, Do]) -> None:
    def go_on(*_: Any) -> Outcome:
        world.queue.is_down = True
        return Next("ask")

    steps["work/parse"], steps["work/ask"] = go_on, lambda *_: Done({})
    start(world)
    world.drain()
    assert job(world).stage == "ask"
    world.queue.is_down = False
    world.settle()
    assert job(world).state == "completed"


def test_a_cancelled_job_ends_although_its_step_had_a_result(world: World, steps: dict[str, Do]) -> None:
    def work(_: Runtime, each: CloudJob) -> Outcome:
        world.cloud_jobs.cancel("work", each.id)
        return Done({"too": "late"})

    steps["work/parse"] = work
    start(world)
    world.settle()
    assert (job(world).state, job(world).result) == ("cancelled", None)


def test_a_step_that_finds_out_by_itself_ends_as_cancelled(world: World, steps: dict[str, Do]) -> None:
    steps["work/parse"] = raising(CancelledTaskError("cancelled"))
    start(world)
    world.settle()
    assert job(world).state == "cancelled"


def test_waiting_for_models_holds_up_no_worker_thread(world: World, steps: dict[str, Do]) -> None:
    import threading

    entered, go = threading.Semaphore(0), threading.Event()

    def slow(*_: Any) -> Outcome:
        entered.release()
        assert go.wait(10)
        return Done({})

    steps["work/ask"] = slow
    for at in range(4):
        world.cloud_jobs.create(NewJob(f"j{at}", "work", "p1", {}, stage="ask"))
    pool = AskPool(size=2)
    for _ in range(4):
        pool.wake(lambda: world.runtime)  # returns at once
    for _ in range(2):
        assert entered.acquire(timeout=10)
    assert not entered.acquire(timeout=0.1), "more than two at once"
    go.set()
    for _ in range(2):
        assert entered.acquire(timeout=10)
    assert pool.wait(10)
    assert {each.state for at in range(4) for each in [world.cloud_jobs.get("work", f"j{at}")]} == {"completed"}


def raising(error: Exception) -> Do:
    def do(*_: Any) -> Outcome:
        raise error

    return do
