"""Looking after databases, over real state, files, stages and stores; the broker is a list that the test delivers."""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from config.settings import Settings
from rag.errors import ConflictError, UpstreamError
from rag.types import Record
from server.app import create_app
from server.parts import Engine
from server.services import maintenance as maintenance_service
from server.services.database_access import DatabaseAccess
from server.services.warm_up import WarmUp
from state.contents import DatabaseContents
from state.files import DatasetFiles
from state.tables import FileRow
from tests.api.helpers import assert_error, assert_ok
from tests.fixtures.fake_reranker import FakeReranker, fake_reranker
from tests.workers.world import PLACE, World, assert_invariants, project_yaml

RAG = "/v1/projects/acme/handbook/rag"
TEXTS = {
    "llamas.txt": "Llamas eat grass and hay. A grown llama needs two kilograms of hay a day.\n" * 8,
    "trials.txt": "A trial needs an approval with the number ZX-4471-Q before it may begin.\n" * 3,
    "Alpacas.md": "# Alpacas\n\nAlpacas are smaller than llamas and are kept for their wool.\n",
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "world")
    yield made
    made.patches.undo()
    made.settle()
    made.database.close()


@pytest.fixture
def hashes(world: World) -> dict[str, str]:
    """Three processed files of dataset `docs` in database `main`: name → hash."""
    found = {name: world.upload(name, text) for name, text in TEXTS.items()}
    world.process()
    return found


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    @asynccontextmanager
    async def engine(settings: Settings) -> AsyncIterator[Engine]:
        warm_up = WarmUp(lambda: None)
        warm_up.state = "ready"
        yield Engine(
            settings=settings,
            database=world.database,
            projects=world.projects,
            generations=world.generations,
            assembly=world.assembly,
            dispatcher=world.dispatcher,
            warm_up=warm_up,
        )

    settings = world.settings.model_copy(update={"seed_project": False})
    with TestClient(create_app(settings, engine=engine), base_url="http://127.0.0.1:8000") as opened:
        yield opened


def contents(world: World) -> DatabaseContents:
    return DatabaseContents(world.database)


def ask(client: TestClient, question: str, database: str = "main", **more: Any) -> list[dict[str, Any]]:
    body = assert_ok(client.post(f"{RAG}/query", json={"query": question, "database": database, "top_k": 20, **more}))
    return list(body["results"])


def about(hits: list[dict[str, Any]]) -> list[tuple[str, float]]:
    """What was found, where the last bits of a score may differ: vectors made in other batches do."""
    return sorted((hit["content"], round(hit["score"], 4)) for hit in hits)


def documents(client: TestClient, database: str = "main", query: str = "") -> list[dict[str, Any]]:
    return list(assert_ok(client.get(f"{RAG}/databases/{database}/documents{query}")))


def write_dead(world: World, file_key: str = "docs/" + "ab" * 32, generation: str = "dead", count: int = 4) -> None:
    """What a worker that was killed leaves behind."""
    vectors = np.eye(64, dtype=np.float32)
    records = [Record(f"{generation}-{n}", f"dead {n}", vectors[n], file_key, generation) for n in range(count)]
    world.store().upsert(records)


def lose_a_chunk(world: World) -> None:
    """Its row, not its text and words: what a damaged disk may do."""
    store: Any = world.store()
    with store._ledger.connections.writing() as connection:
        connection.execute("DELETE FROM chunk WHERE id IN (SELECT id FROM chunk ORDER BY id DESC LIMIT 1)")


