"""The calls of the original's command line, a Go program, decoded as strictly as it decodes them."""

import json
import uuid
from typing import Any

import httpx
import pytest

from config.settings import Settings
from tests.e2e.go_wire import decode, error_text, events
from tests.e2e.system import ProjectClient, System, wait_for

COMPONENT = {
    "name": "string", "status": "string", "message": "string", "latency_ms": "int",
    "details": "object", "runtime": "object",
}  # fmt: skip
HEALTH = {
    "status": "string", "summary": "string", "timestamp": "int", "components": [COMPONENT], "seeds": [COMPONENT],
}  # fmt: skip
SERVICES = ("server", "universal-runtime", "rag-service")
PROJECTS = {"total": "int", "projects": [{"namespace": "string", "name": "string"}]}
MODELS = {
    "models": [{"name": "string", "description": "string", "provider": "string", "model": "string", "default": "bool"}]
}
FILE = {
    "original_file_name": "string", "resolved_file_name": "string", "timestamp": "float", "size": "int",
    "mime_type": "string", "hash": "string", "chunk_count": "int",
}  # fmt: skip
DATASET = {"name": "string", "data_processing_strategy": "string", "database": "string"}
DATASETS = {"total": "int", "datasets": [{**DATASET, "files": ["string"], "details": {"files_metadata": [FILE]}}]}
STRATEGIES = {"data_processing_strategies": ["string"], "databases": ["string"]}
UPLOAD = {"filename": "string", "hash": "string", "skipped": "bool", "processed": "bool", "task_id": "string"}
BULK = {"uploaded": "int", "skipped": "int", "failed": "int", "task_id": "string", "status": "string"}
ACTION = {"message": "string", "task_uri": "string", "task_id": "string"}
TASK = {"task_id": "string", "state": "string", "result": "any", "error": "string", "traceback": "string"}
COUNTS = {"processed_files": "int", "skipped_files": "int", "failed_files": "int", "details": ["any"]}
OUTCOME = {
    "filename": "string", "status": "string", "parser": "string", "extractors": ["string"], "chunks": "int",
    "chunk_size": "int", "embedder": "string", "reason": "string", "error": "string", "result": {"filename": "string"},
}  # fmt: skip
HIT = {"content": "string", "score": "float", "metadata": "object", "chunk_id": "string", "document_id": "string"}
FOUND = {
    "query": "string", "results": [HIT], "total_results": "int", "processing_time_ms": "float",
    "retrieval_strategy_used": "string", "database_used": "string",
}  # fmt: skip
RAG_COMPONENT = {"name": "string", "status": "string", "latency_ms": "float", "message": "string"}
RAG_HEALTH = {
    "status": "string", "database": "string", "components": ("map", RAG_COMPONENT), "last_check": "time",
    "issues": ["string"],
}  # fmt: skip
STATS = {
    "database": "string", "vector_count": "int", "document_count": "int", "chunk_count": "int",
    "collection_size_bytes": "int", "index_size_bytes": "int", "embedding_dimension": "int",
    "distance_metric": "string", "last_updated": "time", "metadata": "object",
}  # fmt: skip
DOCUMENTS = [
    {
        "id": "string", "filename": "string", "chunk_count": "int", "size_bytes": "int", "parser_used": "string",
        "date_ingested": "time", "metadata": "object",
    }
]  # fmt: skip
DATABASES = {
    "default_database": "string",
    "databases": [
        {
            "name": "string", "type": "string", "is_default": "bool",
            "retrieval_strategies": [{"name": "string", "type": "string", "is_default": "bool"}],
        }
    ],
}  # fmt: skip
HISTORY = {
    "messages": [
        {
            "role": "string", "content": "string", "tool_call_id": "string",
            "tool_calls": [{"id": "string", "type": "string", "function": {"name": "string", "arguments": "string"}}],
        }
    ]
}  # fmt: skip
DELTA = {
    "content": "string",
    "tool_calls": [
        {"index": "int", "id": "string", "type": "string", "function": {"name": "string", "arguments": "string"}}
    ],
}
CHUNK = {"choices": [{"delta": DELTA, "finish_reason": "string"}]}
STREAM_HEADERS = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}


