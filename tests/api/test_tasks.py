import pytest
from starlette.testclient import TestClient

from tests.api.helpers import assert_error, assert_ok


@pytest.fixture
def task_url(client: TestClient, project: str) -> str:
    answer = assert_ok(client.post(f"{project}/datasets/docs/actions", json={"action_type": "process"}))
    return f"{project}/tasks/{answer['task_id']}"


def test_task_is_answered_with_nulls(client: TestClient, task_url: str) -> None:
    body = assert_ok(client.get(task_url))
    assert {"error", "traceback"} <= set(body)
    assert body["error"] is None
    assert body["cancelled"] is False


def test_cancel_of_a_finished_task_says_so(client: TestClient, task_url: str) -> None:
    body = assert_ok(client.delete(task_url))
    assert body["already_completed"] is True
    assert body["errors"] is None


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("task_id", ["none", "%2e%2e", "a%00b", "x" * 5000])
def test_unknown_task_is_404(client: TestClient, project: str, method: str, task_id: str) -> None:
    assert_error(client.request(method, f"{project}/tasks/{task_id}"), 404)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_task_of_another_project_is_404(client: TestClient, task_url: str, method: str) -> None:
    assert_error(client.request(method, task_url.replace("/bot/", "/other/")), 404, "not found")
    assert_error(client.request(method, task_url.replace("/org/", "/other/")), 404, "not found")