class TestDocuments:
    def test_files_are_listed_by_name_with_what_clients_decode(
        self, client: TestClient, hashes: dict[str, str]
    ) -> None:
        found = documents(client)
        assert [each["filename"] for each in found] == ["Alpacas.md", "llamas.txt", "trials.txt"]
        llamas = found[1]
        assert llamas["id"] == hashes["llamas.txt"]
        assert llamas["size_bytes"] == len(TEXTS["llamas.txt"])
        assert llamas["chunk_count"] == len(
            [hit for hit in ask(client, "llama hay") if hit["document_id"] == llamas["id"]]
        )
        assert llamas["parser_used"]
        assert datetime.fromisoformat(llamas["date_ingested"]).tzinfo is not None
        assert llamas["metadata"]["dataset"] == "docs"
        assert not {"chunk_id", "chunk_index", "char_start"} & set(llamas["metadata"])

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("?limit=1", ["Alpacas.md"]),
            ("?limit=2&offset=1", ["llamas.txt", "trials.txt"]),
            ("?offset=9", []),
            ("?filter=filename:llamas.txt", ["llamas.txt"]),
            ("?filter=filename:llamas.txt&filter=filename:trials.txt", ["llamas.txt", "trials.txt"]),
            ("?filter=dataset:docs&filter=filename:trials.txt", ["trials.txt"]),
            ("?filter=chunk_index:1", ["llamas.txt", "trials.txt"]),
            ("?filter=filename:none", []),
        ],
    )
    def test_pages_and_filters(self, client: TestClient, hashes: dict[str, str], query: str, names: list[str]) -> None:
        assert [each["filename"] for each in documents(client, query=query)] == names

    @pytest.mark.parametrize(
        ("query", "text"),
        [
            ("?limit=0", "query.limit"),
            ("?limit=1001", "query.limit"),
            ("?offset=-1", "query.offset"),
            ("?filter=nothing", "write key:value"),
            ("?filter=_hidden:1", "filter key '_hidden'"),
        ],
    )
    def test_a_malformed_query_is_422(self, client: TestClient, query: str, text: str) -> None:
        assert_error(client.get(f"{RAG}/databases/main/documents{query}"), 422, text)

    def test_an_unknown_database_is_404_and_an_empty_one_an_empty_list(self, client: TestClient) -> None:
        assert_error(client.get(f"{RAG}/databases/none/documents"), 404, "Database 'none' not found")
        assert documents(client, "other") == []


class TestHealth:
    def embed_with(self, world: World, **config: Any) -> None:
        raw = project_yaml()
        embedding = {"name": "away", "type": "OllamaEmbedder", "config": {"base_url": "http://127.0.0.1:9", **config}}
        raw["rag"]["databases"][0]["embedding_strategies"] = [embedding]
        world.configure(raw)

    def health(self, client: TestClient, query: str = "?database=main") -> dict[str, Any]:
        return dict(assert_ok(client.get(f"{RAG}/health{query}")))

    def test_every_part_is_probed(self, client: TestClient, hashes: dict[str, str]) -> None:
        body = self.health(client, "")
        assert (body["status"], body["database"], body["issues"]) == ("healthy", "main", None)
        assert list(body["components"]) == ["vector_store", "embeddings", "lexical_index", "search"]
        for name, each in body["components"].items():
            assert (each["name"], each["status"]) == (name, "healthy")
            assert each["latency"] == each["latency_ms"] >= 0
        assert datetime.fromisoformat(body["last_check"]).tzinfo is not None

    def test_an_embedder_that_is_away_is_blamed_and_nothing_else(
        self, client: TestClient, world: World, hashes: dict[str, str]
    ) -> None:
        self.embed_with(world, max_retries=0)
        body = self.health(client)
        statuses = {name: each["status"] for name, each in body["components"].items()}
        assert statuses == {"vector_store": "healthy", "embeddings": "unhealthy", "lexical_index": "healthy"}
        assert body["status"] == "degraded"
        assert "http://127.0.0.1:9" in body["issues"][0]

    def test_an_open_circuit_is_told(self, client: TestClient, world: World) -> None:
        self.embed_with(world, max_retries=0, circuit_breaker={"failure_threshold": 1, "reset_timeout": 60})
        self.health(client)
        (issue,) = self.health(client)["issues"]
        assert "failed repeatedly" in issue

    def test_a_question_that_was_asked_before_does_not_hide_an_embedder_that_died(
        self, client: TestClient, world: World, hashes: dict[str, str]
    ) -> None:
        self.health(client)
        world.fail(world.embedder, "embed_documents", UpstreamError("Ollama is away"))
        assert self.health(client)["issues"] == ["embeddings: Ollama is away"]

    def test_vectors_of_another_model_are_told(self, client: TestClient, world: World, hashes: dict[str, str]) -> None:
        world.fail(world.store(), "search_vector", ConflictError("database 'main' holds vectors of another model"))
        body = self.health(client)
        assert body["status"] == "degraded"
        assert body["issues"] == ["search: database 'main' holds vectors of another model"]


