"""The same stages through a real Celery worker: routing, names, and what a forged message can do (nothing)."""

import pickle
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker

import workers.tasks.ingest
import workers.tasks.upkeep
from rag.errors import UpstreamError
from state.tables import TaskFileRow
from tests.workers.world import PLACE, RecordingQueue, World
from workers.app import QUEUES, create_celery
from workers.embed_stage import run_embed
from workers.parse_stage import run_parse
from workers.queue import TaskQueue
from workers.upkeep import fan_out

assert workers.tasks.ingest.parse
assert workers.tasks.upkeep.sweep


@pytest.fixture
def app(world: World) -> Iterator[Celery]:
    """An app over the world's state whose queue is Celery's, as in `workers.main`."""
    app = create_celery(world.settings)
    world.connect(TaskQueue(app))
    app.paddock = SimpleNamespace(get=lambda: world.runtime)
    yield app
    app.close()


@pytest.fixture
def worker(app: Celery) -> Iterator[Any]:
    with start_worker(app, pool="threads", concurrency=2, perform_ping_check=False, queues=list(QUEUES)) as worker:
        yield worker


def wait_for_end(world: World, task_id: str, timeout_s: float = 30.0) -> dict[str, Any]:
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        body = world.status(task_id)
        if body["state"] in ("SUCCESS", "FAILURE") and world._all_cleaned():
            return body
        time.sleep(0.02)
    pytest.fail(f"task did not end: {world.states(task_id)}")


@pytest.fixture
def quiet_queue(world: World) -> Iterator[None]:
    """The world's own checks need a queue that is a list."""
    yield
    world.connect(RecordingQueue())


pytestmark = pytest.mark.usefixtures("quiet_queue")


def test_a_dataset_goes_through_a_real_worker(world: World, worker: Any) -> None:
    for index in range(5):
        world.upload(f"{index}.txt", f"Text number {index} about windmills.")
    task_id = world.start()
    body = wait_for_end(world, task_id)
    assert (body["state"], body["result"]["processed_files"]) == ("SUCCESS", 5)
    assert world.search("windmills")


def test_each_stage_has_its_queue_and_carries_ids_only(world: World, app: Celery) -> None:
    world.upload("a.txt", "secret text")
    task_id = world.start()
    (body,) = messages(app, "default")
    assert (body.headers["task"], body.payload[0]) == ("paddock.fan_out", [task_id])

    fan_out(world.runtime, task_id)
    (body,) = messages(app, "parse")
    (file_id,) = body.payload[0]
    assert (body.headers["task"], type(file_id)) == ("paddock.parse", int)
    run_parse(world.runtime, file_id)
    (body,) = messages(app, "embed")
    assert (body.headers["task"], body.payload[0]) == ("paddock.embed", [file_id])
    run_embed(world.runtime, file_id)
    (body,) = messages(app, "default")
    assert (body.headers["task"], body.payload[0]) == ("paddock.finish", [task_id])


def messages(app: Celery, queue: str) -> list[Any]:
    """Take what lies in a queue."""
    found = []
    with app.connection_for_read() as connection:
        simple = connection.SimpleQueue(queue)
        while simple.qsize():
            message = simple.get_nowait()
            message.ack()
            found.append(message)
        simple.close()
    return found


def test_messages_survive_the_death_of_their_worker(app: Celery) -> None:
    conf = app.conf
    assert (conf.task_acks_late, conf.task_reject_on_worker_lost, conf.worker_prefetch_multiplier) == (True, True, 1)
    assert conf.task_soft_time_limit < conf.task_time_limit < conf.broker_transport_options["visibility_timeout"]
    assert list(conf.accept_content) == ["json"]
    assert conf.task_serializer == "json"


def test_depth_counts_what_waits(world: World, app: Celery) -> None:
    queue = TaskQueue(app)
    before = queue.depth("parse")
    queue.send_stage("parse", [1, 2, 3])
    assert queue.depth("parse") == before + 3
    messages(app, "parse")


