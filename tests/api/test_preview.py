"""What a file would be cut into; the parsing is done by the real process."""

import base64
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from rag.embedders.hash import HashEmbedder
from rag.errors import UpstreamError
from rag.types import Matrix
from server.parts import Engine
from server.services import preview as preview_service
from state.files import DatasetFiles
from tests.api.helpers import assert_error, assert_ok
from tests.fixtures.make_files import pdf_file

TEXT = "Llamas eat grass. Alpacas eat hay and grass. Vicunas live high up in the Andes. " * 20


@pytest.fixture
def url(engine: Engine, project: str) -> str:
    engine.projects.edit("org", "bot", set_counter)
    return f"{project}/rag/databases/main_db/preview"


def set_counter(raw: dict[str, Any]) -> None:
    """An embedder whose tokens are counted without a model."""
    raw["rag"]["databases"][0]["embedding_strategies"] = [{"name": "words", "type": "HashEmbedder"}]


def content(data: str | bytes) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def test_sent_text_is_cut_with_positions_into_it(client: TestClient, url: str) -> None:
    wanted = {"file_content": content(TEXT), "filename": "animals.txt", "chunk_size": 200, "chunk_overlap": 50}
    body = assert_ok(client.post(url, json={**wanted, "chunk_strategy": "sentences"}))
    assert body["original_text"].strip() == TEXT.strip()
    assert body["total_chunks"] == len(body["chunks"]) > 3
    for index, chunk in enumerate(body["chunks"]):
        assert chunk["chunk_index"] == index
        assert body["original_text"][chunk["start_position"] : chunk["end_position"]] == chunk["content"]
        assert chunk["char_count"] == len(chunk["content"]) <= 200
        assert chunk["word_count"] == len(chunk["content"].split())
        assert chunk["metadata"]["filename"] == "animals.txt"
    assert (body["chunk_strategy"], body["chunk_size"], body["chunk_overlap"]) == ("sentences", 200, 50)
    assert (body["filename"], body["size_bytes"], body["content_type"]) == ("animals.txt", len(TEXT), "text/plain")
    assert body["total_size_with_overlaps"] == sum(chunk["char_count"] for chunk in body["chunks"])
    assert 0 < body["avg_overlap_size"] <= 50
    assert body["avg_chunk_size"] == pytest.approx(body["total_size_with_overlaps"] / body["total_chunks"], abs=0.1)


