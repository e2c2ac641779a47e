"""Lists and streams of tasks, over the real dispatcher and the real state; what workers do is done by hand."""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from config.settings import Settings
from rag.errors import UpstreamError
from server.app import create_app
from server.parts import Engine
from server.services import task_events
from server.services.task_events import TaskEvents
from state.tasks import TaskStore
from tests.api.conftest import PROJECT
from tests.api.fakes import fake_engine
from tests.api.helpers import assert_error, assert_ok
from tests.workers.world import RecordingQueue
from workers.dispatch import Dispatcher

P = "/v1/projects/org/bot"


class World:
    def __init__(self, client: TestClient, engine: Engine) -> None:
        self.client = client
        self.dispatcher = engine.dispatcher
        self.tasks = TaskStore(engine.database, lease_s=60)

    def start(self, *names: str) -> str:
        for name in names:
            assert_ok(self.client.post(f"{P}/datasets/docs/data", files={"file": (name, name.encode())}))
        answer = self.client.post(f"{P}/datasets/docs/actions", json={"action_type": "process"})
        return str(assert_ok(answer)["task_id"])

    def files(self, task_id: str) -> list[int]:
        return self.tasks.waiting(task_id)

    def parse(self, file_id: int) -> None:
        assert self.tasks.claim(file_id, "parse", "w") is not None
        assert self.tasks.parsed(file_id, "w", chunk_count=4, details={})

    def finish(self, task_id: str) -> None:
        for file_id in self.files(task_id):
            self.parse(file_id)
            claimed = self.tasks.claim(file_id, "embed", "w")
            assert claimed is not None
            assert self.tasks.commit(claimed, "w", generation=claimed.generation, chunk_count=4, details={})
        assert self.tasks.finish_if_done(task_id)

    def fail(self, task_id: str) -> None:
        for file_id in self.files(task_id):
            assert self.tasks.claim(file_id, "parse", "w") is not None
            assert self.tasks.end(file_id, "w", "failed", error="a bad file", reason="UnreadableFile")
        assert self.tasks.finish_if_done(task_id)


@asynccontextmanager
async def real_dispatcher(settings: Settings) -> AsyncIterator[Engine]:
    async with fake_engine(settings) as engine:
        queue: Any = RecordingQueue()
        dispatcher = Dispatcher(settings, engine.database, engine.assembly, queue=queue)
        yield replace(engine, dispatcher=dispatcher)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    settings = Settings(_env_file=None, data_dir=tmp_path / "data", log_level="ERROR")
    folder = settings.projects_dir / "org" / "bot"
    folder.mkdir(parents=True)
    (folder / "llamafarm.yaml").write_text(json.dumps(PROJECT), encoding="utf-8")
    app = create_app(settings, engine=real_dispatcher)
    with TestClient(app, base_url="http://localhost") as client:
        yield World(client, client.app.state.services.engine)


def events(world: World, task_id: str) -> list[Any]:
    """All events of a stream that ends."""
    response = world.client.get(f"{P}/tasks/{task_id}/events")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    texts = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    assert texts.pop() == "[DONE]"
    return [json.loads(text) for text in texts]


def test_stream_of_an_ended_task_tells_its_end_and_closes(world: World) -> None:
    task_id = world.start("a.txt")
    world.finish(task_id)
    assert events(world, task_id) == [world.client.get(f"{P}/tasks/{task_id}").json()]


def test_stream_tells_each_change_as_the_poll_does(world: World) -> None:
    task_id = world.start("a.txt", "b.txt")
    seen: list[Any] = []
    listener = threading.Thread(target=lambda: seen.extend(events(world, task_id)))
    listener.start()
    time.sleep(0.5)
    world.parse(world.files(task_id)[0])
    time.sleep(0.5)
    world.client.delete(f"{P}/tasks/{task_id}")
    listener.join(10)
    assert [body["state"] for body in seen] == ["PENDING", "STARTED", "FAILURE"]
    assert seen[1]["meta"]["files"][0]["stage"] == "parsed"
    assert (seen[2]["error"], seen[2]["cancelled"]) == ("Task cancelled", True)
    assert seen[2] == world.client.get(f"{P}/tasks/{task_id}").json()


@pytest.mark.parametrize("path", [f"{P}/tasks/none/events", "/v1/projects/org/other/tasks/{}/events"])
def test_stream_of_an_unknown_task_is_404_before_it_begins(world: World, path: str) -> None:
    task_id = world.start("a.txt")
    assert_error(world.client.get(path.format(task_id)), 404, "not found")