@pytest.fixture(scope="module")
def made(system: System) -> ProjectClient:
    """`lf init`, then `lf datasets create NAME FILES`: the calls in their order."""
    made = go(system.client.post("/v1/projects/gophers", json={"name": "farm", "config_template": "server"}))
    assert made["project"]["name"] == "farm"
    project = ProjectClient(system.client, "/v1/projects/gophers/farm")
    names = decode(STRATEGIES, go(system.client.get(f"{project.path}/datasets/strategies")))
    wanted = {
        "name": "notes",
        "data_processing_strategy": names["data_processing_strategies"][-1],
        "database": names["databases"][0],
    }
    created = go(system.client.post(f"{project.path}/datasets/", json=wanted))
    assert decode({"dataset": DATASET}, created)["dataset"] == wanted
    for name, text in (("a.md", "# Barn\n\nThe barn door is 4 metres wide."), ("b.txt", "The tractor is green.")):
        assert not decode(UPLOAD, upload(project, name, text))["skipped"]
    assert decode(UPLOAD, upload(project, "again.md", "# Barn\n\nThe barn door is 4 metres wide."))["skipped"]
    return project


@pytest.fixture(scope="module")
def processed(made: ProjectClient) -> ProjectClient:
    follow(made, process(made))
    return made


def go(response: httpx.Response) -> Any:
    """Exactly 200, as the command line demands nearly everywhere."""
    assert response.status_code == 200, response.text
    return response.json()


def upload(project: ProjectClient, name: str, text: str) -> Any:
    return go(project.client.post(f"{project.path}/datasets/notes/data", files={"file": (name, text.encode())}))


def process(project: ProjectClient) -> str:
    answer = go(project.client.post(f"{project.path}/datasets/notes/actions", json={"action_type": "process"}))
    started = decode(ACTION, answer)
    assert started["task_id"]
    return str(started["task_id"])


def follow(project: ProjectClient, task_id: str) -> dict[str, Any]:
    """Poll as the command line does; it gives up at any state it does not know."""
    seen: list[dict[str, Any]] = []

    def ended() -> bool:
        seen.append(decode(TASK, go(project.client.get(f"{project.path}/tasks/{task_id}"))))
        assert seen[-1]["state"] in ("PENDING", "STARTED", "PROGRESS", "SUCCESS", "FAILURE"), seen[-1]
        return seen[-1]["state"] in ("SUCCESS", "FAILURE")

    wait_for(ended, 240, f"task {task_id} has ended")
    return seen[-1]


def test_point_1_health_lets_every_command_run(system: System) -> None:
    response = system.client.get("/health", timeout=10)
    health = decode(HEALTH, go(response))
    assert health["status"].lower() == "healthy"
    by_name = {each["name"].lower(): each for each in health["components"]}
    assert {name: by_name[name]["status"].lower() for name in SERVICES} == dict.fromkeys(SERVICES, "healthy")
    for each in health["components"]:
        details = each["details"]
        assert "uptime" not in details, "any value of it makes `lf services status` panic"
        assert isinstance(details.get("pid", 1), int | float)
        assert isinstance(details.get("log_file", ""), str)


def test_point_2_the_yaml_is_read_anew_after_the_command_line_wrote_it(system: System) -> None:
    system.client.post("/v1/projects/gophers", json={"name": "synced", "config_template": "server"})
    yaml = system.data_dir / "projects" / "gophers" / "synced" / "llamafarm.yaml"
    before = yaml.read_text(encoding="utf-8")
    written = yaml.with_suffix(".tmp")
    written.write_text(before.replace("- name: default", "- name: edited", 1), encoding="utf-8")
    written.replace(yaml)
    answer = go(system.client.get("/v1/projects/gophers/synced/models"))
    assert "edited" in [each["name"] for each in decode(MODELS, answer)["models"]]


def test_points_3_and_6_create_and_upload_answer_exactly_200_with_skipped(made: ProjectClient) -> None:
    listed = go(made.client.get(f"{made.path}/datasets/", params={"include_extra_details": "true"}))
    (dataset,) = [each for each in decode(DATASETS, listed)["datasets"] if each["name"] == "notes"]
    assert len(dataset["details"]["files_metadata"]) == 2  # what `lf datasets list` counts


def test_point_4_both_forms_of_the_listing(made: ProjectClient) -> None:
    for form in ("datasets/", "datasets"):
        response = made.client.get(f"{made.path}/{form}", params={"include_extra_details": "false"})
        listed = decode(DATASETS, go(response))
        assert response.history == []
        (dataset,) = [each for each in listed["datasets"] if each["name"] == "notes"]
        assert len(dataset["files"]) == 2


