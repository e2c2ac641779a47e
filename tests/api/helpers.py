"""What every API test asks of an answer."""

from typing import Any

ERROR_KEYS = {"detail", "error", "message"}


def assert_error(response: Any, status: int, containing: str = "", *, code: str | None = None) -> dict[str, Any]:
    """The answer is an error of `status` in the one shape, and its text names what the test expects."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/json")
    body = response.json()
    assert set(body) == ERROR_KEYS, body
    assert isinstance(body["error"], str)
    assert body["error"]
    assert isinstance(body["message"], str)
    assert containing in body["message"] or containing in str(body["detail"]), body
    if isinstance(body["detail"], list):
        assert all({"loc", "msg", "type"} <= set(problem) for problem in body["detail"])
    else:
        assert body["detail"] == body["message"]
    if code is not None:
        assert body["error"] == code
    for leak in ("Traceback", "/site-packages/", 'File "'):
        assert leak not in response.text
    return body


def assert_ok(response: Any, status: int = 200) -> Any:
    assert response.status_code == status, response.text
    return response.json()