class TestStats:
    def test_counts_are_whole_numbers_of_what_is_there(
        self, client: TestClient, world: World, hashes: dict[str, str]
    ) -> None:
        write_dead(world, count=4)
        body = assert_ok(client.get(f"{RAG}/stats?database=main"))
        chunks = sum(each["chunk_count"] for each in documents(client))
        assert (body["document_count"], body["chunk_count"], body["vector_count"]) == (3, chunks, chunks + 4)
        assert (body["embedding_dimension"], body["distance_metric"]) == (64, "cosine")
        assert body["index_size_bytes"] == (chunks + 4) * 64 * 4
        assert body["storage_bytes"] == body["collection_size_bytes"] + body["index_size_bytes"] > 0
        assert all(isinstance(body[key], int) for key in body if key.endswith(("_count", "_bytes", "_dimension")))
        assert datetime.fromisoformat(body["last_updated"]).tzinfo is not None
        assert (body["storage_human"][-2:], body["collection_name"]) == ("KB", "documents")

    def test_an_empty_database_counts_zero(self, client: TestClient) -> None:
        body = assert_ok(client.get(f"{RAG}/stats?database=other"))
        assert (body["document_count"], body["chunk_count"], body["storage_bytes"]) == (0, 0, 0)
        assert body["last_updated"] is None


class TestCompact:
    def test_what_nothing_shows_is_deleted_and_the_rest_answers_as_before(
        self, client: TestClient, world: World, hashes: dict[str, str]
    ) -> None:
        before = ask(client, "llama hay")
        write_dead(world, count=60)
        body = assert_ok(client.post(f"{RAG}/compact?database=main"))
        assert body["success"] is True
        assert body["vectors_before"] - body["vectors_after"] == 60
        assert body["space_saved_bytes"] > 0
        assert ask(client, "llama hay") == before
        assert_invariants(world)

    def test_the_lexical_index_is_brought_into_step(
        self, client: TestClient, world: World, hashes: dict[str, str]
    ) -> None:
        lose_a_chunk(world)
        health = assert_ok(client.get(f"{RAG}/health?database=main"))
        assert health["status"] == "degraded"
        assert "compact the database" in health["components"]["lexical_index"]["message"]
        assert_ok(client.post(f"{RAG}/compact?database=main"))
        assert assert_ok(client.get(f"{RAG}/health?database=main"))["issues"] is None

    def test_what_a_task_is_writing_is_left_alone(self, client: TestClient, world: World) -> None:
        world.upload("llamas.txt", TEXTS["llamas.txt"])
        world.start()
        world.run_until("embed")
        (written,) = contents(world).pairs_in_work(*PLACE, "main")
        write_dead(world, *written, count=3)
        body = assert_ok(client.post(f"{RAG}/compact?database=main"))
        assert body["vectors_before"] == body["vectors_after"] == 3


