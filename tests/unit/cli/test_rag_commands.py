"""`lf rag`: what is asked of the server, what is shown, what is asked of the person first."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.client.rag import parse_filters
from cli.errors import UsageError
from tests.unit.cli.client_run import Lf, P
from tests.unit.cli.fake_api import Reply

HIT = {
    "content": "Ninety days\nof leave.",
    "score": 0.8765,
    "metadata": {"filename": "handbook.pdf", "page_start": 3, "page_end": 4},
    "chunk_id": "c1",
    "document_id": "d1",
}
ANSWER = {
    "query": "leave",
    "results": [HIT],
    "total_results": 1,
    "processing_time_ms": 12.3,
    "retrieval_strategy_used": "hybrid_search",
    "database_used": "main_database",
    "notes": ["rerank skipped"],
}
EXPORT = {"version": "1", "database": "main_database", "documents": [{"id": "c1", "content": "x"}], "metadata": {}}


def test_filters_are_read_as_json_where_they_are_some() -> None:
    given = ["year:2024", "kind:a,kind:b", "ok:true", "time:12:30"]
    assert parse_filters(given) == {"year": 2024, "kind": ["a", "b"], "ok": True, "time": "12:30"}
    with pytest.raises(UsageError, match="write key:value"):
        parse_filters(["nonsense"])


def test_query_sends_what_was_given_and_nothing_else(lf: Lf) -> None:
    lf.api.on("POST", f"{P}/rag/query", ANSWER)
    lf("rag", "query", "leave")
    assert lf.api.seen[-1].json == {"query": "leave", "top_k": 5}
    options = [
        "--database",
        "d",
        "-s",
        "ps",
        "-r",
        "rs",
        "-k",
        "3",
        "--score-threshold",
        "0.2",
        "-f",
        "year:2024",
        "--distance-metric",
        "cosine",
    ]
    more = ["--hybrid-alpha", "0.4", "--rerank-model", "r", "--query-expansion", "--max-tokens", "50"]
    lf("rag", "query", "leave", *options, *more)
    assert lf.api.seen[-1].json == {
        "query": "leave",
        "top_k": 3,
        "database": "d",
        "data_processing_strategy": "ps",
        "retrieval_strategy": "rs",
        "score_threshold": 0.2,
        "metadata_filters": {"year": 2024},
        "distance_metric": "cosine",
        "hybrid_alpha": 0.4,
        "rerank_model": "r",
        "query_expansion": True,
        "max_tokens": 50,
    }


def test_query_names_stages_and_explains_them(lf: Lf) -> None:
    stages = [
        {"stage": "words", "ms": 1.25, "candidates_out": 7, "queries": ["leave"],
         "top": [{"chunk_id": "ab_0001", "score": 0.5}]},
        {"stage": "rerank", "ms": 12.0, "candidates_in": 7, "candidates_out": 6, "top": [], "notes": ["slow"]},
    ]  # fmt: skip
    lf.api.on("POST", f"{P}/rag/query", {**ANSWER, "stages": stages})
    options = ["--query-transform", "conversational", "--query-transform", "hyde", "--reranker", "llm"]
    done = lf("rag", "query", "leave", *options, "--expand", "none", "--explain")
    body = lf.api.seen[-1].json
    sent = {key: body[key] for key in ("query_transform", "reranker", "expand", "explain")}
    assert sent == {
        "query_transform": ["conversational", "hyde"], "reranker": "llm", "expand": False, "explain": True
    }  # fmt: skip
    lines = [line.split() for line in done.stdout.splitlines()[-3:]]
    assert lines[0] == ["STAGE", "IN", "OUT", "MS", "BEST", "SCORE", "SEARCHED", "FOR"]
    assert lines[1] == ["words", "7", "1.2", "ab_0001", "0.500", "leave"]
    assert lines[2] == ["rerank", "7", "6", "12.0"]


def test_query_shows_place_score_and_text(lf: Lf) -> None:
    lf.api.on("POST", f"{P}/rag/query", ANSWER)
    done = lf("rag", "query", "leave")
    assert done.stdout == "[1] handbook.pdf, pages 3–4  (0.876)\n    Ninety days\n    of leave.\n"
    assert "1 result in 12 ms from main_database by hybrid_search\nrerank skipped\n" in done.stderr
    assert '"page_start": 3' in lf("rag", "query", "leave", "--include-metadata", "--no-score").stdout
    assert lf.json("rag", "query", "leave") == ANSWER


def test_health_is_the_exit_code(lf: Lf) -> None:
    part = {"name": "vector_store", "status": "healthy", "latency_ms": 1.25, "message": "12 chunks"}
    found: dict[str, Any] = {
        "status": "healthy",
        "database": "main_database",
        "components": {"vector_store": part},
        "issues": None,
    }
    lf.api.on("GET", f"{P}/rag/health", found)
    assert "vector_store  healthy" in lf("rag", "health", "--database", "main_database").stdout
    assert lf.api.seen[-1].query == [("database", "main_database")]
    lf.api.on("GET", f"{P}/rag/health", {**found, "status": "degraded", "issues": ["slow"]})
    done = lf("rag", "health", code=1)
    assert done.stdout.endswith("slow\n")
    assert json.loads(lf("rag", "health", "--json", code=1).stdout)["status"] == "degraded"


def test_stats_leave_out_what_is_not_known(lf: Lf) -> None:
    lf.api.on("GET", f"{P}/rag/stats", {"database": "d", "vector_count": 5, "collection_size_bytes": 1024})
    assert lf("rag", "stats").stdout == "database    d\nvectors     5\ncollection  1.0 KB\n"
    assert "metadata" in lf("rag", "stats", "-v").stdout


def test_documents_are_listed_of_the_default_database(lf: Lf) -> None:
    lf.api.on(
        "GET", f"{P}/rag/databases", {"databases": [{"name": "d1", "is_default": True}], "default_database": "d1"}
    )
    lf.api.on("GET", f"{P}/rag/databases/d1/documents", [{"id": "h", "filename": "a.md", "chunk_count": 2}])
    assert lf("rag", "list", "-f", "kind:a", "-f", "year:2024").stdout.splitlines()[1].split() == ["h", "a.md", "2"]
    assert lf.api.seen[-1].query == [("limit", "50"), ("filter", "kind:a"), ("filter", "year:2024")]
    assert "d1 *" in lf("rag", "databases").stdout


@pytest.mark.parametrize("action", ["compact", "reindex", "clear"])
def test_maintenance_tells_what_was_done(lf: Lf, action: str) -> None:
    answer = {"success": True, "chunks_cleared": 7, "duration_seconds": 1.5, "message": "done"}
    lf.api.on("POST", f"{P}/rag/{action}", answer)
    sure = ["--yes"] if action == "clear" else []
    assert "chunks cleared  7\n" in lf("rag", action, "--database", "d", *sure).stdout
    assert lf.api.seen[-1].query == [("database", "d")]
    assert lf.json("rag", action, *sure) == answer


def test_maintenance_with_errors_is_exit_code_four(lf: Lf) -> None:
    answer = {"success": False, "documents_processed": 1, "errors": ["a.pdf: no text"]}
    lf.api.on("POST", f"{P}/rag/reindex", answer)
    assert "  a.pdf: no text" in lf("rag", "reindex", "-s", "other", code=4).stdout
    assert lf.api.seen[-1].query == [("strategy", "other")]


def test_delete_looks_first(lf: Lf) -> None:
    lf.api.on("POST", f"{P}/rag/delete/preview", {"count": 2}, {"count": 2}, {"count": 0})
    lf.api.on("POST", f"{P}/rag/delete", {"success": True, "documents_deleted": 2, "chunks_deleted": 9, "errors": []})
    options = ("--database", "d", "--filename", "a.md", "--id", "h", "--metadata", "year:2024")
    assert "Delete 2 documents" in lf("rag", "delete", *options, code=2).stderr
    assert "documents deleted  2\n" in lf("rag", "delete", *options, "-f").stdout
    assert lf.api.seen[-1].json == {"database": "d", "ids": ["h"], "filenames": ["a.md"], "metadata": {"year": 2024}}
    assert lf.json("rag", "delete", *options)["documents_deleted"] == 0
    assert len(lf.api.requests("POST", f"{P}/rag/delete")) == 1
    assert "lf rag clear" in lf("rag", "delete", code=2).stderr


def test_prune_looks_first(lf: Lf) -> None:
    preview = {"duplicates": 1, "orphaned": 2, "corrupted": 0, "total_to_remove": 3}
    lf.api.on("GET", f"{P}/rag/prune/preview", preview, preview, {**preview, "total_to_remove": 0})
    lf.api.on("POST", f"{P}/rag/prune", {"success": True, "removed": 3, "duration_seconds": 0.1, "errors": []})
    assert "Remove 3 chunks (1 duplicates, 2 orphaned, 0 corrupted)?" in lf("rag", "prune", code=2).stderr
    assert lf.json("rag", "prune", "-y")["removed"] == 3
    assert lf.json("rag", "prune")["removed"] == 0


def test_an_export_goes_to_a_file_or_to_stdout_and_back_in(lf: Lf, tmp_path: Path) -> None:
    lf.api.on("GET", f"{P}/rag/export", EXPORT)
    target = tmp_path / "out.json"
    assert lf.json("rag", "export", str(target), "--database", "d", "--metadata-only")["success"] is True
    assert json.loads(target.read_text()) == EXPORT
    assert lf.api.seen[-1].query == [("database", "d"), ("metadata_only", "true")]
    assert json.loads(lf("rag", "export", "--database", "d").stdout) == EXPORT
    lf("rag", "export", "--database", "d", "--json", code=2)
    lf.api.on("POST", f"{P}/rag/import", {"success": True, "documents_imported": 1, "errors": []})
    assert "documents imported  1" in lf("rag", "import", str(target), "--database", "d").stdout
    assert lf.api.seen[-1].json == EXPORT
    assert lf("rag", "import", "--database", "d", stdin=json.dumps(EXPORT)).exit_code == 0


def test_an_export_that_fails_leaves_no_file(lf: Lf, tmp_path: Path) -> None:
    lf.api.on("GET", f"{P}/rag/export", Reply({"detail": "no such database"}, 404))
    lf("rag", "export", str(tmp_path / "out.json"), "--database", "d", code=1)
    assert list(tmp_path.glob("*.json*")) == []


@pytest.mark.parametrize("content", ["", "[]", "PK\x03\x04"])
def test_what_is_no_export_is_not_sent(lf: Lf, content: str, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text(content)
    lf("rag", "import", "--database", "d", stdin=content, code=1)
    lf("rag", "import", str(tmp_path / "wrong"), "--database", "d", code=1)
    lf("rag", "import", str(tmp_path / "absent"), "--database", "d", code=1)
    assert lf.api.seen == []


def test_reindex_follows_the_tasks_that_go_on(lf: Lf) -> None:
    answer = {"success": False, "documents_processed": 0, "chunks_created": 0, "errors": [], "task_ids": ["t1"]}
    lf.api.on("POST", f"{P}/rag/reindex", answer)
    result = {"processed_files": 2, "stored_count": 9, "details": []}
    lf.api.on("GET", f"{P}/tasks/t1", {"task_id": "t1", "state": "SUCCESS", "result": result})
    found = lf.json("rag", "reindex")
    assert (found["success"], found["documents_processed"], found["chunks_created"]) == (True, 2, 9)
    bad = [False, {"filename": "a.pdf", "status": "failed", "error": "no text"}]
    lf.api.on("GET", f"{P}/tasks/t1", {"task_id": "t1", "state": "FAILURE", "result": {"details": [bad]}})
    assert "  a.pdf: no text" in lf("rag", "reindex", code=4).stdout
