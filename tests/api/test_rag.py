from datetime import datetime

import pytest
from starlette.testclient import TestClient

from rag.errors import UpstreamError
from server.parts import Engine
from tests.api.conftest import MakeClient
from tests.api.helpers import assert_error, assert_ok
from tests.api.test_uploads import make_project

TEXTS = ["llamas eat grass", "trials need approval", "farms grow grass and corn"]


@pytest.fixture
def url(engine: Engine, project: str) -> str:
    """The query URL of a project whose main database holds three chunks."""
    database = engine.projects.load("org", "bot").database("main_db")
    engine.assembly.fill("org", "bot", database, TEXTS, _hidden="x", year=2024)  # type: ignore[attr-defined]
    return f"{project}/rag/query"


def test_query_answers_with_everything_a_client_reads(client: TestClient, url: str) -> None:
    body = assert_ok(client.post(url, json={"query": "grass that llamas eat"}))
    assert body["query"] == "grass that llamas eat"
    assert body["total_results"] == len(body["results"]) == 3
    assert (body["retrieval_strategy_used"], body["database_used"]) == ("basic", "main_db")
    assert body["processing_time_ms"] > 0
    assert body["notes"] == []
    best = body["results"][0]
    assert best["content"] == TEXTS[0]
    assert best["document_id"] == "ab" * 32
    assert best["chunk_id"] == "abababababababab_0000"
    assert best["metadata"]["page_number"] == 1
    assert best["metadata"]["filename"] == "letter.pdf"
    assert not [key for key in best["metadata"] if key.startswith("_")]
    assert "scores" not in best
    scores = [hit["score"] for hit in body["results"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_what_the_command_line_always_sends_changes_nothing(client: TestClient, url: str) -> None:
    plain = assert_ok(client.post(url, json={"query": "grass"}))
    sent = {"query": "grass", "top_k": 5, "hybrid_alpha": 0.5, "query_expansion": False, "unknown": 1}
    assert assert_ok(client.post(url, json=sent))["results"] == plain["results"]


@pytest.mark.parametrize(
    ("request_fields", "count"),
    [
        ({"top_k": 2}, 2),
        ({"score_threshold": 0.999}, 0),
        ({"metadata_filters": {"page_number": 2}}, 1),
        ({"metadata_filters": {"page_number": {"$gte": 2}}}, 2),
        ({"metadata_filters": {"filename": ["letter.pdf", "x"]}}, 3),
        ({"metadata_filters": {"missing": 1}}, 0),
        ({"metadata_filters": {}}, 3),
        ({"database": "second_db"}, 0),
        ({"retrieval_strategy": "other"}, 3),
        ({"retrieval_strategy": "semantic"}, 3),
        ({"distance_metric": "cosine"}, 3),
    ],
    ids=str,
)
def test_query_fields_are_honoured(client: TestClient, url: str, request_fields: dict[str, object], count: int) -> None:
    body = assert_ok(client.post(url, json={"query": "grass", **request_fields}))
    assert body["total_results"] == count
    assert body["retrieval_strategy_used"] == request_fields.get("retrieval_strategy", body["retrieval_strategy_used"])


def test_max_tokens_cuts_each_result(client: TestClient, url: str) -> None:
    body = assert_ok(client.post(url, json={"query": "grass", "max_tokens": 2}))
    assert body["results"]
    assert all(hit["content"] and len(hit["content"].split()) <= 2 for hit in body["results"])


def test_explain_adds_the_scores_of_the_stages(client: TestClient, url: str) -> None:
    body = assert_ok(client.post(url, json={"query": "grass", "explain": True}))
    assert all(isinstance(hit["scores"], dict) for hit in body["results"])


def test_explain_tells_what_each_stage_did(client: TestClient, url: str) -> None:
    wanted = {"query": "grass that llamas eat", "explain": True, "query_expansion": True, "rerank_model": "default"}
    body = assert_ok(client.post(url, json=wanted))
    stages = {stage["stage"]: stage for stage in body["stages"]}
    assert list(stages) == ["multi_query", "vectors", "merge", "collapse", "rerank"]
    assert stages["multi_query"]["queries"] == ["grass that llamas eat", "grass llamas eat"]
    assert (stages["vectors"]["candidates_out"], "candidates_in" in stages["vectors"]) == (3, False)
    assert stages["merge"]["candidates_in"] == 6
    assert stages["collapse"]["top"][0]["chunk_id"] == body["results"][0]["chunk_id"]
    assert stages["rerank"]["notes"] == [body["notes"][-1]]
    assert all(stage["ms"] >= 0 for stage in body["stages"])


def test_without_explain_no_stage_is_told(client: TestClient, url: str) -> None:
    assert "stages" not in assert_ok(client.post(url, json={"query": "grass"}))


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({"reranker": "llm"}, "reranker 'llm' was skipped: no model is at hand"),
        ({"query_transform": "hyde"}, "query_transform 'hyde' was skipped: no model is at hand"),
        ({"query_transform": ["expansion", {"type": "decomposition", "min_chars": 0}]}, "'decomposition' was skipped"),
        ({"query_transform": "conversational", "messages": [{"role": "user", "content": "of llamas"}]},
         "query_transform 'conversational' was skipped: no model is at hand"),
    ],
    ids=str,
)  # fmt: skip
def test_a_stage_of_the_request_that_cannot_work_costs_no_answer(
    client: TestClient, url: str, fields: dict[str, object], note: str
) -> None:
    body = assert_ok(client.post(url, json={"query": "grass", **fields}))
    assert len(body["results"]) == 3
    assert note in body["notes"][0]