class TestClear:
    def test_all_chunks_go_and_the_files_can_be_processed_again(
        self, client: TestClient, world: World, hashes: dict[str, str]
    ) -> None:
        chunks = len(ask(client, "llama hay"))
        body = assert_ok(client.post(f"{RAG}/clear?database=main"))
        assert (body["success"], body["documents_cleared"], body["chunks_cleared"]) == (True, 3, chunks)
        assert ask(client, "llama hay") == documents(client) == []
        assert world.process()["result"]["processed_files"] == 3
        assert len(ask(client, "llama hay")) == chunks
        assert_invariants(world)

    def test_a_task_at_work_is_named(self, client: TestClient, world: World) -> None:
        world.upload("a.txt", "some text")
        task_id = world.start()
        assert_error(client.post(f"{RAG}/clear?database=main"), 409, f"task {task_id} is writing to it")

    def test_all_is_shown_as_before_when_the_store_does_not_answer(
        self, client: TestClient, world: World, hashes: dict[str, str]
    ) -> None:
        before = ask(client, "llama hay")
        world.fail(world.store(), "drop", UpstreamError("Chroma does not answer"))
        assert_error(client.post(f"{RAG}/clear?database=main"), 503, "Chroma does not answer")
        assert ask(client, "llama hay") == before

    def test_a_file_that_a_late_task_makes_live_around_the_deletion_is_processed_again(
        self, client: TestClient, world: World
    ) -> None:
        """The task begins after the look whether one is at work."""
        world.upload("a.txt", TEXTS["llamas.txt"])
        store = world.store()
        drop = store.drop

        def late() -> None:
            world.process()
            drop()

        world.patches.setattr(store, "drop", late)
        assert_ok(client.post(f"{RAG}/clear?database=main"))
        assert documents(client) == []
        assert world.process()["result"]["processed_files"] == 1
        assert len(ask(client, "llama hay")) == world.store().stats().chunk_count > 0
        assert_invariants(world)

    def test_a_late_task_that_wrote_chunks_before_the_deletion_writes_all_of_them_again(
        self, client: TestClient, world: World
    ) -> None:
        world.upload("a.txt", TEXTS["llamas.txt"])
        commit = world.tasks.commit

        def cleared_before(*args: Any, **kwargs: Any) -> bool:
            world.patches.setattr(world.tasks, "commit", commit)
            world.patches.setattr(DatabaseAccess, "require_idle", lambda *_: None)  # it looked before the task began
            assert_ok(client.post(f"{RAG}/clear?database=main"))
            return commit(*args, **kwargs)

        world.patches.setattr(world.tasks, "commit", cleared_before)
        assert world.process()["result"]["processed_files"] == 1
        (shown,) = documents(client)
        assert len(ask(client, "llama hay")) == shown["chunk_count"] == world.store().stats().chunk_count > 0
        assert_invariants(world)


class TestDelete:
    @pytest.mark.parametrize(
        "selection",
        [{"filenames": ["llamas.txt"]}, {"metadata": {"filename": "llamas.txt"}}, {"ids": ["hash of llamas.txt"]}],
        ids=lambda each: next(iter(each)),
    )
    def test_chosen_documents_are_counted_then_deleted(
        self, client: TestClient, world: World, hashes: dict[str, str], selection: dict[str, Any]
    ) -> None:
        if "ids" in selection:
            selection = {"ids": [hashes["llamas.txt"]]}
        chunks = next(each["chunk_count"] for each in documents(client) if each["filename"] == "llamas.txt")
        wanted = {"database": "main", **selection}
        preview = assert_ok(client.post(f"{RAG}/delete/preview", json=wanted))
        assert preview == {"count": 1, "chunk_count": chunks, "filenames": ["llamas.txt"]}
        body = assert_ok(client.post(f"{RAG}/delete", json=wanted))
        assert body == {"success": True, "documents_deleted": 1, "chunks_deleted": chunks, "errors": []}
        assert [each["filename"] for each in documents(client)] == ["Alpacas.md", "trials.txt"]
        assert "llamas.txt" not in {hit["metadata"]["filename"] for hit in ask(client, "llama hay")}
        assert DatasetFiles(world.paths()).find(hashes["llamas.txt"]) is not None

    def test_what_is_not_there_is_told_beside_what_was_deleted(
        self, client: TestClient, hashes: dict[str, str]
    ) -> None:
        body = assert_ok(client.post(f"{RAG}/delete", json={"filenames": ["trials.txt", "none.txt"]}))
        assert (body["success"], body["documents_deleted"]) == (False, 1)
        assert body["errors"] == ["document 'none.txt' is not among those that match"]

    @pytest.mark.parametrize("selection", [{}, {"ids": []}, {"filenames": [], "metadata": {}}], ids=str)
    def test_nothing_chosen_deletes_nothing(
        self, client: TestClient, hashes: dict[str, str], selection: dict[str, Any]
    ) -> None:
        assert_error(client.post(f"{RAG}/delete", json=selection), 400, "rag/clear empties a whole database")
        assert len(documents(client)) == 3


