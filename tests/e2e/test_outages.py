"""What stands behind the server goes away and comes back: Chroma, Redis, Ollama. Nothing that was accepted is lost,
every answer says what is missing, and what does not need the missing part works on.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.redis_binary import find_redis_server
from tests.e2e.system import (
    ProjectClient,
    System,
    assert_error,
    free_port,
    outcomes,
    running_system,
    wait_for,
)
from tests.fixtures.chroma import ChromaProcess
from tests.fixtures.fake_ollama import FakeOllama

LLM_TIMEOUT_S = 6
RECOVERY_S = 60.0
FACT = "The night train to Narvik leaves from platform nine."
QUESTION = "From which platform does the night train to Narvik leave?"


class RedisProcess:
    """A Redis that keeps nothing: after each start it is empty."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start, also again on the same port; one that runs is left alone."""
        if self._process is not None:
            return
        options = {
            "port": str(self._port),
            "bind": "127.0.0.1",
            "dir": str(self._folder),
            "save": "",
            "appendonly": "no",
        }
        command = [str(find_redis_server()), *(word for key, value in options.items() for word in (f"--{key}", value))]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@dataclass
class World:
    """A system whose stores and model server belong to the test."""

    system: System
    chroma: ChromaProcess
    redis: RedisProcess
    ollama: FakeOllama
    project: ProjectClient

    def chat(self, timeout_s: float = 30.0, session: str | None = None, **options: Any) -> httpx.Response:
        """One question to the model behind Ollama, without retrieval unless asked for."""
        body = chat_body(**options)
        headers = {"X-Session-ID": session} if session else {}
        path = f"{self.project.path}/chat/completions"
        return self.project.client.post(path, json=body, headers=headers, timeout=timeout_s)

    def stream(self, **options: Any) -> "Stream":
        """The same, streamed, read to its end."""
        body, found = chat_body(stream=True, **options), Stream()
        url = f"{self.system.url}{self.project.path}/chat/completions"
        with httpx.stream("POST", url, json=body, timeout=30) as response:
            assert response.status_code == 200, response.read()
            for line in response.iter_lines():
                found.add(line)
        return found

    def restored(self) -> None:
        self.ollama.behave()
        self.redis.start()
        self.system.wait_healthy()


@dataclass
class Stream:
    """What came, in order: `text`, `error`, `ping` and `done` in `kinds`, equal neighbours once."""

    kinds: list[str] = field(default_factory=list)
    text: str = ""
    error: dict[str, Any] = field(default_factory=dict)

    def add(self, line: str) -> None:
        if line == "data: [DONE]":
            self._note("done")
        elif line.startswith(":"):
            self._note("ping")
        elif line.startswith("data: "):
            self._add_event(json.loads(line.removeprefix("data: ")))

    def _add_event(self, event: dict[str, Any]) -> None:
        if "error" in event:
            self.error = event["error"]
            self._note("error")
        elif text := event["choices"][0]["delta"].get("content"):
            self.text += text
            self._note("text")

    def _note(self, kind: str) -> None:
        if self.kinds[-1:] != [kind]:
            self.kinds.append(kind)


def chat_body(text: str = "one two three four five six", **options: Any) -> dict[str, Any]:
    return {"model": "ollama", "rag_enabled": False, "messages": [{"role": "user", "content": text}], **options}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    chroma = ChromaProcess(tmp_path_factory.mktemp("own-chroma"))
    redis = RedisProcess(tmp_path_factory.mktemp("own-redis"))
    try:
        redis.start()
        chroma.start()
        with FakeOllama() as ollama:
            settings = {
                "LF_CHROMA_URL": chroma.url,
                "LF_REDIS_URL": redis.url,
                "OLLAMA_HOST": ollama.url,
                "LF_LLM_TIMEOUT_S": str(LLM_TIMEOUT_S),
                "LF_LEASE_S": "4",
                "LF_SWEEP_INTERVAL_S": "1",
                "LF_QUERY_DEADLINE_S": "10",
            }
            with running_system(tmp_path_factory.mktemp("outages"), **settings) as system:
                project = system.project("acme", "outages")
                project.create_dataset("facts")
                project.upload("facts", "train.txt", FACT.encode())
                assert project.process("facts")["state"] == "SUCCESS"
                yield World(system, chroma, redis, ollama, project)
    finally:
        chroma.kill()
        redis.kill()


