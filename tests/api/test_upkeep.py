"""Rebuilding and moving databases over HTTP: what is started, and what is refused before a task is made."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from server.services.transfer import TransferService
from tests.api import test_maintenance as maintenance
from tests.api.helpers import assert_error, assert_ok
from tests.workers.world import PLACE, World

world = maintenance.world
hashes = maintenance.hashes
client = maintenance.client
RAG, ask, about = maintenance.RAG, maintenance.ask, maintenance.about
MAIN = f"{RAG}/databases/main"
pytestmark = pytest.mark.usefixtures("hashes")


def ended(client: TestClient, world: World, started: Any) -> dict[str, Any]:
    assert started.status_code == 202, started.text
    body = started.json()
    assert body["task_uri"].endswith(f"/v1/projects/acme/handbook/tasks/{body['task_id']}")
    world.settle()
    return dict(assert_ok(client.get(body["task_uri"])))


def test_a_rebuilt_database_answers_as_before(client: TestClient, world: World) -> None:
    before = about(ask(client, "What do llamas eat?"))
    task = ended(client, world, client.post(f"{MAIN}/rebuild"))
    assert task["state"] == "SUCCESS"
    assert task["result"]["chunks"] == len(before)
    assert about(ask(client, "What do llamas eat?")) == before


def test_a_copy_in_another_store_is_asked_like_any_database(client: TestClient, world: World) -> None:
    body = {"to": "QdrantStore", "config": {"path": "copy"}, "new_name": "copy"}
    task = ended(client, world, client.post(f"{MAIN}/migrate", json=body))
    assert task["state"] == "SUCCESS", task
    assert about(ask(client, "Which number?", database="copy")) == about(ask(client, "Which number?"))
    health = assert_ok(client.get(f"{RAG}/health?database=copy"))
    assert health["components"]["vector_store"]["status"] == "healthy"
    assert assert_ok(client.get(f"{RAG}/stats?database=copy"))["document_count"] == 3
    names = {each["filename"] for each in assert_ok(client.get(f"{RAG}/databases/copy/documents"))}
    assert names == set(maintenance.TEXTS)
    assert assert_ok(client.post(f"{RAG}/clear?database=copy"))["documents_cleared"] == 3


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({}, 400, "say where to"),
    ({"to": "FaissStore"}, 422, "ChromaStore, MemoryStore, QdrantStore"),
    ({"to": "MemoryStore", "config": {"collection_name": "x"}}, 400, "keeps nothing"),
    ({"to": "QdrantStore"}, 400, "set config.url"),
    ({"to": "QdrantStore", "config": {"url": "ftp://x"}}, 422, "http"),
    ({"to": "QdrantStore", "config": {"url": "http://169.254.169.254"}}, 422, "never"),
    ({"to": "QdrantStore", "config": {"path": "../up"}}, 422, "path"),
    ({"to": "QdrantStore", "config": {"path": "x", "shards": 3}}, 400, "'shards' has no effect"),
    ({"to": "QdrantStore", "config": {"path": "x", "shard_number": 0}}, 422, "shard_number"),
    ({"to": "QdrantStore", "config": {"path": "x"}, "new_name": "other"}, 409, "already exists"),
    ({"to": "QdrantStore", "config": {"path": "x"}, "new_name": "x", "drop_source": True}, 400, "one of them"),
    ({"drop_source": True}, 400, "left nothing behind"),
]


@pytest.mark.parametrize(("body", "status", "part"), REFUSED, ids=[each[2] for each in REFUSED])
def test_what_cannot_be_done_is_told_before_a_task_is_made(
    client: TestClient, world: World, body: dict[str, Any], status: int, part: str
) -> None:
    answer = client.post(f"{MAIN}/migrate", json=body)
    assert_error(answer, status)
    assert part in answer.json()["message"]
    assert len(assert_ok(client.get("/v1/projects/acme/handbook/tasks"))["tasks"]) == 1  # that of the fixture


def test_a_target_that_does_not_answer_is_told_before_a_task_is_made(client: TestClient, world: World) -> None:
    body = {"to": "QdrantStore", "config": {"url": "http://127.0.0.1:1"}}
    answer = client.post(f"{MAIN}/migrate", json=body)
    assert_error(answer, 503)
    assert "Qdrant at http://127.0.0.1:1 does not answer" in answer.json()["message"]
    assert len(assert_ok(client.get("/v1/projects/acme/handbook/tasks"))["tasks"]) == 1  # that of the fixture


def test_a_database_that_is_there_already_is_not_moved(client: TestClient, world: World) -> None:
    body = {"to": "QdrantStore", "config": {"path": "here"}}
    assert ended(client, world, client.post(f"{MAIN}/migrate", json=body))["state"] == "SUCCESS"
    assert_error(client.post(f"{MAIN}/migrate", json=body), 400)


@pytest.mark.parametrize("action", ["rebuild", "migrate"])
def test_a_database_that_does_not_exist_is_not_found(client: TestClient, action: str) -> None:
    assert_error(client.post(f"{RAG}/databases/nowhere/{action}", json={"to": "QdrantStore"}), 404)


def test_a_second_one_is_refused_while_the_first_goes_on(client: TestClient, world: World) -> None:
    first = client.post(f"{MAIN}/rebuild")
    refused = client.post(f"{MAIN}/rebuild")
    assert_error(refused, 409)
    assert first.json()["task_id"] in refused.json()["message"]
    assert_error(client.post(f"{RAG}/clear?database=main"), 409)
    assert_ok(client.delete(f"/v1/projects/acme/handbook/tasks/{first.json()['task_id']}"))
    world.settle()
    assert client.post(f"{MAIN}/rebuild").status_code == 202
    world.settle()


def test_an_import_is_refused_while_a_database_is_moved(client: TestClient, world: World) -> None:
    document = client.get(f"{RAG}/export?database=main").content
    task_id = client.post(f"{MAIN}/migrate", json={"to": "QdrantStore", "config": {"path": "m"}}).json()["task_id"]
    assert_error(client.post(f"{RAG}/import?database=main", content=document), 409, task_id)
    world.settle()
    assert assert_ok(client.post(f"{RAG}/import?database=main", content=document))["documents_imported"] == 3
    assert assert_ok(client.get(f"{RAG}/stats?database=main"))["document_count"] == 6


def test_a_database_that_is_imported_to_is_not_moved(
    client: TestClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = client.get(f"{RAG}/export?database=main").content
    show, answers = TransferService._show, []

    def meanwhile(*args: Any) -> None:
        answers.append(client.post(f"{MAIN}/rebuild"))
        show(*args)

    monkeypatch.setattr(TransferService, "_show", meanwhile)
    assert_ok(client.post(f"{RAG}/import?database=main", content=document))
    assert_error(answers[0], 409, "an import is writing to database 'main'")
    assert client.post(f"{MAIN}/rebuild").status_code == 202


def test_what_is_imported_goes_where_the_database_was_moved_while_the_body_came(
    client: TestClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = client.get(f"{RAG}/export?database=main").content
    spool = TransferService._spool

    async def moved_meanwhile(*args: Any) -> None:
        await spool(*args)
        monkeypatch.undo()
        world.dispatcher.start_upkeep(
            namespace=PLACE[0],
            project=PLACE[1],
            database="main",
            config=world.config,
            work={"action": "migrate", "type": "QdrantStore", "config": {"path": "late"}},
            title="x",
            chunk_count=1,
        )
        world.settle()

    monkeypatch.setattr(TransferService, "_spool", moved_meanwhile)
    assert assert_ok(client.post(f"{RAG}/import?database=main", content=document))["documents_imported"] == 3
    assert world.config.database("main").type == "QdrantStore"
    assert len({key for key, _ in world.store().generations()}) == 6
