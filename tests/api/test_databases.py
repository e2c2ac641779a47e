"""Making, changing and deleting databases: what the routes answer, and what they leave in llamafarm.yaml."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.testclient import TestClient

from rag.errors import UpstreamError
from server.parts import Engine
from state.tables import TaskRow
from tests.api.helpers import assert_error, assert_ok

NEW: dict[str, Any] = {
    "name": "new_database",
    "type": "ChromaStore",
    "config": {"collection_name": "my_collection", "distance_function": "cosine"},
    "embedding_strategies": [
        {"name": "embeddings", "type": "OllamaEmbedder", "config": {"model": "nomic-embed-text", "dimension": 768}}
    ],
    "retrieval_strategies": [
        {"name": "basic_search", "type": "BasicSimilarityStrategy", "config": {"top_k": 10}, "default": True}
    ],
}
COMMENTED = """\
version: v1
name: bot
namespace: org
# which models answer
runtime:
  models: [{name: default, provider: extractive}]  # no server needed
rag:
  databases:
    # the only one
    - name: main_db
      type: ChromaStore
"""


@pytest.fixture
def config_file(engine: Engine, project: str) -> Path:
    return engine.settings.projects_dir / "org" / "bot" / "llamafarm.yaml"


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def fill(engine: Engine, database: str = "main_db") -> None:
    found = engine.projects.load("org", "bot").database(database)
    engine.assembly.fill("org", "bot", found, ["one", "two", "three"])  # type: ignore[attr-defined]


class TestCreate:
    def test_a_new_database_is_answered_and_written(self, client: TestClient, project: str, config_file: Path) -> None:
        body = assert_ok(client.post(f"{project}/rag/databases", json=NEW), 201)
        assert body["database"] == {
            "name": "new_database",
            "type": "ChromaStore",
            "is_default": False,
            "embedding_strategies": [
                {"name": "embeddings", "type": "OllamaEmbedder", "priority": 0, "is_default": True}
            ],
            "retrieval_strategies": [{"name": "basic_search", "type": "BasicSimilarityStrategy", "is_default": True}],
        }
        assert read(config_file)["rag"]["databases"][-1] == NEW
        assert assert_ok(client.get(f"{project}/rag/databases/new_database"))["dependent_datasets"] == []

    def test_comments_of_the_file_stay(self, client: TestClient, project: str, config_file: Path) -> None:
        config_file.write_text(COMMENTED)
        assert_ok(client.post(f"{project}/rag/databases", json=NEW), 201)
        text = config_file.read_text()
        for comment in ("# which models answer", "# no server needed", "# the only one"):
            assert comment in text

    def test_the_rag_section_is_made_and_the_only_database_is_the_default(
        self, client: TestClient, engine: Engine, project: str
    ) -> None:
        for key in ("rag", "datasets"):
            engine.projects.edit("org", "bot", lambda raw, key=key: raw.pop(key))
        body = assert_ok(client.post(f"{project}/rag/databases", json={"name": "first", "type": "ChromaStore"}), 201)
        assert body["database"]["is_default"] is True
        assert assert_ok(client.get(f"{project}/rag/databases"))["default_database"] == "first"

    def test_a_name_that_is_taken_is_a_conflict(self, client: TestClient, project: str, config_file: Path) -> None:
        before = config_file.read_bytes()
        response = client.post(f"{project}/rag/databases", json={**NEW, "name": "main_db"})
        assert_error(response, 409, "Database 'main_db' already exists")
        assert config_file.read_bytes() == before

    def test_components_can_be_named_instead_of_lists(self, client: TestClient, engine: Engine, project: str) -> None:
        part = {"name": "shared", "type": "OllamaEmbedder", "config": {"model": "m"}}
        engine.projects.edit("org", "bot", lambda raw: raw["rag"].update(components={"embedding_strategies": [part]}))
        wanted = {"name": "lean", "type": "ChromaStore", "embedding_strategy": "shared"}
        body = assert_ok(client.post(f"{project}/rag/databases", json=wanted), 201)
        assert [each["name"] for each in body["database"]["embedding_strategies"]] == ["shared"]
        both = {**NEW, "embedding_strategy": "shared"}
        assert_error(client.post(f"{project}/rag/databases", json=both), 400, "not both")
        unknown = {**wanted, "name": "other", "embedding_strategy": "none"}
        assert_error(client.post(f"{project}/rag/databases", json=unknown), 400, "components.embedding_strategies")

    @pytest.mark.parametrize(
        ("changes", "status", "text"),
        [
            ({"name": "Bad-Name"}, 422, "body.name"),
            ({"name": "x" * 51}, 422, "body.name"),
            ({"name": "../up"}, 422, "body.name"),
            ({"name": None}, 422, "body.name"),
            ({"type": "FAISSStore"}, 400, "Invalid database configuration: store 'FAISSStore' is not known"),
            ({"type": ["x"]}, 422, "body.type"),
            ({"config": {"collection_name": "a b"}}, 400, "collection_name"),
            ({"config": []}, 422, "body.config"),
            ({"embedding_strategies": [{"name": "a", "type": "Nothing"}]}, 400, "embedder 'Nothing' is not known"),
            ({"embedding_strategies": [{"type": "OllamaEmbedder"}]}, 422, "embedding_strategies.0.name"),
            ({"embedding_strategies": NEW["embedding_strategies"] * 2}, 400, "names must be unique"),
            ({"retrieval_strategies": [{"name": "a", "type": "Nothing"}]}, 400, "retriever 'Nothing' is not known"),
            (
                {"retrieval_strategies": [{"name": "a", "type": "mmr", "config": {"top_k": 0}}]},
                400,
                "Invalid database configuration: retriever 'mmr'",
            ),
            (
                {"default_embedding_strategy": "none"},
                400,
                "Embedding strategy 'none' not found. Available: ['embeddings']",
            ),
            (
                {"default_retrieval_strategy": "none"},
                400,
                "Retrieval strategy 'none' not found. Available: ['basic_search']",
            ),
        ],
        ids=str,
    )
    def test_what_cannot_work_is_refused_and_nothing_is_written(
        self, client: TestClient, project: str, config_file: Path, changes: dict[str, Any], status: int, text: str
    ) -> None:
        before = config_file.read_bytes()
        assert_error(client.post(f"{project}/rag/databases", json={**NEW, **changes}), status, text)
        assert config_file.read_bytes() == before

    def test_an_unknown_project_is_404(self, client: TestClient) -> None:
        assert_error(client.post("/v1/projects/org/none/rag/databases", json=NEW), 404, code="ProjectNotFound")


class TestUpdate:
    def test_what_is_given_replaces_the_old_value(self, client: TestClient, project: str, config_file: Path) -> None:
        strategies = [
            {"name": "basic_search", "type": "BasicSimilarityStrategy", "config": {"top_k": 10}},
            {"name": "fused", "type": "HybridRetriever"},
        ]
        wanted = {"retrieval_strategies": strategies, "default_retrieval_strategy": "fused", "config": None}
        body = assert_ok(client.patch(f"{project}/rag/databases/main_db", json=wanted))
        assert body["default_retrieval_strategy"] == "fused"
        assert [each["name"] for each in body["retrieval_strategies"]] == ["basic_search", "fused"]
        assert body["config"] == {"distance_function": "cosine"}
        stored = read(config_file)["rag"]["databases"][0]
        assert stored["retrieval_strategies"] == strategies
        assert stored["embedding_strategies"][0]["config"]["api_key"] == "sk-secret-value"

    def test_a_hidden_key_that_is_sent_back_keeps_its_value(
        self, client: TestClient, project: str, config_file: Path
    ) -> None:
        shown = assert_ok(client.get(f"{project}/rag/databases/main_db"))
        assert shown["embedding_strategies"][0]["config"]["api_key"] == "***"
        wanted = {"embedding_strategies": shown["embedding_strategies"], "config": shown["config"]}
        assert_ok(client.patch(f"{project}/rag/databases/main_db", json=wanted))
        assert read(config_file)["rag"]["databases"][0]["embedding_strategies"][0]["config"] == {
            "model": "text-embedding-3-small",
            "api_key": "sk-secret-value",
        }

    @pytest.mark.parametrize(
        ("changes", "status", "text"),
        [
            ({"name": "other"}, 400, "cannot be changed"),
            ({"type": "MemoryStore"}, 400, "the type of database 'main_db' is 'ChromaStore'"),
            ({"default_embedding_strategy": "x"}, 400, "Embedding strategy 'x' not found. Available: ['remote']"),
            (
                {"default_retrieval_strategy": "x"},
                400,
                "Retrieval strategy 'x' not found. Available: ['basic', 'other']",
            ),
            ({"retrieval_strategies": [{"name": "a", "type": "x"}]}, 400, "Invalid database configuration"),
            ({"config": {"distance_metric": "far"}}, 400, "distance_metric"),
            ({"config": "x"}, 422, "body.config"),
        ],
        ids=str,
    )
    def test_what_cannot_work_is_refused_and_nothing_is_written(
        self, client: TestClient, project: str, config_file: Path, changes: dict[str, Any], status: int, text: str
    ) -> None:
        before = config_file.read_bytes()
        assert_error(client.patch(f"{project}/rag/databases/main_db", json=changes), status, text)
        assert config_file.read_bytes() == before

    def test_the_present_name_and_type_may_be_sent(self, client: TestClient, project: str) -> None:
        assert_ok(client.patch(f"{project}/rag/databases/main_db", json={"name": "main_db", "type": "ChromaStore"}))

    def test_an_unknown_database_is_404(self, client: TestClient, project: str) -> None:
        assert_error(client.patch(f"{project}/rag/databases/none", json={}), 404, "Database 'none' not found")

    @pytest.mark.parametrize(
        "changes",
        [
            {"embedding_strategies": [{"name": "remote", "type": "OpenAIEmbedder", "config": {"model": "other"}}]},
            {"embedding_strategies": [{"name": "remote", "type": "OllamaEmbedder"}]},
            {"config": {"distance_metric": "l2"}},
            {"config": {"distance_function": "cosine", "collection_name": "elsewhere"}},
        ],
        ids=["model", "embedder", "metric", "collection"],
    )
    def test_stored_vectors_keep_their_meaning(
        self, client: TestClient, engine: Engine, project: str, config_file: Path, changes: dict[str, Any]
    ) -> None:
        fill(engine)
        before = config_file.read_bytes()
        response = client.patch(f"{project}/rag/databases/main_db", json=changes)
        assert_error(response, 409, "holds 3 chunks that this change would make useless")
        assert "rag/clear?database=main_db" in response.json()["message"]
        assert config_file.read_bytes() == before
        assert_ok(client.post(f"{project}/rag/clear?database=main_db"))
        assert_ok(client.patch(f"{project}/rag/databases/main_db", json=changes))

    def test_a_filled_database_takes_changes_that_keep_the_meaning(
        self, client: TestClient, engine: Engine, project: str
    ) -> None:
        fill(engine)
        config = {"model": "text-embedding-3-small", "api_key": "another", "batch_size": 7, "dimension": 1536}
        strategy = {"name": "renamed", "type": "OpenAIEmbedder", "config": config}
        wanted = {"embedding_strategies": [strategy], "config": {"distance_metric": "cosine"}}
        assert_ok(client.patch(f"{project}/rag/databases/main_db", json=wanted))


class TestDelete:
    def test_datasets_that_depend_on_it_are_named(
        self, client: TestClient, engine: Engine, project: str, config_file: Path
    ) -> None:
        more = {"name": "more", "database": "main_db", "data_processing_strategy": "plain"}
        engine.projects.edit("org", "bot", lambda raw: raw["datasets"].append(more))
        before = config_file.read_bytes()
        expected = (
            "Cannot delete database 'main_db': 2 dataset(s) depend on it. "
            "Delete or reassign these datasets first: ['docs', 'more']"
        )
        assert_error(client.delete(f"{project}/rag/databases/main_db"), 409, expected)
        assert config_file.read_bytes() == before

    @pytest.mark.parametrize(("query", "is_deleted"), [("", True), ("?delete_collection=false", False)])
    def test_its_chunks_go_with_it_unless_they_are_to_be_kept(
        self, client: TestClient, engine: Engine, project: str, config_file: Path, query: str, *, is_deleted: bool
    ) -> None:
        fill(engine, "second_db")
        store = engine.assembly.store("org", "bot", engine.projects.load("org", "bot").database("second_db"))
        body = assert_ok(client.delete(f"{project}/rag/databases/second_db{query}"))
        assert body["message"] == "Database 'second_db' deleted successfully"
        assert body["database"]["name"] == "second_db"
        assert body["collection_deleted"] is is_deleted
        assert store.stats().chunk_count == (0 if is_deleted else 3)
        assert [each["name"] for each in read(config_file)["rag"]["databases"]] == ["main_db"]

    def test_the_last_database_can_be_deleted_and_is_no_default_any_more(
        self, client: TestClient, engine: Engine, project: str, config_file: Path
    ) -> None:
        engine.projects.edit("org", "bot", lambda raw: raw.update(datasets=[]))
        for name in ("main_db", "second_db"):
            assert_ok(client.delete(f"{project}/rag/databases/{name}"))
        assert assert_ok(client.get(f"{project}/rag/databases")) == {"databases": [], "default_database": None}
        assert "default_database" not in read(config_file)["rag"]

    def test_nothing_is_changed_when_the_store_does_not_answer(
        self, client: TestClient, engine: Engine, project: str, config_file: Path
    ) -> None:
        before = config_file.read_bytes()
        engine.assembly.failure = UpstreamError("Chroma does not answer")  # type: ignore[attr-defined]
        assert_error(client.delete(f"{project}/rag/databases/second_db"), 503, "Chroma does not answer")
        assert config_file.read_bytes() == before

    def test_a_task_that_writes_to_it_is_named(self, client: TestClient, engine: Engine, project: str) -> None:
        place = {"namespace": "org", "project": "bot", "dataset": "gone", "database": "second_db"}
        with engine.database.write() as session:
            session.add(TaskRow(id="t-1", **place, strategy="plain", config={}, created_at=0.0))
        assert_error(client.delete(f"{project}/rag/databases/second_db"), 409, "task t-1 is writing to it")

    def test_an_unknown_database_is_404(self, client: TestClient, project: str) -> None:
        assert_error(client.delete(f"{project}/rag/databases/none"), 404, "Database 'none' not found")