class TestPrune:
    def counts(self, client: TestClient) -> tuple[int, int, int]:
        body = assert_ok(client.get(f"{RAG}/prune/preview?database=main"))
        assert body["total_to_remove"] == body["duplicates"] + body["orphaned"] + body["corrupted"]
        return body["duplicates"], body["orphaned"], body["corrupted"]

    def prune(self, client: TestClient) -> int:
        body = assert_ok(client.post(f"{RAG}/prune?database=main"))
        assert (body["success"], body["errors"]) == (True, [])
        return int(body["removed"])

    def test_a_sound_database_has_nothing_to_prune(self, client: TestClient, hashes: dict[str, str]) -> None:
        before = ask(client, "llama hay")
        assert self.counts(client) == (0, 0, 0)
        assert self.prune(client) == 0
        assert ask(client, "llama hay") == before

    def test_a_file_that_was_taken_out_of_its_folder_by_hand_answers_no_more(
        self, client: TestClient, world: World, hashes: dict[str, str]
    ) -> None:
        world.paths().meta(hashes["llamas.txt"]).unlink()
        write_dead(world)
        assert self.counts(client) == (0, 2, 0)
        assert self.prune(client) == 2
        assert {hit["metadata"]["filename"] for hit in ask(client, "llama hay")} == {"Alpacas.md", "trials.txt"}
        assert self.counts(client) == (0, 0, 0)
        assert hashes["llamas.txt"] not in {row.file_hash for row in world.rows(FileRow)}

    def test_a_file_of_which_chunks_were_lost_is_made_anew_by_processing(
        self, client: TestClient, world: World, hashes: dict[str, str]
    ) -> None:
        whole = about(ask(client, "llama hay"))
        lose_a_chunk(world)
        assert self.counts(client) == (0, 0, 1)
        assert self.prune(client) == 1
        assert world.process()["result"]["processed_files"] == 1
        assert about(ask(client, "llama hay")) == whole

    def test_the_same_file_in_two_datasets_is_shown_once(
        self, client: TestClient, world: World, hashes: dict[str, str]
    ) -> None:
        world.upload("llamas.txt", TEXTS["llamas.txt"], dataset="more")
        world.process("more")
        assert len(documents(client)) == 4
        assert self.counts(client) == (1, 0, 0)
        assert self.prune(client) == 1
        assert [each["metadata"]["dataset"] for each in documents(client)] == ["docs"] * 3

    def test_files_in_the_hands_of_a_task_are_left_alone(self, client: TestClient, world: World) -> None:
        world.upload("llamas.txt", TEXTS["llamas.txt"])
        world.start()
        world.run_until("embed")
        (written,) = contents(world).pairs_in_work(*PLACE, "main")
        write_dead(world, *written, count=3)
        assert self.counts(client) == (0, 0, 0)


class TestReindex:
    def reindex(self, client: TestClient, world: World, query: str = "") -> dict[str, Any]:
        """Workers run beside the request, as they do."""
        started, stop = threading.Event(), threading.Event()

        def work() -> None:
            started.set()
            while not stop.is_set():
                world.drain()
                stop.wait(0.01)

        worker = threading.Thread(target=work)
        worker.start()
        try:
            body: dict[str, Any] = assert_ok(client.post(f"{RAG}/reindex?database=main{query}"))
        finally:
            stop.set()
            worker.join()
        return body

    def test_every_file_is_processed_anew(self, client: TestClient, world: World, hashes: dict[str, str]) -> None:
        before, old = about(ask(client, "llama hay")), contents(world).files(*PLACE, "main")
        body = self.reindex(client, world)
        assert (body["success"], body["documents_processed"], body["errors"]) == (True, 3, [])
        assert body["chunks_created"] == sum(each["chunk_count"] for each in documents(client))
        assert len(body["task_ids"]) == 2
        assert not {each.pair for each in old} & {each.pair for each in contents(world).files(*PLACE, "main")}
        assert about(ask(client, "llama hay")) == before

    def test_another_strategy_cuts_other_chunks_this_once(self, client: TestClient, world: World) -> None:
        raw = project_yaml()
        strategies = raw["rag"]["data_processing_strategies"]
        strategies.append({"name": "small", "parsers": [{"type": "UniversalParser", "config": {"chunk_size": 60}}]})
        world.configure(raw)
        world.upload("llamas.txt", TEXTS["llamas.txt"])
        world.process()
        few = documents(client)[0]["chunk_count"]
        self.reindex(client, world, "&strategy=small")
        assert documents(client)[0]["chunk_count"] > few

    def test_files_go_on_answering_meanwhile(self, client: TestClient, world: World, hashes: dict[str, str]) -> None:
        world.patches.setattr(client.app.state.services.maintenance, "_reindex_wait_s", 0.0)  # type: ignore[attr-defined]
        before = about(ask(client, "llama hay"))
        body = assert_ok(client.post(f"{RAG}/reindex?database=main"))
        assert body["success"] is False
        assert "not finished yet: 3 file(s) of task" in body["errors"][0]
        while world.queue.messages:
            world.step()
            assert about(ask(client, "llama hay")) == before
        assert_invariants(world)

    def test_a_file_that_fails_is_told(self, client: TestClient, world: World, hashes: dict[str, str]) -> None:
        world.paths().raw(hashes["trials.txt"]).unlink()
        body = self.reindex(client, world)
        assert (body["success"], body["documents_processed"]) == (False, 2)
        assert "trials.txt" in body["errors"][0]

    def test_unknown_names_are_404(self, client: TestClient) -> None:
        assert_error(client.post(f"{RAG}/reindex?database=none"), 404, "Database 'none' not found")
        assert_error(client.post(f"{RAG}/reindex?strategy=none"), 404, "strategy 'none' not found")

    def test_the_answer_comes_before_the_command_line_gives_up(self) -> None:
        assert maintenance_service.REINDEX_WAIT_S < 60


