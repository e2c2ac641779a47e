"""`lf db`: what is asked of the server, and how it ends."""

from typing import Any

import pytest

from cli.client.upkeep import read_options
from cli.errors import UsageError
from tests.unit.cli.client_run import Lf, P

DB = f"{P}/rag/databases/main"
STARTED = {"message": "Started", "task_id": "t-1", "task_uri": ""}
RESULT = {"database": "main", "type": "QdrantStore", "chunks": 12, "sources_dropped": 0, "duration_seconds": 0.5}


def serve(lf: Lf, action: str, **task: Any) -> None:
    lf.api.on("POST", f"{DB}/{action}", STARTED)
    body = {"task_id": "t-1", "state": "SUCCESS", "meta": {"current": 100, "total": 100}, "result": RESULT, **task}
    lf.api.on("GET", f"{P}/tasks/t-1", body)


def test_options_are_read_as_json_where_they_are_some() -> None:
    given = ["url=http://q:6333/a=b", "shard_number=6", "on_disk=true", "api_key=${env:KEY}"]
    assert read_options(given) == {
        "url": "http://q:6333/a=b",
        "shard_number": 6,
        "on_disk": True,
        "api_key": "${env:KEY}",
    }
    with pytest.raises(UsageError, match="write key=value"):
        read_options(["nonsense"])


def test_a_migration_sends_where_to_and_prints_what_was_done(lf: Lf) -> None:
    serve(lf, "migrate")
    done = lf("db", "migrate", "main", "--to", "QdrantStore", "-c", "url=http://q:6333", "--drop-source")
    (seen,) = lf.api.requests("POST", f"{DB}/migrate")
    assert seen.json == {"to": "QdrantStore", "config": {"url": "http://q:6333"}, "drop_source": True}
    assert "QdrantStore" in done.stdout
    assert "12" in done.stdout


def test_a_copy_is_named(lf: Lf) -> None:
    serve(lf, "migrate")
    lf("db", "migrate", "main", "--to", "QdrantStore", "--as", "twin")
    assert lf.api.requests("POST", f"{DB}/migrate")[0].json["new_name"] == "twin"


def test_a_rebuild_takes_the_default_database(lf: Lf) -> None:
    serve(lf, "rebuild")
    lf.api.on("GET", f"{P}/rag/databases", {"databases": [{"name": "main"}], "default_database": "main"})
    assert lf.json("db", "rebuild")["result"] == RESULT


def test_without_waiting_the_task_is_named(lf: Lf) -> None:
    serve(lf, "rebuild")
    assert "lf tasks watch t-1" in lf("db", "rebuild", "main", "--no-wait").stdout
    assert lf.api.requests("GET", f"{P}/tasks/t-1") == []


def test_a_task_that_failed_is_a_failure(lf: Lf) -> None:
    serve(lf, "rebuild", state="FAILURE", result=None, error="Chroma at x does not answer")
    assert "Chroma at x does not answer" in lf("db", "rebuild", "main", code=1).stderr


def test_list_and_stats_are_those_of_rag(lf: Lf) -> None:
    lf.api.on("GET", f"{P}/rag/databases", {"databases": [{"name": "main", "type": "QdrantStore"}]})
    lf.api.on("GET", f"{P}/rag/stats", {"database": "main", "chunk_count": 12})
    assert "QdrantStore" in lf("db", "list").stdout
    assert "12" in lf("db", "stats", "main").stdout