def test_point_5_strategies_are_names(made: ProjectClient) -> None:
    names = decode(STRATEGIES, go(made.client.get(f"{made.path}/datasets/strategies")))
    assert names["data_processing_strategies"]
    assert names["databases"]


def test_point_7_a_task_ends_with_counts_and_pairs(processed: ProjectClient) -> None:
    task = follow(processed, process(processed))
    assert task["state"] == "SUCCESS"
    counts = decode(COUNTS, task["result"])
    assert counts["processed_files"] + counts["skipped_files"] == 2
    assert counts["failed_files"] == 0
    for pair in counts["details"]:
        success, info = pair
        assert isinstance(success, bool)
        outcome = decode(OUTCOME, info)
        assert outcome["status"] in ("processed", "skipped", "failed")
        assert outcome["filename"] in ("a.md", "b.txt") or outcome["result"]["filename"] in ("a.md", "b.txt")


def test_point_7_a_file_that_fails_is_told_in_the_same_shape(system: System) -> None:
    project = system.project("gophers", "broken")
    project.create_dataset("notes")
    upload(project, "bad.pdf", "%PDF-1.7\nbroken off")
    task = follow(project, process(project))
    counts = decode(COUNTS, task["result"])
    assert counts["failed_files"] == 1
    ((success, info),) = counts["details"]
    assert success is False
    assert decode(OUTCOME, info)["error"] or info["reason"]
    assert task["error"]


def test_point_8_one_off_chat_streams_to_done(processed: ProjectClient) -> None:
    body = {
        "messages": [{"role": "user", "content": "How wide is the barn door?"}], "stream": True, "rag_enabled": True,
        "rag_top_k": 5, "rag_retrieval_strategy": strategy_of(processed), "modalities": ["text"],
    }  # fmt: skip
    headers = {**STREAM_HEADERS, "X-No-Session": "true"}
    response = processed.client.post(f"{processed.path}/chat/completions", json=body, headers=headers)
    assert response.status_code == 200, response.text
    payloads = events(response.text)
    assert payloads[-1] == "[DONE]"
    chunks = [decode(CHUNK, json.loads(payload)) for payload in payloads[:-1]]
    text = "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks if chunk["choices"])
    assert "4 metres" in text
    assert "x-session-id" not in response.headers


def strategy_of(project: ProjectClient) -> str:
    databases = decode(DATABASES, go(project.client.get(f"{project.path}/rag/databases")))
    assert databases["default_database"] == databases["databases"][0]["name"]
    (default,) = [each for each in databases["databases"][0]["retrieval_strategies"] if each["is_default"]]
    return str(default["name"])


def test_point_8_an_interactive_session_begins_with_the_clients_id(processed: ProjectClient) -> None:
    """`lf start`: models, databases, datasets, history, chat, history again, /clear."""
    session = f"{processed.path}/chat/sessions/{(session_id := str(uuid.uuid4()))}"
    models = decode(MODELS, go(processed.client.get(f"{processed.path}/models")))["models"]
    assert [each["default"] for each in models].count(True) == 1
    assert decode(HISTORY, go(processed.client.get(f"{session}/history", timeout=2)))["messages"] == []
    headers = {**STREAM_HEADERS, "X-Session-ID": session_id}
    body = {"messages": [{"role": "user", "content": "What colour is the tractor?"}], "stream": True}
    response = processed.client.post(f"{processed.path}/chat/completions", json=body, headers=headers)
    assert response.headers["X-Session-ID"] == session_id
    assert events(response.text)[-1] == "[DONE]"
    history = decode(HISTORY, go(processed.client.get(f"{session}/history", timeout=2)))["messages"]
    assert [each["role"] for each in history] == ["user", "assistant"]
    go(processed.client.delete(session))
    assert decode(HISTORY, go(processed.client.get(f"{session}/history")))["messages"] == []


def test_point_9_a_chat_without_session_leaves_none(processed: ProjectClient) -> None:
    go(processed.client.delete(f"{processed.path}/chat/sessions"))
    body = {"messages": [{"role": "user", "content": "Hello"}]}
    go(processed.client.post(f"{processed.path}/chat/completions", json=body, headers={"X-No-Session": "true"}))
    assert go(processed.client.delete(f"{processed.path}/chat/sessions"))["count"] == 0


