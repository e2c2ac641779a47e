"""Documents of a pipeline that come as text."""

import hashlib
from typing import Any

import pytest

from state.cloud.shelf import FileShelf
from tests.cloud.conftest import CloudWorld


@pytest.fixture
def pipeline(cloud: CloudWorld) -> str:
    answer = cloud.http.post("/api/v1/pipelines", json={"name": "p", "project_id": "team"})
    assert answer.status_code == 201, answer.text
    return f"/api/v1/pipelines/{answer.json()['id']}"


def put(cloud: CloudWorld, pipeline: str, *documents: dict[str, Any]) -> list[dict[str, Any]]:
    answer = cloud.http.put(f"{pipeline}/documents", json=list(documents))
    assert answer.status_code == 200, answer.text
    cloud.settle()
    found: list[dict[str, Any]] = answer.json()
    return found


def texts(cloud: CloudWorld, pipeline: str, query: str) -> list[str]:
    answer = cloud.http.post(f"{pipeline}/retrieve", json={"query": query, "top_k": 5})
    assert answer.status_code == 200, answer.text
    return [each["text"] for each in answer.json()["results"]]


def test_documents_are_found_with_their_metadata(cloud: CloudWorld, pipeline: str) -> None:
    answer = cloud.http.post(
        f"{pipeline}/documents",
        json=[
            {"text": "The moon is made of cheese.", "metadata": {"topic": "moon"}, "id": "d-1"},
            {"text": "The sun is a star.", "metadata": {"topic": "sun"}, "excluded_llm_metadata_keys": ["topic"]},
        ],
    )
    assert answer.status_code == 201
    first, second = answer.json()
    assert (first["id"], first["text"], first["metadata"]) == ("d-1", "The moon is made of cheese.", {"topic": "moon"})
    assert second["id"]
    assert second["excluded_llm_metadata_keys"] == ["topic"]
    cloud.settle()
    assert cloud.http.get(f"{pipeline}/documents/d-1/status").json()["status"] == "SUCCESS"
    shown = cloud.http.get(f"{pipeline}/documents/d-1").json()
    assert (shown["text"], shown["status_metadata"]["status"]) == (first["text"], "SUCCESS")
    (hit, *_) = cloud.http.post(f"{pipeline}/retrieve", json={"query": "moon cheese"}).json()["results"]
    assert "cheese" in hit["text"]
    assert hit["metadata"]["topic"] == "moon"
    assert cloud.http.get(f"{pipeline}/files").json() == []


def test_a_document_of_the_same_id_is_replaced(cloud: CloudWorld, pipeline: str) -> None:
    put(cloud, pipeline, {"text": "The moon is made of cheese.", "id": "d", "metadata": {}})
    put(cloud, pipeline, {"text": "Mars is red.", "id": "d", "metadata": {"n": 2}})
    (found,) = cloud.http.get(f"{pipeline}/documents").json()
    assert (found["text"], found["metadata"]) == ("Mars is red.", {"n": 2})
    assert not any("cheese" in each for each in texts(cloud, pipeline, "moon cheese"))
    assert any("Mars" in each for each in texts(cloud, pipeline, "Mars"))


def test_a_deleted_document_is_not_found_any_more(cloud: CloudWorld, pipeline: str) -> None:
    put(cloud, pipeline, {"text": "The moon is made of cheese.", "id": "a"}, {"text": "Mars is red.", "id": "b"})
    assert cloud.http.delete(f"{pipeline}/documents/a").status_code == 204
    cloud.settle()
    assert cloud.http.get(f"{pipeline}/documents/a").status_code == 404
    assert not any("cheese" in each for each in texts(cloud, pipeline, "moon cheese"))
    blobs = cloud.settings.projects_dir / "llamacloud" / "team" / "lf_data" / "cloud" / "files"
    assert len(list(blobs.iterdir())) == 1


def test_documents_are_listed_by_pages_and_counted(cloud: CloudWorld, pipeline: str) -> None:
    put(cloud, pipeline, *({"text": f"text {number}", "id": f"d{number}"} for number in range(5)))
    page = cloud.http.get(f"{pipeline}/documents/paginated", params={"skip": 2, "limit": 2}).json()
    assert [each["id"] for each in page["documents"]] == ["d2", "d3"]
    assert (page["total_count"], page["limit"], page["offset"]) == (5, 2, 2)
    assert [each["id"] for each in cloud.http.get(f"{pipeline}/documents").json()] == [f"d{n}" for n in range(5)]
    counts = cloud.http.get(f"{pipeline}/documents/status-counts").json()
    assert (counts["counts"], counts["total_count"]) == ({"SUCCESS": 5}, 5)
    assert cloud.http.get(f"{pipeline}/documents", params={"file_id": "x"}).json() == []
    assert cloud.http.post(f"{pipeline}/documents/d1/sync").status_code == 204


