"""From the arguments of a tool call to a request."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from rag.errors import InvalidInputError
from server.app import create_app
from server.mcp.requests import request_of
from server.mcp.tools import Operation, document_of, operations_of
from tests.api.document import document

OPERATIONS = operations_of(document())
ODD: list[Any] = ["", "x" * 300, "\ud800", 7, -1, True, None, [], {}, [{}], {"a": [1]}, [{"filename": {}, "text": 3}]]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_any_arguments_make_a_request_or_are_refused(operation: Operation) -> None:
    named = {"namespace": "org", "project": "bot", "dataset": "d", "database": "d", "filename": "x.txt"}
    for value, fixed in product(ODD, ({}, named)):
        try:
            request = request_of(operation, {name: fixed.get(name, value) for name in operation.arguments})
        except InvalidInputError:
            continue
        assert request.path.startswith("/v1/")
        assert ".." not in request.path.split("/")


def test_lists_are_repeated_and_booleans_are_spelled_as_in_json() -> None:
    given = {"namespace": "org", "project": "bot", "database": "d", "filter": ["a:1", "b:2"]}
    assert request_of(OPERATIONS["rag_list_documents"], given).query == "filter=a%3A1&filter=b%3A2"
    given = {"namespace": "org", "project": "bot", "include_extra_details": False}
    assert request_of(OPERATIONS["dataset_list"], given).query == "include_extra_details=false"


def test_names_are_percent_encoded() -> None:
    request = request_of(OPERATIONS["project_get"], {"namespace": "org", "project": "café?#%"})
    assert request.path == "/v1/projects/org/caf%C3%A9%3F%23%25"
    assert request.decoded_path == "/v1/projects/org/café?#%"


def test_a_chat_is_forgotten_unless_a_session_is_named() -> None:
    given: dict[str, Any] = {"namespace": "org", "project": "bot", "messages": []}
    chat = OPERATIONS["chat_completions"]
    assert request_of(chat, given).headers["x-no-session"] == "true"
    named = request_of(chat, {**given, "x_session_id": "s"}).headers
    assert (named["x-session-id"], "x-no-session" in named) == ("s", False)


def test_tools_are_made_of_their_own_operations_alone_and_are_the_same(tmp_path: Path) -> None:
    own = document_of(create_app(Settings(_env_file=None, data_dir=tmp_path)))
    assert not [path for path in own["paths"] if path.startswith("/api/")], "the whole document takes seconds"
    assert operations_of(own) == operations_of(document())