def test_points_10_and_11_health_stats_and_documents_have_zoned_times(processed: ProjectClient) -> None:
    database = go(processed.client.get(f"{processed.path}/rag/databases"))["default_database"]
    asked = {"database": database}
    health = decode(RAG_HEALTH, go(processed.client.get(f"{processed.path}/rag/health", params=asked)))
    assert health["status"] == "healthy"
    assert {"vector_store", "embeddings"} <= set(health["components"])
    stats = decode(STATS, go(processed.client.get(f"{processed.path}/rag/stats", params=asked)))
    assert stats["document_count"] == 2
    assert stats["vector_count"] == stats["chunk_count"] > 0
    listing = processed.client.get(f"{processed.path}/rag/databases/{database}/documents", params={"limit": 50})
    documents = decode(DOCUMENTS, go(listing))
    assert [each["filename"] for each in documents] == ["a.md", "b.txt"]
    some = {"limit": 50, "filter": "filename:b.txt"}
    listing = processed.client.get(f"{processed.path}/rag/databases/{database}/documents", params=some)
    assert [each["filename"] for each in decode(DOCUMENTS, go(listing))] == ["b.txt"]


def test_a_query_as_the_command_line_sends_it(processed: ProjectClient) -> None:
    body = {
        "query": "How wide is the barn door?", "top_k": 5, "hybrid_alpha": 0.5, "query_expansion": False,
        "metadata_filters": {"filename": "a.md"}, "a_key_of_the_future": 1,
    }  # fmt: skip
    found = decode(FOUND, go(processed.client.post(f"{processed.path}/rag/query", json=body)))
    assert "4 metres" in found["results"][0]["content"]
    assert {hit["metadata"]["filename"] for hit in found["results"]} == {"a.md"}


def test_point_12_a_pull_without_a_hub_ends_with_an_error_it_can_show(system: System) -> None:
    """`done` is asserted against a hub of its own in tests/api/test_model_cache.py; here there is no network."""
    body = {"provider": "universal", "model_name": "nobody/nothing"}
    with system.client.stream("POST", "/v1/models/download", json=body, headers=STREAM_HEADERS) as response:
        text = response.read().decode()
    assert response.status_code == 200, text
    told = [json.loads(payload) for payload in events(text) if payload != "[DONE]"]
    (error,) = [each for each in told if each["event"] == "error"]
    assert isinstance(error["message"], str)
    assert "done" not in [each["event"] for each in told]


def test_models_status_finds_the_models_by_id(system: System) -> None:
    listed = go(system.client.get("/v1/models"))
    shape = {"data": [{"id": "string", "name": "string", "size": "int", "path": "string"}]}
    assert all(each["id"] for each in decode(shape, listed)["data"])


@pytest.mark.parametrize(
    ("method", "path", "body", "told"),
    [
        ("GET", "/v1/projects/gophers/nowhere/models", None, "gophers/nowhere"),
        ("POST", "/v1/projects/gophers", {"name": "farm"}, "already exists"),
        ("DELETE", "/v1/projects/gophers/farm/datasets/nope", None, "nope"),
        ("GET", "/v1/projects/gophers/farm/tasks/nope", None, "nope"),
        ("POST", "/v1/projects/gophers/farm/rag/query", {"query": "x", "database": "nope"}, "nope"),
    ],
)
@pytest.mark.usefixtures("made")
def test_point_13_errors_print_as_one_sentence(
    system: System, method: str, path: str, body: dict[str, Any] | None, told: str
) -> None:
    response = system.client.request(method, path, json=body)
    assert response.status_code >= 400
    printed = error_text(response.text)
    assert told in printed
    assert not printed.startswith("{")
    content = response.json()
    assert isinstance(content["message"], str)
    assert isinstance(content["error"], str)


