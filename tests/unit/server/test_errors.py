import json
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

import rag.errors
from rag.errors import ConflictError, NotFoundError, RagError, UpstreamError
from server.errors import STATUS, error_response, install_error_handlers, status_of, validation_response


def subclasses(kind: type[RagError]) -> Iterator[type[RagError]]:
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


@pytest.mark.parametrize("kind", sorted(set(subclasses(RagError)), key=lambda kind: kind.__name__))
def test_every_error_resolves_to_a_status(kind: type[RagError]) -> None:
    status = status_of(kind("what happened"))
    assert 400 <= status < 600
    assert status != 500, "an error that is raised on purpose is no crash"


def test_tree_drawn_in_the_errors_module_is_the_table() -> None:
    drawn = {
        name: int(number)
        for line in (rag.errors.__doc__ or "").splitlines()
        for name, number in [_drawn(line)]
        if number
    }
    assert drawn
    for name, number in drawn.items():
        assert status_of(getattr(rag.errors, name)("x")) == number


def _drawn(line: str) -> tuple[str, str]:
    words = line.strip("│├└─ ").split()
    return (words[0], words[1]) if len(words) > 1 and words[1].isdigit() else ("", "")


def test_table_has_no_class_twice_and_the_root_is_a_crash() -> None:
    assert STATUS[RagError] == 500


def test_conflict_over_a_version_is_412() -> None:
    error = ConflictError("changed")
    error.code = "PreconditionFailed"
    assert status_of(error) == 412


def test_code_of_an_instance_wins() -> None:
    assert NotFoundError("x", code="ProjectNotFound").code == "ProjectNotFound"


@pytest.mark.parametrize("status", [429, 503])
def test_what_may_be_tried_again_says_when(status: int) -> None:
    assert int(error_response(status, "X", "x").headers["retry-after"]) > 0


@pytest.mark.parametrize(("said", "told"), [(7, "7"), (None, "5")])
def test_what_an_upstream_said_about_waiting_is_passed_on(said: int | None, told: str) -> None:
    app = FastAPI()
    install_error_handlers(app)

    @app.get("/")
    def fail() -> None:
        error = UpstreamError("busy")
        error.retry_after = said
        raise error

    assert TestClient(app).get("/").headers["retry-after"] == told


def test_long_message_is_cut() -> None:
    body = error_response(404, "NotFound", "x" * 100_000).body
    assert len(body) < 10_000


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        ("a\ud800b", "a?b"),
        (b"\xff" * 9, "9 bytes"),
        ({"a": 1}, "object of 1"),
        ([1, 2], "list of 2"),
        (object(), "object"),
        (None, None),
        (True, True),
        (3, 3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_offending_input_is_plain_and_small(value: object, shown: object) -> None:
    response = validation_response([{"loc": ("body", 0, "x"), "msg": "m", "type": "t", "input": value}])
    assert json.loads(response.body)["detail"] == [{"loc": ["body", 0, "x"], "msg": "m", "type": "t", "input": shown}]


def test_long_input_is_cut() -> None:
    response = validation_response([{"loc": ("x" * 9999,), "msg": "m" * 9999, "type": "t", "input": "i" * 9999}])
    assert len(response.body) < 4000