@pytest.fixture
def world(running: World) -> Iterator[World]:
    running.restored()
    yield running
    running.restored()
    assert running.project.query(QUESTION, top_k=1)[0]["content"] == FACT


# -- Chroma ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def without_chroma(world: World) -> Iterator[World]:
    world.chroma.kill()
    yield world
    world.chroma.kill()
    world.chroma.start()


def test_without_chroma_every_answer_says_so_and_what_does_not_need_it_works(without_chroma: World) -> None:
    project, client = without_chroma.project, without_chroma.project.client
    asked = len(without_chroma.ollama.requests())
    started_at = time.monotonic()
    for question in ({"query": QUESTION, "retrieval_strategy": "basic_search"}, {"query": "xylophone"}):
        response = client.post(f"{project.path}/rag/query", json=question)
        assert_error(response, 503, "Chroma", without_chroma.chroma.url, "Check that it runs")
    for stream in (False, True):
        options = {"rag_enabled": True, "rag_retrieval_strategy": "basic_search", "stream": stream}
        response = without_chroma.chat(text=QUESTION, **options)
        assert_error(response, 503, "retrieval failed", "Chroma", "Check that it runs")
    assert time.monotonic() - started_at < 5
    assert len(without_chroma.ollama.requests()) == asked  # no model is asked without the sources

    by_words = client.post(f"{project.path}/rag/query", json={"query": QUESTION})
    assert by_words.json()["results"][0]["content"] == FACT
    assert "Chroma" in by_words.json()["notes"][0]
    reply = without_chroma.chat()
    assert reply.status_code == 200, reply.text
    status, parts = without_chroma.system.health()
    assert (status, parts["chroma"]["status"], parts["redis"]["status"]) == ("degraded", "unhealthy", "healthy")
    assert without_chroma.chroma.url in parts["chroma"]["message"]
    health = client.get(f"{project.path}/rag/health").json()
    assert health["status"] == "degraded"
    assert health["components"]["vector_store"]["status"] == "unhealthy"
    assert health["components"]["embeddings"]["status"] == "healthy"
    assert "Chroma" in health["issues"][0]


def test_files_wait_for_chroma_and_end_processed_when_it_is_back(without_chroma: World) -> None:
    project, client = without_chroma.project, without_chroma.project.client
    project.create_dataset("later")
    for number in range(3):
        project.upload("later", f"late-{number}.txt", f"The ferry number {number} to Bodø is late.".encode())
    task_id = project.start("later")

    def has_tried() -> bool:
        return any("Chroma" in str(each["error"]) for each in project.task(task_id)["meta"]["files"])

    wait_for(has_tried, 20, "a file was tried, and says what it waits for")
    assert project.task(task_id)["state"] in ("PENDING", "STARTED")

    without_chroma.chroma.start()
    task = project.wait(task_id, RECOVERY_S)
    assert task["state"] == "SUCCESS", task
    assert task["result"]["stored_count"] == 3
    found = {hit["content"] for hit in project.query("ferry to Bodø is late", top_k=10)}
    assert found >= {f"The ferry number {number} to Bodø is late." for number in range(3)}
    client.delete(f"{project.path}/datasets/later").raise_for_status()


def test_what_cannot_be_deleted_without_chroma_stays_whole(without_chroma: World) -> None:
    project, client = without_chroma.project, without_chroma.project.client
    (kept,) = project.files("facts")
    for path in (f"/datasets/facts/data/{kept['hash']}?remove_from_disk=true", "/datasets/facts", ""):
        assert_error(client.delete(f"{project.path}{path}"), 503, "Chroma", "Check that it runs")
    clear = {"action_type": "delete_dataset_chunks"}
    assert_error(client.post(f"{project.path}/datasets/facts/actions", json=clear), 503, "Chroma")
    without_chroma.chroma.start()
    assert project.files("facts") == [kept]
    assert project.query(QUESTION, top_k=1)[0]["content"] == FACT
    assert project.process("facts")["result"]["skipped_files"] == 1