class TestTransfer:
    def export(self, client: TestClient, query: str = "?database=main") -> dict[str, Any]:
        response = client.get(f"{RAG}/export{query}")
        assert response.headers["content-type"] == "application/json"
        return dict(assert_ok(response))

    def load(self, client: TestClient, document: Any, query: str = "?database=other") -> dict[str, Any]:
        return dict(assert_ok(client.post(f"{RAG}/import{query}", json=document)))

    def test_export_holds_every_chunk_with_its_vector(
        self, client: TestClient, world: World, hashes: dict[str, str]
    ) -> None:
        write_dead(world)
        body = self.export(client)
        stored = {key: text for key, text in world.stored().items() if not key.startswith("dead")}
        assert {each["id"]: each["content"] for each in body["documents"]} == stored
        assert body["version"] == "1"
        assert body["database"] == "main"
        assert datetime.fromisoformat(body["export_date"]).tzinfo is not None
        assert body["metadata"]["document_count"] == 3
        first = body["documents"][0]
        vector = next(each.vector for each in world.store().records(f"docs/{first['metadata']['file_hash']}"))
        assert np.array_equal(np.array(first["embedding"], np.float32), vector)

    def test_what_was_exported_answers_the_same_in_another_database(
        self, client: TestClient, world: World, hashes: dict[str, str]
    ) -> None:
        texts = world.count_embedded()
        body = self.load(client, self.export(client))
        assert texts == []
        chunks = len(ask(client, "llama hay"))
        assert (body["success"], body["documents_imported"], body["chunks_created"]) == (True, 3, chunks)
        assert (body["embedded"], body["notes"], body["errors"]) == (0, [], [])
        for question in ("llama hay", "ZX-4471-Q", "what are alpacas kept for?"):
            for strategy in ("vector", "bm25", "hybrid"):
                more = {"retrieval_strategy": strategy}
                assert about(ask(client, question, "other", **more)) == about(ask(client, question, **more))
        assert [each["filename"] for each in documents(client, "other")] == [
            each["filename"] for each in documents(client)
        ]

    def test_importing_again_replaces_what_was_imported(
        self, client: TestClient, world: World, hashes: dict[str, str]
    ) -> None:
        document = self.export(client)
        first = self.load(client, document)
        assert self.load(client, document) == first
        assert world.store("other").stats().chunk_count == first["chunks_created"]
        assert assert_ok(client.get(f"{RAG}/prune/preview?database=other"))["total_to_remove"] == 0

    def test_chunks_without_vectors_are_embedded(self, client: TestClient, hashes: dict[str, str]) -> None:
        document = self.export(client, "?database=main&metadata_only=true")
        assert all(each["embedding"] == [] for each in document["documents"])
        body = self.load(client, document)
        assert body["embedded"] == body["chunks_created"] == len(document["documents"])
        assert about(ask(client, "llama hay", "other")) == about(ask(client, "llama hay", "main"))

    def test_vectors_of_another_model_are_not_taken(self, client: TestClient, hashes: dict[str, str]) -> None:
        document = self.export(client)
        document["metadata"]["model_id"] = "another/model"
        body = self.load(client, document)
        assert body["embedded"] == body["chunks_created"]
        assert "made by 'another/model'" in body["notes"][0]
        assert about(ask(client, "llama hay", "other")) == about(ask(client, "llama hay", "main"))

    def test_a_document_written_by_hand_is_enough(self, client: TestClient) -> None:
        entries = [{"id": "1", "content": "Vicunas live high up.", "metadata": {"filename": "v.txt", "year": 2024}}]
        body = self.load(client, {"version": "1", "documents": entries}, "?database=main&strategy=plain")
        assert (body["documents_imported"], body["chunks_created"]) == (1, 1)
        assert any("strategy 'plain' had no effect" in note for note in body["notes"])
        (hit,) = ask(client, "where do vicunas live", metadata_filters={"year": 2024})
        assert hit["content"] == "Vicunas live high up."
        assert_ok(client.post(f"{RAG}/delete", json={"database": "main", "filenames": ["v.txt"]}))
        assert documents(client) == []

    @pytest.mark.parametrize(
        ("document", "text"),
        [
            ("", "is not the JSON"),
            ("{", "is not the JSON"),
            ("[]", "is not the JSON"),
            ("{}", "the export is empty"),
            ('{"version": "1", "documents": [{"content": "a"}', "is not the JSON"),
            ('{"version": "1", "documents": [{"content": "a"}]} x', "is not the JSON"),
            ('{"version": "2", "documents": []}', "this server reads version 1"),
            ('{"documents": []}', "this server reads version 1"),
            ('{"version": "1", "metadata": 3, "documents": []}', "metadata of the export is not an object"),
            ('{"version": "1", "documents": [3]}', "documents[0] is not an object"),
            ('{"version": "1", "documents": [{"content": "a"}, {"content": ""}]}', "documents[1].content"),
            ('{"version": "1", "documents": [{"content": "a", "metadata": {"x": [1]}}]}', "metadata.x"),
            ('{"version": "1", "documents": [{"content": "a", "metadata": {"x": 1e999}}]}', "metadata.x"),
            ('{"version": "1", "documents": [{"content": "a", "embedding": ["x"]}]}', "embedding"),
            ('{"version": "1", "documents": [{"content": "a", "embedding": [1e300]}]}', "embedding"),
            ('{"version": "1", "documents": [{"content": "a", "embedding": [NaN]}]}', "NaN"),
            ('{"version": "1", "documents": [{"content": "\\ud800"}]}', "not valid Unicode"),
            ('{"version": "1", "documents": ' + "[" * 100_000, "is not the JSON"),
            ('{"version": "1", "x": ' + "9" * 5_000 + "}", "a smaller number"),
            (b'{"version": "1", "documents": [{"content": "\xff"}]}', "not valid UTF-8"),
        ],
        ids=lambda value: str(value)[:60],
    )
    def test_what_is_no_export_is_refused_and_nothing_is_imported(
        self, client: TestClient, world: World, document: str | bytes, text: str
    ) -> None:
        headers = {"content-type": "application/json"}
        assert_error(client.post(f"{RAG}/import?database=main", content=document, headers=headers), 422, text)
        assert world.store().stats().chunk_count == 0

    def test_an_embedder_that_is_away_leaves_nothing_half(
        self, client: TestClient, world: World, hashes: dict[str, str]
    ) -> None:
        document = self.export(client, "?database=main&metadata_only=true")
        calls = 0
        original = world.embedder.embed_documents

        def failing(texts: list[str]) -> Any:
            nonlocal calls
            calls += 1
            if calls > 1:
                raise UpstreamError("the embedder is away")
            return original(texts)

        world.patches.setattr(world.embedder, "embed_documents", failing)
        response = client.post(f"{RAG}/import?database=other", json=document)
        assert_error(response, 503, "the embedder is away")
        assert world.store("other").stats().chunk_count == 0
        assert documents(client, "other") == []

    def test_a_database_that_is_cleared_meanwhile_shows_nothing_half(
        self, client: TestClient, world: World, hashes: dict[str, str]
    ) -> None:
        document = self.export(client)
        store = world.store("other")
        original, calls = store.upsert, 0

        def cleared_between(records: Any) -> None:
            nonlocal calls
            calls += 1
            if calls == 2:
                store.drop()
            original(records)

        world.patches.setattr(store, "upsert", cleared_between)
        response = client.post(f"{RAG}/import?database=other", json=document)
        assert_error(response, 409, "was cleared while the import wrote to it")
        assert documents(client, "other") == []
        assert store.stats().chunk_count == 0

    def test_a_large_export_is_read_in_pieces(self, client: TestClient, hashes: dict[str, str]) -> None:
        entries = [
            {"id": str(n), "content": f"entry {n} " + "x" * 500, "metadata": {"filename": f"{n // 100}.txt"}}
            for n in range(5_000)
        ]
        text = json.dumps({"documents": entries, "version": "1"}, indent=1)
        assert len(text) > 2_500_000
        body = assert_ok(client.post(f"{RAG}/import?database=other", content=text))
        assert (body["documents_imported"], body["chunks_created"]) == (50, 5_000)
        assert documents(client, "other", "?limit=1")[0]["chunk_count"] == 100

    def test_unknown_databases_and_strategies_are_404(self, client: TestClient) -> None:
        assert_error(client.get(f"{RAG}/export?database=none"), 404, "Database 'none' not found")
        assert_error(client.post(f"{RAG}/import?database=none", json={}), 404, "Database 'none' not found")
        assert_error(client.post(f"{RAG}/import?strategy=none", json={}), 404, "strategy 'none' not found")


