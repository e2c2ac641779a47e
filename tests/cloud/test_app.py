"""What all operations of the LlamaCloud API have in common."""

import pytest

from tests.api.document import operations
from tests.cloud.conftest import CloudWorld

PUBLISHED = """
POST files 200
GET pipelines 200 | POST pipelines 201 | GET pipelines/{} 200 | DELETE pipelines/{} 200 | POST pipelines/{}/sync 200
GET pipelines/{}/files 200 | PUT pipelines/{}/files 200 | GET pipelines/{}/files/count 200
GET pipelines/{}/data-sources 200 | PUT pipelines/{}/data-sources 200 | POST pipelines/{}/retrieve 200
GET extraction/extraction-agents 200 | POST extraction/extraction-agents 201
GET extraction/extraction-agents/{} 200 | PUT extraction/extraction-agents/{} 200
DELETE extraction/extraction-agents/{} 200
POST extraction/jobs 200 | GET extraction/jobs/{} 200 | GET extraction/jobs/{}/result 200
POST indexes 200 | GET indexes/{} 200 | DELETE indexes/{} 204 | POST indexes/{}/sync 200
POST retrieval/retrieve 200 | POST retrieval/files/search 200 | POST retrieval/files/grep 200
POST retrieval/files/read 200
GET chat 200 | POST chat 200 | GET chat/{} 200 | DELETE chat/{} 204 | GET chat/{}/summary 200
POST chat/{}/title 200 | POST chat/{}/messages/stream 200
POST beta/agent-data 200 | GET beta/agent-data/{} 200 | PUT beta/agent-data/{} 200 | DELETE beta/agent-data/{} 200
POST beta/agent-data/:search 200 | POST beta/agent-data/:aggregate 200 | POST beta/agent-data/:delete 200
POST beta/sheets/jobs 200 | GET beta/sheets/jobs 200 | GET beta/sheets/jobs/{} 200 | DELETE beta/sheets/jobs/{} 200
GET beta/sheets/jobs/{}/regions/{}/result/{} 200
POST beta/directories 201 | GET beta/directories 200 | GET beta/directories/{} 200 | PATCH beta/directories/{} 200
DELETE beta/directories/{} 204
POST beta/directories/{}/files 201 | GET beta/directories/{}/files 200 | GET beta/directories/{}/files/{} 200
PATCH beta/directories/{}/files/{} 200 | DELETE beta/directories/{}/files/{} 204
POST beta/directories/{}/files/upload 201
POST beta/batch-processing 201 | GET beta/batch-processing 200 | GET beta/batch-processing/{} 200
POST beta/batch-processing/{}/cancel 200 | GET beta/batch-processing/{}/items 200
GET beta/batch-processing/items/{}/processing-results 200
POST beta/split/jobs 201 | GET beta/split/jobs 200 | GET beta/split/jobs/{} 200
GET v2/batches 200
"""
"""The operations of the published reference and what they answer on success; below /api/v1, unless they say v2."""
OPERATIONS = [line.strip().rsplit(" ", 1) for line in PUBLISHED.replace("|", "\n").splitlines() if line.strip()]


def test_there_are_68_published_operations() -> None:
    assert len({name for name, _ in OPERATIONS}) == len(OPERATIONS) == 68


@pytest.mark.parametrize(("name", "status"), OPERATIONS, ids=[name for name, _ in OPERATIONS])
def test_every_published_operation_is_served_with_its_status(name: str, status: str) -> None:
    served = {f"{each.method} {_plain(each.path)}": each for each in operations()}
    successes = [code for code in served[name].operation["responses"] if code < "300"]
    assert successes == [status]


def _plain(path: str) -> str:
    """As above: without the prefix and the names of parameters."""
    parts = path.removeprefix("/api/").removeprefix("v1/").split("/")
    return "/".join("{}" if part.startswith("{") else part for part in parts)


def test_an_unknown_path_is_answered_in_json(cloud: CloudWorld) -> None:
    answer = cloud.http.get("/api/v1/no-such-thing")
    assert answer.status_code == 404
    assert "no-such-thing" in answer.json()["detail"]


def test_older_clients_get_a_list_of_problems_with_every_422(cloud: CloudWorld) -> None:
    body = {"file_id": cloud.upload("a.csv", "a,b"), "config": {"extraction_range": "A1..B2"}}
    plain = cloud.http.post("/api/v1/beta/sheets/jobs", json=body)
    older = cloud.http.post("/api/v1/beta/sheets/jobs", json=body, headers={"X-Fern-Language": "Python"})
    assert (plain.status_code, older.status_code) == (422, 422)
    (problem,) = older.json()["detail"]
    assert (problem["loc"], problem["msg"], problem["type"]) == (["body"], plain.json()["detail"], "InvalidInput")
    assert older.json()["message"] == plain.json()["message"]
    missing = cloud.http.get("/api/v1/beta/sheets/jobs/x", headers={"X-Fern-Language": "Python"})
    assert missing.json()["detail"] == missing.json()["message"]