class Counted:
    """Counts what listening costs."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.calls: Counter[str] = Counter()
        self._dispatcher = dispatcher
        self.failure: Exception | None = None

    def task_stamp(self, *key: str) -> Any:
        self.calls["stamp"] += 1
        if self.failure is not None:
            raise self.failure
        return self._dispatcher.task_stamp(*key)

    def task_status(self, *key: str) -> Any:
        self.calls["status"] += 1
        return self._dispatcher.task_status(*key)


def listen(tasks: Counted, task_id: str, count: int, meanwhile: Callable[[], None]) -> list[list[str]]:
    async def run() -> list[list[str]]:
        source = TaskEvents(tasks)  # type: ignore[arg-type]  # has the two methods
        streams = [await source.open("org", "bot", task_id) for _ in range(count)]

        async def read(stream: Any) -> list[str]:
            try:
                return [event async for event in stream]
            finally:
                await stream.aclose()

        readers = [asyncio.create_task(read(stream)) for stream in streams]
        await asyncio.sleep(1)
        await asyncio.to_thread(meanwhile)
        found = await asyncio.gather(*readers)
        assert source._watches == {}, "nobody listens any more"
        return found

    return asyncio.run(run())


def test_a_hundred_listeners_cost_what_one_costs(world: World) -> None:
    task_id = world.start("a.txt")
    tasks = Counted(world.dispatcher)
    found = listen(tasks, task_id, 100, lambda: world.finish(task_id))
    assert len({tuple(each) for each in found}) == 1
    assert [json.loads(event)["state"] for event in found[0][:-1]][-1] == "SUCCESS"
    assert tasks.calls["status"] == len(found[0]) - 1
    looks = tasks.calls["stamp"] - 100  # one each, to answer 404
    assert looks < 30


def test_a_state_that_leaves_ends_the_stream_with_the_reason(world: World) -> None:
    task_id = world.start("a.txt")
    tasks = Counted(world.dispatcher)

    def leave() -> None:
        tasks.failure = UpstreamError("the state database does not answer")

    (found,) = listen(tasks, task_id, 1, leave)
    assert json.loads(found[-2])["error"]["code"] == "UpstreamUnavailable"
    assert found[-1] == "[DONE]"


def test_an_unexpected_failure_is_told_and_is_not_taken_for_the_end_of_the_task(world: World) -> None:
    task_id = world.start("a.txt")
    tasks = Counted(world.dispatcher)

    def leave() -> None:
        tasks.failure = ValueError("a row that nobody can read")

    (found,) = listen(tasks, task_id, 1, leave)
    assert json.loads(found[-2])["error"]["code"] == "InternalServerError"
    assert "a row" not in found[-2]
    assert found[-1] == "[DONE]"


def test_a_listener_that_leaves_stops_the_looking(world: World) -> None:
    task_id = world.start("a.txt")
    tasks = Counted(world.dispatcher)

    async def run() -> int:
        stream = await TaskEvents(tasks).open("org", "bot", task_id)  # type: ignore[arg-type]
        await anext(aiter(stream))
        await stream.aclose()
        await stream.aclose()
        before = tasks.calls["stamp"]
        await asyncio.sleep(3 * task_events.INTERVAL_S)
        return tasks.calls["stamp"] - before

    assert asyncio.run(run()) == 0


@pytest.fixture
def history(world: World) -> dict[str, str]:
    """One task in each state, the oldest first."""
    pending = world.start("e.txt")
    done = world.start("a.txt")
    world.finish(done)
    failed = world.start("b.txt")
    world.fail(failed)
    cancelled = world.start("c.txt")
    world.client.delete(f"{P}/tasks/{cancelled}")
    started = world.start("d.txt")
    world.parse(world.files(started)[0])
    return {"pending": pending, "done": done, "failed": failed, "cancelled": cancelled, "started": started}


def test_list_shows_the_newest_first_with_the_states_of_the_poll(world: World, history: dict[str, str]) -> None:
    listed = assert_ok(world.client.get(f"{P}/tasks"))
    assert [task["task_id"] for task in listed["tasks"]] == [*reversed(history.values())]
    assert listed["total"] == 5
    for task in listed["tasks"]:
        whole = assert_ok(world.client.get(f"{P}/tasks/{task['task_id']}"))
        for key in ("state", "error", "cancelled"):
            assert task[key] == whole[key]
        told_per_file = ("files", "details")
        for key in ("meta", "result"):
            expected = {k: v for k, v in (whole[key] or {}).items() if k not in told_per_file}
            assert (task[key] or {}) == expected
        assert (task["finished_at"] is not None) == (whole["state"] in ("SUCCESS", "FAILURE"))


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("state=SUCCESS", ["done"]),
        ("state=FAILURE", ["cancelled", "failed"]),
        ("state=STARTED", ["started"]),
        ("state=PENDING", ["pending"]),
        ("state=PENDING&state=STARTED", ["started", "pending"]),
        ("limit=2", ["started", "cancelled"]),
        ("limit=2&offset=3", ["done", "pending"]),
        ("offset=9", []),
    ],
)
def test_list_is_filtered_and_paged(world: World, history: dict[str, str], query: str, names: list[str]) -> None:
    listed = assert_ok(world.client.get(f"{P}/tasks?{query}"))["tasks"]
    assert [task["task_id"] for task in listed] == [history[name] for name in names]


@pytest.mark.parametrize("query", ["state=RUNNING", "limit=0", "limit=201", "limit=x", "offset=-1", f"offset={10**30}"])
def test_bad_query_of_a_list_is_422(world: World, query: str) -> None:
    assert_error(world.client.get(f"{P}/tasks?{query}"), 422)


def test_list_of_an_unknown_project_is_404_and_of_a_new_one_empty(world: World) -> None:
    assert_error(world.client.get("/v1/projects/org/none/tasks"), 404, "Project org/none not found")
    assert assert_ok(world.client.get(f"{P}/tasks/")) == {"total": 0, "tasks": [], "limit": 50, "offset": 0}


def test_failed_files_are_those_that_failed_last(world: World, history: dict[str, str]) -> None:
    failed = world.dispatcher.failed_files("org", "bot", "docs")
    assert failed == set(), "a later task has the file again, and it did not fail there"
    for each in ("cancelled", "started", "pending"):
        world.client.delete(f"{P}/tasks/{history[each]}")
    again = world.start()
    world.fail(again)
    names = {file["filename"] for file in assert_ok(world.client.get(f"{P}/tasks/{again}"))["meta"]["files"]}
    body = {"action_type": "process", "failed_only": True}
    answer = assert_ok(world.client.post(f"{P}/datasets/docs/actions", json=body))
    files = assert_ok(world.client.get(answer["task_uri"]))["meta"]["files"]
    assert {file["filename"] for file in files} == names - {"a.txt", "e.txt"}