def test_stages_of_a_request_take_effect(client: TestClient, url: str) -> None:
    grown = assert_ok(client.post(url, json={"query": TEXTS[0], "top_k": 1, "expand": {"type": "neighbours"}}))
    assert len(grown["results"]) == 1
    for fields in ({"expand": False}, {"reranker": False, "query_transform": False}, {"collapse_duplicates": False}):
        body = assert_ok(client.post(url, json={"query": "grass", **fields}))
        assert (len(body["results"]), body["notes"]) == (3, [])


@pytest.mark.parametrize("name", ["metadata_filters", "filters", "where"])
def test_filters_are_taken_under_each_of_their_names(client: TestClient, url: str, name: str) -> None:
    body = assert_ok(client.post(url, json={"query": "grass", name: {"page_number": 2}}))
    assert [hit["metadata"]["page_number"] for hit in body["results"]] == [2]
    assert body["notes"] == []


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({"filter": {"page_number": 2}, "limit": 3}, "ignored, as a query has no such field: 'filter', 'limit'"),
        (
            {"retrieval_strategy": "semantic", "hybrid_alpha": 0.3},
            "hybrid_alpha has no effect with strategy 'semantic'",
        ),
        ({"expand": "parent"}, "expand 'parent': none of the hits has a parent"),
    ],
    ids=str,
)
def test_what_has_no_effect_on_a_query_is_noted(
    client: TestClient, url: str, fields: dict[str, object], note: str
) -> None:
    body = assert_ok(client.post(url, json={"query": "grass", **fields}))
    assert len(body["results"]) == 3
    assert len(body["notes"]) == 1
    assert note in body["notes"][0]


def test_notes_of_the_retriever_are_passed_on(client: TestClient, engine: Engine, url: str) -> None:
    engine.assembly.notes = ("the reranker is down and was skipped",)  # type: ignore[attr-defined]
    assert assert_ok(client.post(url, json={"query": "grass"}))["notes"] == ["the reranker is down and was skipped"]