def test_a_worker_of_threads_that_must_end_leaves_what_is_in_hand_to_others(
    world: World, worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go = threading.Event(), threading.Event()

    def slow(*_: Any) -> None:
        entered.set()
        assert go.wait(10)

    monkeypatch.setattr("workers.tasks.ingest.run_parse", slow)
    world.upload("a.txt", "Windmills.")
    world.start()
    assert entered.wait(10)
    try:
        worker.consumer.cancel_active_requests()  # what SIGQUIT does
        assert {row.state for row in world.rows(TaskFileRow)} == {"queued"}
    finally:
        go.set()
    world.connect(RecordingQueue())
    monkeypatch.undo()
    world.settle()
    assert world.search("windmills")


FORGED: dict[str, tuple[str, list[Any]]] = {
    "unknown task": ("os.system", ["touch /tmp/owned"]),
    "unknown task of ours": ("paddock.drop_everything", []),
    "text for an id": ("paddock.parse", ["1 OR 1=1"]),
    "mapping for an id": ("paddock.parse", [{"id": 1}]),
    "list for an id": ("paddock.embed", [[1]]),
    "nothing for an id": ("paddock.embed", [None]),
    "an id that no column holds": ("paddock.parse", [10**30]),
    "too many arguments": ("paddock.parse", [1, 2, 3]),
    "a path for a task": ("paddock.finish", ["../../etc/passwd"]),
    "a mapping for a task": ("paddock.finish", [{"id": {"$ne": None}}]),
    "a number for a task": ("paddock.fan_out", [7]),
    "a list for a task": ("paddock.fan_out", [["a"]]),
}


def test_forged_messages_have_no_effect_and_the_worker_goes_on(world: World, app: Celery, worker: Any) -> None:
    for task_name, arguments in FORGED.values():
        for queue in QUEUES:
            app.send_task(task_name, args=arguments, queue=queue)
    publish_pickle(app, "parse")
    world.upload("a.txt", "an honest text")
    task_id = world.start()
    assert wait_for_end(world, task_id)["state"] == "SUCCESS"
    assert all(TaskQueue(app).depth(queue) == 0 for queue in QUEUES)
    assert not Bomb.exploded


class Bomb:
    exploded = False

    def __reduce__(self) -> Any:
        return _explode, ()


def _explode() -> None:
    Bomb.exploded = True


def publish_pickle(app: Celery, queue: str) -> None:
    with app.connection_for_write() as connection:
        producer = connection.Producer()
        producer.publish(
            pickle.dumps([[Bomb()], {}, {}]),
            exchange="",
            routing_key=queue,
            content_type="application/x-python-serialize",
            content_encoding="binary",
            headers={"task": "paddock.parse", "id": "forged"},
        )


def test_a_message_for_a_file_of_another_project_reads_only_what_its_row_names(
    world: World, app: Celery, worker: Any
) -> None:
    """Ids are all that a message carries: place, configuration and paths come from the row."""
    world.upload("a.txt", "an honest text")
    task_id = world.start()
    wait_for_end(world, task_id)
    stored = world.stored()
    app.send_task("paddock.parse", args=[1], kwargs={}, queue="parse")
    app.send_task("paddock.embed", args=[1], queue="embed")
    app.send_task("paddock.finish", args=[task_id], queue="default")
    until = time.monotonic() + 10
    while any(TaskQueue(app).depth(queue) for queue in QUEUES) and time.monotonic() < until:
        time.sleep(0.02)
    assert world.stored() == stored
    assert world.dispatcher.task_status(*PLACE, task_id)["state"] == "SUCCESS"


def test_the_queue_says_so_when_the_broker_does_not_answer(world: World) -> None:
    settings = world.settings.model_copy(update={"broker_url": "redis://127.0.0.1:1/0"})
    queue = TaskQueue(create_celery(settings))
    for call in (queue.check, lambda: queue.depth("parse"), lambda: queue.send("finish", "x")):
        started = time.monotonic()
        with pytest.raises(UpstreamError, match="does not answer"):
            call()
        assert time.monotonic() - started < 5
