"""Starting an evaluation: what is wrong with one is told before a task is made."""

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from rag.errors import OverloadedError, UpstreamError
from server.parts import Engine
from state.tables import FileRow
from tests.api.conftest import PROJECT, MakeClient
from tests.api.fakes import FakeDispatcher
from tests.api.helpers import assert_error, assert_ok

GOOD: dict[str, Any] = {"question": "how long is leave", "expected_files": ["letter.pdf"]}


def add_chunks(engine: Engine, count: int = 3) -> None:
    with engine.database.write() as session:
        place = {"namespace": "org", "project": "bot", "dataset": "docs", "database": "main_db"}
        row = FileRow(**place, file_hash="ab" * 32, filename="letter.pdf", live_generation="g", chunk_count=count)
        row.updated_at = 0.0
        session.add(row)


@pytest.fixture
def url(engine: Engine, project: str) -> str:
    add_chunks(engine)
    return f"{project}/rag/evaluate"


def dispatcher(engine: Engine) -> FakeDispatcher:
    found: Any = engine.dispatcher
    return found  # type: ignore[no-any-return]  # the engine of tests has this one


def test_an_evaluation_is_started_as_a_task_that_can_be_polled(client: TestClient, engine: Engine, url: str) -> None:
    response = client.post(url, json={"questions": [GOOD, GOOD], "k": [5, 1, 5], "chunkings": ["headings:400"]})
    assert response.status_code == 202
    body = response.json()
    assert body["task_uri"].endswith(f"/v1/projects/org/bot/tasks/{body['task_id']}")
    assert_ok(client.get(body["task_uri"]))
    # basic and other are strategies of the database; semantic is the same as they are
    assert (body["question_count"], body["configuration_count"]) == (2, 2 * 5)
    (started,) = dispatcher(engine).options
    assert started["database"] == "main_db"
    assert started["request"]["k"] == [1, 5]
    assert started["request"]["questions"] == [GOOD, GOOD]


def test_questions_can_be_made_instead_of_given(client: TestClient, engine: Engine, url: str) -> None:
    body = client.post(url, json={"synthetic": {"count": 30, "seed": 7}, "strategies": ["keyword"]}).json()
    assert (body["question_count"], body["configuration_count"]) == (30, 2)
    assert dispatcher(engine).options[0]["request"]["synthetic"] == {"count": 30, "seed": 7, "model": None}


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({}, 422, "either questions or synthetic"),
        ({"questions": [GOOD], "synthetic": {}}, 422, "either questions or synthetic"),
        ({"questions": []}, 422, "questions is empty"),
        ({"questions": [GOOD, {"question": "q"}]}, 422, "questions[1]: expected_files or expected_passages is missing"),
        ({"questions": [{**GOOD, "expected": 1}]}, 422, "questions[0]: 'expected' is not known"),
        ({"questions": [{"question": {"deep": []}, "expected_files": ["a"]}]}, 422, "questions[0]: question"),
        ({"questions": [GOOD], "k": [0]}, 422, "k: each is from 1 to 100"),
        ({"questions": [GOOD], "k": []}, 422, "k"),
        ({"questions": [GOOD], "strategy": "x"}, 422, "strategy"),
        ({"questions": [GOOD], "database": "nope"}, 404, "Database 'nope' not found"),
        ({"questions": [GOOD], "strategies": ["best"]}, 404, "Retrieval strategy 'best' not found"),
        ({"questions": [GOOD], "chunkings": ["thin"]}, 404, "chunking 'thin' not found"),
        ({"questions": [GOOD], "chunkings": ["headings:many"]}, 400, "chunk_size is a whole number"),
        ({"questions": [GOOD], "chunkings": [f"headings:{n}" for n in range(100, 130)]}, 400, "at most 64"),
        ({"questions": [GOOD], "database": "second_db"}, 400, "holds no chunks yet"),
        ({"synthetic": {"model": "default"}}, 400, "writes no questions"),
        ({"synthetic": {"model": "nope"}}, 400, "nope"),
        ({"synthetic": {"count": 100_001}}, 422, "count"),
        ({"synthetic": {"count": 1001}}, 413, "LF_EVAL_MAX_QUESTIONS"),
        ({"questions": [GOOD] * 1001}, 413, "LF_EVAL_MAX_QUESTIONS"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_and_nothing_is_started(
    client: TestClient, engine: Engine, url: str, body: dict[str, Any], status: int, told: str
) -> None:
    response = client.post(url, json=body)
    assert_error(response, status)
    assert told in response.text
    assert dispatcher(engine).options == []


def test_cutting_anew_is_bounded_by_the_chunks_there_are(make_client: MakeClient) -> None:
    client = make_client(eval_max_chunks=2)
    engine: Engine = client.app.state.services.engine
    folder = engine.settings.projects_dir / "org" / "bot"
    folder.mkdir(parents=True)
    (folder / "llamafarm.yaml").write_text(json.dumps(PROJECT), encoding="utf-8")
    add_chunks(engine, 3)
    url = "/v1/projects/org/bot/rag/evaluate"
    response = client.post(url, json={"questions": [GOOD], "chunkings": ["headings"]})
    assert_error(response, 413)
    assert "LF_EVAL_MAX_CHUNKS" in response.text
    assert client.post(url, json={"questions": [GOOD]}).status_code == 202


@pytest.mark.parametrize(("failure", "status"), [(OverloadedError("busy"), 429), (UpstreamError("away"), 503)])
def test_a_server_that_is_busy_or_without_its_queue_says_so(
    client: TestClient, engine: Engine, url: str, failure: Exception, status: int
) -> None:
    dispatcher(engine).failure = failure
    assert_error(client.post(url, json={"questions": [GOOD]}), status)


def test_a_project_that_is_not_there_is_not_found(client: TestClient) -> None:
    assert_error(client.post("/v1/projects/no/body/rag/evaluate", json={"questions": [GOOD]}), 404)
