"""What a Chroma server may answer and what becomes of it."""

from typing import Any

import numpy as np
import orjson
import pytest
import urllib3
from urllib3.exceptions import NewConnectionError, ReadTimeoutError

from rag.errors import ConflictError, UpstreamError
from rag.stores.chroma_http import ChromaServer, CollectionMissingError, chroma_server


class Answering(urllib3.HTTPConnectionPool):
    """Asks nobody."""

    def __init__(self, answer: tuple[int, Any] | Exception) -> None:
        super().__init__("chroma.test", 8000)
        self._answer = answer

    def urlopen(self, *_arguments: Any, **_options: Any) -> urllib3.HTTPResponse:  # type: ignore[override]
        if isinstance(self._answer, Exception):
            raise self._answer
        status, body = self._answer
        return urllib3.HTTPResponse(body.encode() if isinstance(body, str) else orjson.dumps(body), status=status)


def server(answer: tuple[int, Any] | Exception) -> ChromaServer:
    return ChromaServer("http://chroma.test:8000/", Answering(answer))


NOWHERE = urllib3.HTTPConnectionPool("chroma.test", 8000)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (NewConnectionError(NOWHERE, "refused"), "http://chroma.test:8000 does not answer .*Check that it runs"),  # type: ignore[arg-type]
        (ReadTimeoutError(NOWHERE, "/", "slow"), "does not answer .ReadTimeoutError."),
        ((500, {"error": "Internal", "message": "disk is broken"}), "answered 500: disk is broken"),
        ((503, "<html>"), "answered 503: <html>"),
        ((200, "<html>"), "not a Chroma server"),
    ],
    ids=["refused", "slow", "error", "not JSON", "another server"],
)
def test_every_failure_names_the_server(answer: tuple[int, Any] | Exception, message: str) -> None:
    with pytest.raises(UpstreamError, match=message):
        server(answer).query("id", np.ones(3, np.float32), 5)


def test_a_folder_that_was_removed_under_the_server_is_told_with_the_way_out() -> None:
    answer = (500, {"message": "error returned from database: (code: 1032) attempt to write a readonly database"})
    with pytest.raises(ConflictError, match=r"was removed or is read-only.*lf server stop.*lf db rebuild"):
        server(answer).create("name", {}, {})


def test_a_missing_collection_is_told_apart() -> None:
    gone = server((404, {"error": "NotFoundError", "message": "gone"}))
    assert gone.find("name") is None
    gone.drop("name")
    with pytest.raises(CollectionMissingError):
        gone.query("id", np.ones(3, np.float32), 5)


def test_a_process_has_one_client_per_address() -> None:
    assert chroma_server("http://one.test") is chroma_server("http://one.test")
    assert chroma_server("http://one.test") is not chroma_server("http://two.test")
