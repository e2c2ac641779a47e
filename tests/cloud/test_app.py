"""What all operations of the LlamaCloud API have in common."""

from tests.cloud.conftest import CloudWorld


def test_an_unknown_path_is_answered_in_json(cloud: CloudWorld) -> None:
    answer = cloud.http.get("/api/v1/no-such-thing")
    assert answer.status_code == 404
    assert "no-such-thing" in answer.json()["detail"]