def test_modules_in_the_folder_that_the_server_was_started_in_are_not_run(
    client: TestClient, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pydantic.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    assert_ok(client.post(url, json={"file_content": content(TEXT), "filename": "animals.txt"}))


def test_a_stored_file_is_cut_as_its_dataset_would(client: TestClient, engine: Engine, url: str) -> None:
    with DatasetFiles(engine.projects.paths("org", "bot").dataset("docs")).receive(10_000) as incoming:
        incoming.write(TEXT.encode())
        file, _ = incoming.commit("stored.txt", None)
    body = assert_ok(client.post(url, json={"file_hash": file.hash}))
    assert body["filename"] == "stored.txt"
    assert body["parser_used"]
    assert assert_ok(client.post(url, json={"file_hash": file.hash, "dataset_id": "docs"})) == body
    smaller = assert_ok(client.post(url, json={"file_hash": file.hash, "chunk_size": 60}))
    assert smaller["total_chunks"] > body["total_chunks"]


def test_a_pdf_is_read_and_nothing_is_stored(client: TestClient, engine: Engine, url: str, tmp_path: Path) -> None:
    path = tmp_path / "letter.pdf"
    pdf_file(path, ["The first page.", "The second page speaks of llamas."])
    before = sorted(engine.settings.data_dir.rglob("*"))
    body = assert_ok(client.post(url, json={"file_content": content(path.read_bytes()), "filename": "letter.pdf",
                                            "data_processing_strategy": "universal_rag"}))  # fmt: skip
    assert body["content_type"] == "application/pdf"
    assert "llamas" in body["original_text"]
    assert [path for path in sorted(engine.settings.data_dir.rglob("*")) if path not in before] == []


@pytest.mark.parametrize(
    ("wanted", "status", "text"),
    [
        ({}, 400, "give file_hash"),
        ({"filename": "a.txt"}, 400, "give file_hash"),
        ({"file_hash": "ab" * 32}, 404, "not found"),
        ({"file_hash": "../../etc/passwd"}, 404, "not found"),
        ({"file_hash": "ab" * 32, "dataset_id": "none"}, 404, "Dataset none not found"),
        ({"file_content": "***"}, 400, "not base64"),
        ({"file_content": "", "filename": "a.txt"}, 422, "is empty"),
        ({"file_content": "AAEC", "filename": "a.bin"}, 422, "no parser of this strategy takes 'a.bin'"),
        ({"file_content": "YQ==", "chunk_size": 0}, 422, "body.chunk_size"),
        ({"file_content": "YQ==", "chunk_size": 10_001}, 422, "body.chunk_size"),
        ({"file_content": "YQ==", "chunk_size": 100, "chunk_overlap": 100}, 422, "chunk_overlap must be less"),
        ({"file_content": "YQ==", "chunk_overlap": -1}, 422, "body.chunk_overlap"),
        ({"file_content": "YQ==", "chunk_strategy": "by magic"}, 400, "chunk_strategy 'by magic' is not known"),
        ({"file_content": "YQ==", "data_processing_strategy": "none"}, 404, "strategy 'none' not found"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_cannot_be_shown_is_refused(
    client: TestClient, url: str, wanted: dict[str, Any], status: int, text: str
) -> None:
    assert_error(client.post(url, json=wanted), status, text)


def test_an_unknown_database_is_404(client: TestClient, url: str) -> None:
    response = client.post(url.replace("main_db", "none"), json={"file_content": "YQ=="})
    assert_error(response, 404, "Database 'none' not found")


def test_a_parser_that_does_not_end_is_ended(client: TestClient, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview_service, "TIMEOUT_S", 0.05)  # less than a process needs to begin
    response = client.post(url, json={"file_content": content(TEXT), "filename": "slow.txt"})
    assert_error(response, 422, "'slow.txt' took longer than 0.05 s to parse")


def test_a_parser_that_eats_memory_ends_alone(
    client: TestClient, engine: Engine, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview_service, "MEMORY_SLACK_BYTES", 150_000_000 - engine.settings.parse_memory_mb * 2**20)
    response = client.post(url, json={"file_content": content(TEXT), "filename": "big.txt"})
    assert_error(response, 422, "the parser of 'big.txt' ended before it was done")


SUBJECTS = ("harbour boats anchor quay", "bread flour oven dough", "violin bow string concert")


def cut_by(client: TestClient, url: str, text: str, strategy: str, name: str = "a.txt", **more: Any) -> dict[str, Any]:
    wanted = {"file_content": content(text), "filename": name, "chunk_strategy": strategy, **more}
    body: dict[str, Any] = assert_ok(client.post(url, json=wanted))
    for chunk in body["chunks"]:
        assert body["original_text"][chunk["start_position"] : chunk["end_position"]] == chunk["content"]
    return body


def test_cutting_by_meaning_is_shown_with_the_vectors_of_the_database(client: TestClient, url: str) -> None:
    text = " ".join(f"The {words} matter here." for words in SUBJECTS for _ in range(14))
    body = cut_by(client, url, text, "semantic", chunk_size=5000)
    assert [chunk["content"].count(".") for chunk in body["chunks"]] == [14] * 3
    assert all(words in chunk["content"] for chunk, words in zip(body["chunks"], SUBJECTS, strict=True))


def test_an_embedder_that_is_away_is_said_only_where_it_is_asked(
    client: TestClient, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def embed(self: HashEmbedder, texts: list[str]) -> Matrix:
        raise UpstreamError("the embedder does not answer")

    monkeypatch.setattr(HashEmbedder, "embed_documents", embed)
    assert cut_by(client, url, TEXT, "sentences")["total_chunks"] > 1
    wanted = {"file_content": content(TEXT), "filename": "a.txt", "chunk_strategy": "semantic"}
    assert_error(client.post(url, json=wanted), 503, "the embedder does not answer")


def test_children_are_shown_with_their_parents(client: TestClient, url: str) -> None:
    body = cut_by(client, url, "\n\n".join(["Words here. " * 30] * 6), "parent_child")
    parents = {(chunk["parent_start"], chunk["parent_end"]) for chunk in body["chunks"]}
    assert 1 < len(parents) < len(body["chunks"])
    assert body["chunks"][0]["metadata"]["parent_end"] == body["chunks"][0]["parent_end"]


def test_options_of_a_way_of_cutting_are_tried_and_those_of_another_are_named(client: TestClient, url: str) -> None:
    text = "\n\n".join(["Words here. " * 30] * 6)
    body = cut_by(client, url, text, "parent_child", parent_size=3000)
    assert len({(chunk["parent_start"], chunk["parent_end"]) for chunk in body["chunks"]}) == 1
    (warning,) = cut_by(client, url, text, "sentences", parent_size=3000)["warnings"]
    assert "option 'parent_size' has no effect with chunk_strategy 'sentences'" in warning


def test_rows_are_shown_with_the_header_that_is_repeated_over_them(client: TestClient, url: str) -> None:
    header = "| part | price |\n|------|-------|"
    table = "\n".join([header, *(f"| P-{n} | {n}.50 |" for n in range(40))])
    body = cut_by(client, url, table, "paragraphs", "a.md", chunk_size=200, chunk_overlap=0)
    assert [chunk["table_header"] for chunk in body["chunks"]] == [None] + [header] * (body["total_chunks"] - 1)


def test_functions_are_shown_whole(client: TestClient, url: str) -> None:
    text = "\n\n".join(f"def step_{n}(value):\n    total = value + {n}\n\n    return total\n" for n in range(6))
    body = cut_by(client, url, text, "code", "a.py", chunk_size=120, chunk_overlap=0)
    assert body["total_chunks"] == 6 / 2
    assert all(chunk["content"].startswith("def step_") for chunk in body["chunks"])