# -- Redis ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def without_redis(world: World) -> Iterator[World]:
    world.redis.kill()
    yield world
    world.redis.kill()
    world.redis.start()


def test_without_redis_uploads_queries_and_chats_work_and_processing_says_when_to_come_back(
    without_redis: World,
) -> None:
    project, client = without_redis.project, without_redis.project.client
    project.create_dataset("queue")
    project.upload("queue", "a.txt", b"The harbour ice melts in April.")
    started_at = time.monotonic()
    response = client.post(f"{project.path}/datasets/queue/actions", json={"action_type": "process"})
    assert_error(response, 503, "broker", "lf server status", "nothing was lost")
    files = {"file": ("b.txt", b"The harbour office opens at seven.")}
    response = client.post(f"{project.path}/datasets/queue/data?auto_process=true", files=files)
    assert_error(response, 503, "broker")
    assert time.monotonic() - started_at < 10
    assert [each["original_file_name"] for each in project.files("queue")] == ["a.txt", "b.txt"]

    assert project.query(QUESTION, top_k=1)[0]["content"] == FACT
    reply = without_redis.chat(text=QUESTION, rag_enabled=True)
    assert reply.status_code == 200, reply.text
    status, parts = without_redis.system.health()
    assert (status, parts["redis"]["status"], parts["chroma"]["status"]) == ("degraded", "unhealthy", "healthy")
    assert "broker" in parts["redis"]["message"]

    without_redis.redis.start()
    without_redis.system.wait_healthy()
    task = project.process("queue")
    assert (task["state"], task["result"]["processed_files"]) == ("SUCCESS", 2)
    client.delete(f"{project.path}/datasets/queue").raise_for_status()


def test_a_redis_that_comes_back_empty_in_the_middle_of_a_task_costs_nothing(world: World) -> None:
    project, count = world.project, 60
    project.create_dataset("emptied")
    for number in range(count):
        text = f"Log entry {number}. " + f"The weather at station {number} was calm and clear. " * 20
        project.upload("emptied", f"log-{number}.txt", text.encode())
    task_id = project.start("emptied")
    wait_for(lambda: bool(project.task(task_id)["meta"]["current"] >= 3), 30, "some files are done")
    world.redis.kill()
    assert project.task(task_id)["state"] == "STARTED"
    assert FACT in [hit["content"] for hit in project.query(QUESTION)]
    world.redis.start()

    task = project.wait(task_id, RECOVERY_S)

    assert task["state"] == "SUCCESS", task
    assert task["result"]["processed_files"] == count
    stored = {name: info["stored_count"] for name, info in outcomes(task).items()}
    assert {each["original_file_name"]: each["chunk_count"] for each in project.files("emptied")} == stored
    hits = project.query("Log entry 7.", retrieval_strategy="keyword", top_k=100)
    ids = [hit["chunk_id"] for hit in hits]
    assert len(ids) == len(set(ids))
    project.client.delete(f"{project.path}/datasets/emptied").raise_for_status()