class TestReranking:
    @pytest.fixture
    def server(self, world: World) -> Iterator[FakeReranker]:
        with fake_reranker() as opened:
            raw = project_yaml()
            raw["runtime"]["models"] += [
                {"name": "ranker", "provider": "universal", "model": "bge", "base_url": opened.url, "api_key": "k-1"},
                {"name": "barred", "provider": "openai", "model": "x", "base_url": "http://169.254.169.254/v1"},
            ]
            raw["rag"]["databases"][0]["retrieval_strategies"] = [
                {"name": "plain", "type": "BasicSimilarityStrategy"},
                {"name": "ranked", "type": "CrossEncoderRerankedStrategy", "config": {"model_name": "ranker"}},
                {"name": "lost", "type": "CrossEncoderRerankedStrategy", "config": {"model_name": "none"}},
            ]
            world.configure(raw)
            yield opened

    @pytest.mark.parametrize("fields", [{"rerank_model": "ranker"}, {"retrieval_strategy": "ranked"}], ids=str)
    def test_a_model_of_the_project_orders_what_was_found(
        self, client: TestClient, server: FakeReranker, hashes: dict[str, str], fields: dict[str, Any]
    ) -> None:
        hits = ask(client, "llamas approval ZX-4471-Q", **fields)
        assert "ZX-4471-Q" in hits[0]["content"]
        assert server.requests[0]["model"] == "bge"
        assert server.keys == ["Bearer k-1"]
        assert len(server.requests[0]["documents"]) == len(hits)

    def test_a_strategy_notices_that_its_model_moved(
        self, client: TestClient, world: World, server: FakeReranker, hashes: dict[str, str]
    ) -> None:
        ask(client, "llamas", retrieval_strategy="ranked")
        with fake_reranker() as moved:
            world.projects.edit(*PLACE, lambda raw: raw["runtime"]["models"][1].update(base_url=moved.url))
            ask(client, "llamas", retrieval_strategy="ranked")
            assert (len(server.requests), len(moved.requests)) == (1, 1)

    @pytest.mark.parametrize(
        ("fields", "status", "text"),
        [
            ({"rerank_model": "none"}, 400, "Model 'none' not found. Available: default, ranker"),
            ({"rerank_model": "default"}, 400, "Model 'default' cannot rerank: it has no base_url"),
            ({"rerank_model": "barred"}, 422, "never a model server"),
            ({"retrieval_strategy": "lost"}, 400, "Model 'none' not found"),
        ],
        ids=str,
    )
    def test_a_model_that_cannot_rerank_is_refused(
        self,
        client: TestClient,
        server: FakeReranker,
        hashes: dict[str, str],
        fields: dict[str, Any],
        status: int,
        text: str,
    ) -> None:
        assert_error(client.post(f"{RAG}/query", json={"query": "llamas", **fields}), status, text)
        assert server.requests == []