def test_point_14_the_default_port_is_8000(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LF_PORT", "PORT"):
        monkeypatch.delenv(name, raising=False)
    assert Settings(_env_file=None).port == 8000


def test_bulk_upload_counts_what_became_of_each(processed: ProjectClient) -> None:
    files = [("files", (f"{index}.txt", f"bulk {index}".encode())) for index in range(3)]
    files.append(("files", ("b.txt", b"The tractor is green.")))
    url = f"{processed.path}/datasets/notes/data/bulk"
    counted = decode(BULK, go(processed.client.post(url, params={"auto_process": "false"}, files=files)))
    assert (counted["uploaded"], counted["skipped"], counted["failed"]) == (3, 1, 0)


def test_projects_are_listed_and_deleted(system: System) -> None:
    system.project("gophers-too", "short-lived")
    listed = decode(PROJECTS, go(system.client.get("/v1/projects/gophers-too")))
    assert listed == {"total": 1, "projects": [{"namespace": "gophers-too", "name": "short-lived"}]}
    go(system.client.delete("/v1/projects/gophers-too/short-lived"))
    assert decode(PROJECTS, go(system.client.get("/v1/projects/gophers-too"))) == {"total": 0, "projects": []}


def test_datasets_are_deleted(system: System) -> None:
    project = system.project("gophers", "shrinking")
    project.create_dataset("gone")
    assert decode({"dataset": DATASET}, go(system.client.delete(f"{project.path}/datasets/gone")))
    listed = decode(DATASETS, go(system.client.get(f"{project.path}/datasets/")))
    assert "gone" not in [each["name"] for each in listed["datasets"]]


MAINTENANCE: dict[str, tuple[str, dict[str, str], Any, dict[str, Any]]] = {
    "rag/compact": (
        "POST", {}, None,
        {
            "success": "bool", "vectors_before": "int", "vectors_after": "int", "space_saved_bytes": "int",
            "duration_seconds": "float", "message": "string",
        },
    ),
    "rag/reindex": (
        "POST", {}, None,
        {
            "success": "bool", "documents_processed": "int", "chunks_created": "int", "duration_seconds": "float",
            "errors": ["string"],
        },
    ),
    "rag/delete/preview": ("POST", {}, {"filenames": ["a.md"]}, {"count": "int"}),
    "rag/delete": (
        "POST", {}, {"filenames": ["a.md"]},
        {"success": "bool", "documents_deleted": "int", "chunks_deleted": "int", "errors": ["string"]},
    ),
    "rag/prune/preview": (
        "GET", {}, None, {"duplicates": "int", "orphaned": "int", "corrupted": "int", "total_to_remove": "int"},
    ),
    "rag/prune": (
        "POST", {}, None, {"success": "bool", "removed": "int", "duration_seconds": "float", "errors": ["string"]},
    ),
    "rag/export": (
        "GET", {"metadata_only": "true"}, None,
        {
            "version": "string", "export_date": "string", "database": "string", "metadata": "object",
            "documents": [{"id": "string", "content": "string", "embedding": ["float"], "metadata": "object"}],
        },
    ),
    "rag/clear": (
        "POST", {}, None,
        {"success": "bool", "documents_cleared": "int", "chunks_cleared": "int", "message": "string"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def maintained(system: System) -> ProjectClient:
    project = system.project("gophers", "maintained")
    project.create_dataset("notes")
    upload(project, "a.md", "# Barn\n\nThe barn door is 4 metres wide.")
    follow(project, process(project))
    return project


@pytest.mark.parametrize("path", MAINTENANCE)
def test_the_maintenance_commands_get_what_they_decode(maintained: ProjectClient, path: str) -> None:
    method, query, body, shape = MAINTENANCE[path]
    database = go(maintained.client.get(f"{maintained.path}/rag/databases"))["default_database"]
    sent = None if body is None else {"database": database, **body}
    query = {**query, "database": database} if body is None else query
    response = maintained.client.request(method, f"{maintained.path}/{path}", params=query, json=sent, timeout=60)
    answer = decode(shape, go(response))
    assert answer.get("success", True) is True
    assert answer.get("errors", []) == []


def test_an_export_is_imported_again(system: System, maintained: ProjectClient) -> None:
    follow(maintained, process(maintained))
    database = go(maintained.client.get(f"{maintained.path}/rag/databases"))["default_database"]
    exported = maintained.client.get(f"{maintained.path}/rag/export", params={"database": database})
    other = system.project("gophers", "restored")
    target = go(other.client.get(f"{other.path}/rag/databases"))["default_database"]
    answer = other.client.post(
        f"{other.path}/rag/import", params={"database": target}, content=exported.content,
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    shape = {"success": "bool", "documents_imported": "int", "chunks_created": "int", "errors": ["string"]}
    imported = decode(shape, go(answer))
    assert imported["success"]
    assert imported["documents_imported"] == 1
