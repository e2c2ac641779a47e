"""Four API processes over one data directory: whichever answers, the answer is the same."""

import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import httpx
import psutil
import pytest

from tests.e2e.system import API_PROCESSES, ProjectClient, System, assert_error, outcomes, wait_for

AT_ONCE = 8
TEXT = b"The harbour master is called Ingrid Solberg. The lighthouse was built in 1871."
QUESTION = "Who is the harbour master?"

Result = TypeVar("Result")


@pytest.fixture(scope="module")
def project(system: System) -> ProjectClient:
    project = system.project("acme", "harbour")
    project.create_dataset("notes")
    return project


def at_once(system: System, ask: Callable[[httpx.Client, int], Result], count: int = AT_ONCE) -> list[Result]:
    """The answers to `count` requests at the same time, each over a connection of its own."""

    def one(number: int) -> Result:
        with httpx.Client(base_url=system.url, timeout=60) as client:
            return ask(client, number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def pids(system: System) -> set[int]:
    """Of the processes that answered some requests."""

    def ask(client: httpx.Client, _: int) -> int:
        components = client.get("/health").json()["components"]
        return int(next(each["details"]["pid"] for each in components if each["name"] == "server"))

    return set(at_once(system, ask, 4 * API_PROCESSES))


def chat(client: httpx.Client, project: ProjectClient, text: str, session: str | None = None) -> httpx.Response:
    headers = {} if session is None else {"X-Session-ID": session}
    body = {"messages": [{"role": "user", "content": text}]}
    return client.post(f"{project.path}/chat/completions", json=body, headers=headers)


def test_several_processes_answer_and_all_are_warm(system: System) -> None:
    found: set[int] = set()
    wait_for(lambda: len(found.update(pids(system)) or found) > 1, 30, "a second process has answered")
    healths = at_once(system, lambda client, _: client.get("/health").json(), 2 * API_PROCESSES)
    states = {each["status"] for health in healths for each in health["components"] if each["name"] != "ollama"}
    assert states == {"healthy"}


def test_the_same_file_uploaded_at_once_is_stored_once_and_found_everywhere(
    system: System, project: ProjectClient
) -> None:
    url = f"{project.path}/datasets/notes/data"
    answers = at_once(system, lambda client, _: client.post(url, files={"file": ("a.txt", TEXT)}))
    assert {each.status_code for each in answers} == {200}
    assert len({each.json()["hash"] for each in answers}) == 1
    assert len(project.files("notes")) == 1
    ended = project.process("notes")
    assert (ended["state"], outcomes(ended)["a.txt"]["status"]) == ("SUCCESS", "processed")
    task = f"{project.path}/tasks/{ended['task_id']}"
    assert {each["state"] for each in at_once(system, lambda client, _: client.get(task).json())} == {"SUCCESS"}
    query = {"query": QUESTION}
    found = at_once(system, lambda client, _: client.post(f"{project.path}/rag/query", json=query).json()["results"])
    assert all(hits[0]["content"] == TEXT.decode() for hits in found)


def test_of_editors_that_saw_the_same_version_one_wins(system: System, project: ProjectClient) -> None:
    read = system.client.get(project.path)
    config, etag = read.json()["project"]["config"], read.headers["ETag"]

    def write(client: httpx.Client, number: int) -> httpx.Response:
        house = {"name": "house", "messages": [{"role": "system", "content": f"editor {number}"}]}
        prompts = [*config["prompts"], house]
        body = {"config": {**config, "prompts": prompts}}
        return client.put(project.path, json=body, headers={"If-Match": etag})

    answers = at_once(system, write)
    assert sorted(each.status_code for each in answers) == [200] + [412] * (AT_ONCE - 1), answers[0].text
    (winner,) = [each for each in answers if each.status_code == 200]
    for each in answers:
        if each is not winner:
            assert_error(each, 412)
    seen = at_once(system, lambda client, _: client.get(project.path))
    assert {each.headers["ETag"] for each in seen} == {winner.headers["ETag"]}
    kept = {json.dumps(each.json()["project"]["config"]["prompts"]) for each in seen}
    assert kept == {json.dumps(winner.json()["project"]["config"]["prompts"])}


def test_messages_of_one_session_are_answered_one_after_the_other(system: System, project: ProjectClient) -> None:
    answers = at_once(system, lambda client, number: chat(client, project, f"Question {number}?", "shared"))
    assert {each.status_code for each in answers} == {200}
    url = f"{project.path}/chat/sessions/shared/history"
    histories = at_once(system, lambda client, _: client.get(url).json()["messages"])
    assert all(history == histories[0] for history in histories)
    assert [each["role"] for each in histories[0]] == ["user", "assistant"] * AT_ONCE
    asked = {each["content"] for each in histories[0][::2]}
    assert asked == {f"Question {number}?" for number in range(AT_ONCE)}
    (listed,) = system.client.get(f"{project.path}/chat/sessions").json()["sessions"]
    assert (listed["session_id"], listed["live"], listed["message_count"]) == ("shared", True, 2 * AT_ONCE)


def test_every_chat_of_every_process_is_in_the_log(system: System, project: ProjectClient) -> None:
    url = f"{project.path}/event_logs"

    def total() -> int:
        return int(system.client.get(url, params={"type": "inference"}).json()["total"])

    before = total()
    at_once(system, lambda client, number: chat(client, project, f"Who built the lighthouse, {number}?"))
    wait_for(lambda: total() == before + AT_ONCE, 5, "every chat is in the log")
    pages = at_once(system, lambda client, _: client.get(url, params={"limit": 100}).json())
    assert all(page == pages[0] for page in pages)
    ids = [each["event_id"] for each in pages[0]["events"]]
    assert len(set(ids)) == len(ids)
    (processed,) = [each for each in pages[0]["events"] if each["type"] == "rag_processing"]
    details: list[Any] = at_once(system, lambda client, _: client.get(f"{url}/{processed['event_id']}").json())
    assert {each["events"][-1]["event_name"] for each in details} == {"processing_complete"}


def test_a_process_that_is_killed_is_replaced_and_its_session_goes_on(system: System, project: ProjectClient) -> None:
    chat(system.client, project, "Remember this.", "survivor")
    parent = psutil.Process(int(system.parts()["api"]["pid"]))
    serving = {each.pid for each in parent.children() if each.pid in pids(system)}
    os.kill(serving.pop(), signal.SIGKILL)

    def answers() -> bool:
        try:
            with httpx.Client(base_url=system.url, timeout=60) as client:
                return chat(client, project, "What was that?", "survivor").status_code == 200
        except httpx.TransportError:
            return False  # the connection was with the one that died

    wait_for(answers, 30, "another process answers")
    history = system.client.get(f"{project.path}/chat/sessions/survivor/history").json()["messages"]
    assert [each["content"] for each in history if each["role"] == "user"] == ["Remember this.", "What was that?"]
    wait_for(lambda: len(parent.children()) >= API_PROCESSES, 30, "the process is replaced")
    assert system.parts()["api"]["restarts"] == 0
