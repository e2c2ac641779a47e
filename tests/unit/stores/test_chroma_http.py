"""What a Chroma server may answer and what becomes of it."""

import httpx
import numpy as np
import pytest

from rag.errors import UpstreamError
from rag.stores.chroma_http import ChromaServer, CollectionMissingError, chroma_server


def server(answer: httpx.Response | Exception) -> ChromaServer:
    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ChromaServer("http://chroma.test:8000/", httpx.MockTransport(handle))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (httpx.ConnectError("refused"), "http://chroma.test:8000 does not answer .*Check that it runs"),
        (httpx.ReadTimeout("slow"), "does not answer .ReadTimeout."),
        (httpx.Response(500, json={"error": "Internal", "message": "disk is broken"}), "answered 500: disk is broken"),
        (httpx.Response(503, text="<html>"), "answered 503: <html>"),
        (httpx.Response(200, text="<html>"), "not a Chroma server"),
    ],
    ids=["refused", "slow", "error", "not JSON", "another server"],
)
def test_every_failure_names_the_server(answer: httpx.Response | Exception, message: str) -> None:
    with pytest.raises(UpstreamError, match=message):
        server(answer).query("id", np.ones(3, np.float32), 5)


def test_a_missing_collection_is_told_apart() -> None:
    gone = server(httpx.Response(404, json={"error": "NotFoundError", "message": "gone"}))
    assert gone.find("name") is None
    gone.drop("name")
    with pytest.raises(CollectionMissingError):
        gone.query("id", np.ones(3, np.float32), 5)


def test_a_process_has_one_client_per_address() -> None:
    assert chroma_server("http://one.test") is chroma_server("http://one.test")
    assert chroma_server("http://one.test") is not chroma_server("http://two.test")
