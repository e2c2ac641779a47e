"""What a model server says about waiting reaches the client."""

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from rag.errors import UpstreamError
from rag.llms.base import LLMRequest
from rag.llms.openai import OpenAILLM


@pytest.mark.parametrize(
    ("said", "kept"), [("7", 7), ("0", None), ("99999", None), ("soon", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)]
)
def test_retry_after_of_the_server_is_kept(said: str, kept: int | None) -> None:
    class Busy(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(429)
            self.send_header("Retry-After", said)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    async def ask(port: int) -> None:
        llm = OpenAILLM(OpenAILLM.Options(model="m", base_url=f"http://127.0.0.1:{port}/v1"))
        try:
            async for _ in llm.stream(LLMRequest(messages=[{"role": "user", "content": "?"}])):
                pass
        finally:
            await llm.aclose()

    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            with pytest.raises(UpstreamError, match="answered 429") as caught:
                asyncio.run(ask(server.server_port))
        finally:
            server.shutdown()
            thread.join()
    assert caught.value.retry_after == kept