@pytest.mark.parametrize(
    ("fields", "status", "text"),
    [
        ({"query": ""}, 422, "body.query"),
        ({"query": "   "}, 422, "body.query"),
        ({"query": None}, 422, "body.query"),
        ({"query": ["grass"]}, 422, "body.query"),
        ({"query": "x" * 20_001}, 422, "body.query"),
        ({"top_k": 0}, 422, "body.top_k"),
        ({"top_k": 101}, 422, "body.top_k"),
        ({"top_k": "many"}, 422, "body.top_k"),
        ({"top_k": 10**30}, 422, "… is beyond 64 bits"),
        ({"score_threshold": 1.5}, 422, "body.score_threshold"),
        ({"hybrid_alpha": -1}, 422, "body.hybrid_alpha"),
        ({"max_tokens": 0}, 422, "body.max_tokens"),
        ({"metadata_filters": []}, 422, "body.metadata_filters"),
        ({"metadata_filters": {"year": {"$regex": ".*"}}}, 422, "operator '$regex' is not known"),
        ({"metadata_filters": {"$or": "x"}}, 422, "filter '$or' expects a list"),
        ({"metadata_filters": {"$nor": [{"a": 1}]}}, 422, "filter key '$nor'"),
        ({"metadata_filters": {"_hidden": "x"}}, 422, "filter key '_hidden'"),
        ({"metadata_filters": {"year": {"a": {"b": 1}}}}, 422, "operator 'a'"),
        ({"metadata_filters": {str(number): 1 for number in range(65)}}, 422, "65 conditions"),
        ({"database": "none"}, 404, "Database 'none' not found"),
        ({"database": "../x"}, 404, "not found"),
        ({"retrieval_strategy": "none"}, 404, "Retrieval strategy 'none' not found"),
        ({"distance_metric": "l2"}, 400, "stored with 'cosine'"),
        ({"distance_metric": "nonsense"}, 422, "is not known"),
        ({"reranker": "magic"}, 422, "reranker 'magic' is not known. Known: cross_encoder"),
        ({"reranker": True}, 422, "body.reranker"),
        ({"reranker": {"type": "llm", "odd": 1}}, 422, "option 'odd' is not known"),
        ({"reranker": {"type": "llm", "timeout_s": -1}}, 422, "'timeout_s' = -1"),
        ({"reranker": {"type": "remote"}}, 422, "'model_name'"),
        ({"reranker": "llm", "rerank_model": "default"}, 400, "leave one of them out"),
        ({"query_transform": ["expansion"] * 5}, 422, "body.query_transform"),
        ({"query_transform": {"kind": "hyde"}}, 422, "body.query_transform"),
        ({"query_transform": "hyde", "query_expansion": True}, 400, "leave one of them out"),
        ({"expand": {"type": "neighbours", "before": 10**6}}, 422, "'before' = 1000000"),
        ({"messages": [{"role": "system", "content": "x"}]}, 422, "body.messages"),
        ({"rerank_model": "cross-encoder"}, 400, "Model 'cross-encoder' not found. Available: default"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_query_is_refused_with_its_reason(
    client: TestClient, url: str, fields: dict[str, object], status: int, text: str
) -> None:
    assert_error(client.post(url, json={"query": "grass", **fields}), status, text)


def test_missing_query_is_422(client: TestClient, url: str) -> None:
    assert_error(client.post(url, json={}), 422, "body.query")


def test_query_without_rag_section_is_400(client: TestClient, engine: Engine, url: str) -> None:
    engine.projects.edit("org", "bot", lambda raw: raw.pop("rag"))
    assert_error(client.post(url, json={"query": "x"}), 400, "RAG not configured for this project")


def test_query_without_any_database_is_400(client: TestClient, engine: Engine, url: str) -> None:
    engine.projects.edit("org", "bot", lambda raw: raw.update(rag={"databases": []}))
    response = client.post(url, json={"query": "x"})
    assert_error(response, 400, "No database specified and no default available")


def test_query_to_an_unknown_project_is_404(client: TestClient) -> None:
    assert_error(client.post("/v1/projects/org/none/rag/query", json={"query": "x"}), 404, code="ProjectNotFound")


def test_upstream_failure_is_never_an_empty_result(client: TestClient, engine: Engine, url: str) -> None:
    engine.assembly.failure = UpstreamError("Chroma does not answer")  # type: ignore[attr-defined]
    assert_error(client.post(url, json={"query": "grass"}), 503, "Chroma does not answer")


def test_query_over_its_deadline_is_503(make_client: MakeClient) -> None:
    client = make_client(query_deadline_s=0.1)
    engine = client.app.state.services.engine
    make_project(engine)
    engine.assembly.delay_s = 0.5
    response = client.post("/v1/projects/org/bot/rag/query", json={"query": "x"})
    assert_error(response, 503, "Query failed: no answer within 0.1 s")
    assert response.headers["retry-after"]


def test_databases_are_listed_with_their_defaults(client: TestClient, project: str) -> None:
    body = assert_ok(client.get(f"{project}/rag/databases"))
    assert body["default_database"] == "main_db"
    assert [(each["name"], each["is_default"]) for each in body["databases"]] == [
        ("main_db", True),
        ("second_db", False),
    ]
    first = body["databases"][0]
    assert first["embedding_strategies"] == [
        {"name": "remote", "type": "OpenAIEmbedder", "priority": 0, "is_default": True}
    ]
    assert [(each["name"], each["is_default"]) for each in first["retrieval_strategies"]] == [
        ("basic", True),
        ("other", False),
    ]


def test_first_database_is_the_default_when_none_is_named(client: TestClient, engine: Engine, project: str) -> None:
    engine.projects.edit("org", "bot", lambda raw: raw["rag"].pop("default_database"))
    body = assert_ok(client.get(f"{project}/rag/databases"))
    assert body["default_database"] == "main_db"
    assert body["databases"][0]["is_default"] is True


def test_database_is_shown_without_secrets(client: TestClient, project: str) -> None:
    response = client.get(f"{project}/rag/databases/main_db")
    body = assert_ok(response)
    assert "sk-secret-value" not in response.text
    assert body["embedding_strategies"][0]["config"] == {"model": "text-embedding-3-small", "api_key": "***"}
    assert body["retrieval_strategies"][0]["default"] is True
    assert body["default_embedding_strategy"] == "remote"
    assert body["default_retrieval_strategy"] == "basic"
    assert body["dependent_datasets"] == ["docs"]


def test_unknown_database_is_404(client: TestClient, project: str) -> None:
    assert_error(client.get(f"{project}/rag/databases/none"), 404, "Database 'none' not found")
    assert_error(client.get(f"{project}/rag/health?database=none"), 404, "Database 'none' not found")


def test_health_of_a_database_is_probed(client: TestClient, url: str) -> None:
    body = assert_ok(client.get(url.replace("query", "health")))
    assert (body["status"], body["database"], body["issues"]) == ("healthy", "main_db", None)
    assert set(body["components"]) == {"vector_store", "embeddings", "lexical_index", "search"}
    for component in body["components"].values():
        assert component["latency"] == component["latency_ms"]
    assert "3 chunks of 1 files" in body["components"]["vector_store"]["message"]
    assert datetime.fromisoformat(body["last_check"]).tzinfo is not None


def test_health_of_a_database_that_is_down_says_what(client: TestClient, engine: Engine, url: str) -> None:
    engine.assembly.failure = UpstreamError("Chroma does not answer")  # type: ignore[attr-defined]
    body = assert_ok(client.get(url.replace("query", "health")))
    assert body["status"] == "degraded"
    assert body["issues"] == ["vector_store: Chroma does not answer", "lexical_index: Chroma does not answer"]
    assert body["components"]["embeddings"]["status"] == "healthy"


def test_field_without_effect_is_told(client: TestClient, url: str) -> None:
    body = assert_ok(client.post(url, json={"query": "grass", "data_processing_strategy": "plain"}))
    assert "data_processing_strategy has no effect" in body["notes"][0]


def test_expansion_asks_other_wordings_and_names_them(client: TestClient, url: str) -> None:
    question = "Could you tell me what it is that llamas eat?"
    plain = assert_ok(client.post(url, json={"query": question}))
    body = assert_ok(client.post(url, json={"query": question, "query_expansion": True}))
    assert body["query"] == question
    assert body["notes"] == ["multi_query: also asked 'it is that llamas eat', 'tell llamas eat'"]
    assert body["results"][0]["content"] == TEXTS[0]
    assert body["results"][0]["score"] >= plain["results"][0]["score"]
    assert len({hit["chunk_id"] for hit in body["results"]}) == body["total_results"] == 3


def test_a_reranker_that_is_away_costs_the_order_and_not_the_answer(client: TestClient, url: str) -> None:
    plain = assert_ok(client.post(url, json={"query": "grass"}))
    body = assert_ok(client.post(url, json={"query": "grass", "rerank_model": "default"}))
    assert body["results"] == plain["results"]
    assert "reranker 'remote (default)' was skipped: no model 'default' is at hand" in body["notes"][0]