@pytest.mark.parametrize("document_id", ["a/b.txt", "x" * 500, "ключ", "a b", "..", "status"])
def test_ids_are_what_clients_make_them(cloud: CloudWorld, pipeline: str, document_id: str) -> None:
    from urllib.parse import quote

    put(cloud, pipeline, {"text": "words", "id": document_id})
    path = f"{pipeline}/documents/{quote(document_id, safe='') if document_id != '..' else '%2E%2E'}"
    answer = cloud.http.get(path)
    if document_id != "..":  # which clients' own libraries resolve
        assert answer.json()["id"] == document_id
        assert cloud.http.get(f"{path}/status").status_code == 200
    assert [each["id"] for each in cloud.http.get(f"{pipeline}/documents").json()] == [document_id]


@pytest.mark.parametrize(
    "body",
    [
        [{}],
        [{"text": 1}],
        [{"text": ""}],
        [{"text": " \n"}],
        [{"text": "a\x00"}],
        {"text": "x"},
        [{"text": "x", "id": ""}],
        [{"text": "x", "metadata": 1}],
    ],
)
def test_malformed_documents_are_400(cloud: CloudWorld, pipeline: str, body: Any) -> None:
    assert cloud.http.put(f"{pipeline}/documents", json=body).status_code == 400
    assert cloud.http.get(f"{pipeline}/documents").json() == []


def test_a_document_does_not_take_the_place_of_a_file(cloud: CloudWorld, pipeline: str) -> None:
    file_id = cloud.upload("a.txt", "The moon.", "team")
    assert cloud.http.put(f"{pipeline}/files", json=[{"file_id": file_id}]).status_code == 200
    answer = cloud.http.put(f"{pipeline}/documents", json=[{"text": "words", "id": file_id}])
    assert answer.status_code == 400
    assert cloud.http.get(f"{pipeline}/documents/{file_id}").status_code == 404


def test_documents_of_other_projects_are_not_found(cloud: CloudWorld, pipeline: str) -> None:
    put(cloud, pipeline, {"text": "words", "id": "d"})
    for path in ("documents", "documents/d", "documents/d/status", "documents/paginated"):
        assert cloud.http.get(f"{pipeline}/{path}", params={"project_id": "p2"}).status_code == 404
    assert cloud.http.put(f"{pipeline}/documents", json=[], params={"project_id": "p2"}).status_code == 404
    assert cloud.http.get("/api/v1/pipelines/none/documents").status_code == 404


def test_a_text_that_is_lost_hides_no_other_document(cloud: CloudWorld, pipeline: str) -> None:
    put(cloud, pipeline, {"text": "The moon.", "id": "a"}, {"text": "Mars is red.", "id": "b"})
    blobs = cloud.settings.projects_dir / "llamacloud" / "team" / "lf_data" / "cloud" / "files"
    (blobs / hashlib.sha256(b"The moon.").hexdigest()).unlink()
    lost, kept = cloud.http.get(f"{pipeline}/documents").json()
    assert (lost["id"], lost["text"], lost["status_metadata"]["status"]) == ("a", "", "ERROR")
    assert "send it again" in lost["status_metadata"]["errors"][0]
    assert (kept["id"], kept["text"]) == ("b", "Mars is red.")
    assert cloud.http.get(f"{pipeline}/documents/a").status_code == 200


def test_a_file_that_is_added_while_documents_arrive_keeps_its_place(
    cloud: CloudWorld, pipeline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever comes before the lock is taken is seen behind it."""
    file_id = cloud.upload("a.txt", "The moon.", "team")
    locked = FileShelf.locked

    def late(shelf: FileShelf) -> Any:
        monkeypatch.setattr(FileShelf, "locked", locked)
        assert cloud.http.put(f"{pipeline}/files", json=[{"file_id": file_id}]).status_code == 200
        return locked(shelf)

    monkeypatch.setattr(FileShelf, "locked", late)
    answer = cloud.http.put(f"{pipeline}/documents", json=[{"text": "words", "id": file_id}])
    assert answer.status_code == 400, answer.text
    assert [each["file_id"] for each in cloud.http.get(f"{pipeline}/files").json()] == [file_id]