# -- Ollama ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_without_ollama_a_chat_is_refused_at_once_in_a_sentence(stream: bool, world: World) -> None:
    world.chat()  # what is loaded by the first use is not measured
    world.ollama.behave(refuse=True)
    started_at = time.monotonic()
    response = world.chat(stream=stream)
    assert time.monotonic() - started_at < 2
    assert_error(response, 503, "Ollama does not answer", world.ollama.url, "ollama serve")
    status, parts = world.system.health()
    assert (status, parts["ollama"]["status"]) == ("healthy", "unhealthy")  # it is not a part of this server
    assert world.project.query(QUESTION, top_k=1)[0]["content"] == FACT


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ({"busy_503": True}, ("busy", "try again")),
        ({"models": ["other:1b"]}, ("llama3.2:3b", "ollama pull")),
        ({"garbage_line": 0}, ("not part of an answer",)),
        ({"die_mid_stream": 0}, ("broke",)),
        ({"end_without_done": 0}, ("before it was complete",)),
    ],
    ids=["queue full", "model missing", "garbage", "cut off", "ended"],
)
def test_an_answer_that_fails_before_its_first_word_is_an_error_of_http(
    behaviour: dict[str, Any], words: tuple[str, ...], world: World
) -> None:
    world.ollama.behave(**behaviour)
    for stream in (False, True):
        assert_error(world.chat(stream=stream), 503, "Ollama", *words)


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ({"die_mid_stream": 3}, "broke"),
        ({"garbage_line": 3}, "not part of an answer"),
        ({"end_without_done": 3}, "before it was complete"),
    ],
    ids=["cut off", "garbage", "ended"],
)
def test_an_answer_that_breaks_off_ends_with_an_error_event_and_is_not_remembered(
    behaviour: dict[str, Any], words: str, world: World
) -> None:
    session = f"broken-{'-'.join(behaviour)}"
    assert world.chat(text="alpha", session=session).status_code == 200
    world.ollama.behave(**behaviour)
    url, headers = f"{world.system.url}{world.project.path}/chat/completions", {"X-Session-ID": session}
    found = Stream()
    with httpx.stream("POST", url, json=chat_body(stream=True), headers=headers, timeout=30) as response:
        for line in response.iter_lines():
            found.add(line)
    assert found.kinds == ["text", "error", "done"]
    assert found.text.split() == ["one", "two", "three"]
    assert words in found.error["message"]
    assert_error(world.chat(session=session), 503, words)

    world.ollama.behave()
    assert world.chat(text="omega", session=session).status_code == 200
    sent = world.ollama.requests("/api/chat")[-1]["body"]["messages"]
    assert [message["content"] for message in sent if message["role"] == "user"] == ["alpha", "omega"]
    history = world.project.client.get(f"{world.project.path}/chat/sessions/{session}/history").json()["messages"]
    assert [message["content"].strip() for message in history] == ["alpha", "alpha", "omega", "omega"]


def test_an_ollama_that_falls_silent_is_given_up_after_the_limit_with_heartbeats_until_then(world: World) -> None:
    """Silent before the first word, and after it; whole and streamed: all at once, since each takes the limit."""
    world.ollama.behave(delay_token_s=60)
    with ThreadPoolExecutor(4) as pool:
        after = pool.submit(world.stream)
        wait_for(lambda: world.ollama.state.open_count == 1, 5, "the first answer is under way")
        world.ollama.behave(hang=True)
        whole, streamed = pool.submit(world.chat), pool.submit(world.stream)
        response, before, after_first = whole.result(), streamed.result(), after.result()
    assert_error(response, 503, "LF_LLM_TIMEOUT_S", f"{LLM_TIMEOUT_S} s")
    assert response.elapsed.total_seconds() < LLM_TIMEOUT_S + 2
    assert (before.kinds, before.text) == (["error", "done"], "")
    assert after_first.kinds == ["text", "ping", "error", "done"]
    for each in (before, after_first):
        assert "LF_LLM_TIMEOUT_S" in each.error["message"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("behaviour", [{"delay_token_s": 30}, {"hang": True}], ids=["in the answer", "before it"])
def test_a_client_that_leaves_ends_the_work_of_ollama_within_a_second(
    behaviour: dict[str, Any], stream: bool, world: World
) -> None:
    world.ollama.behave(**behaviour)
    known, asked = len(world.ollama.departures()), len(world.ollama.requests())
    url = f"{world.system.url}{world.project.path}/chat/completions"
    limits = httpx.Timeout(10, read=1)
    with (
        pytest.raises(httpx.ReadTimeout),
        httpx.stream("POST", url, json=chat_body(stream=stream), timeout=limits) as response,
    ):
        response.read()
    left_at = time.time()
    assert len(world.ollama.requests()) == asked + 1
    assert world.ollama.wait_until(lambda: len(world.ollama.departures()) > known, 2)
    assert world.ollama.departures()[-1]["at"] - left_at < 1


def test_a_hundred_clients_that_leave_keep_nothing_busy(world: World) -> None:
    world.ollama.behave(delay_first_s=30)
    known = len(world.ollama.departures())

    def ask_and_leave(number: int) -> None:
        with pytest.raises(httpx.ReadTimeout):
            world.chat(timeout_s=0.3, stream=bool(number % 2))

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(ask_and_leave, range(100)))
    assert world.ollama.wait_until(lambda: world.ollama.state.open_count == 0, 10)
    assert len(world.ollama.departures()) > known
    world.ollama.behave()
    assert world.chat().status_code == 200
