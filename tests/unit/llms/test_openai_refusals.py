"""What a model server says when it refuses: how long to wait, and that it takes no tools."""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from rag.errors import RagError, ToolsRefusedError, UpstreamError
from rag.llms.base import LLMRequest
from rag.llms.openai import OpenAILLM

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


@contextmanager
def refusing(status: int, headers: Mapping[str, str] | None = None, body: object = None) -> Iterator[str]:
    """The base URL of a server that answers everything so."""
    sent = b"" if body is None else json.dumps(body).encode()

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": str(len(sent))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


def failure(url: str, **request: object) -> RagError:
    async def ask() -> None:
        llm = OpenAILLM(OpenAILLM.Options(model="m", base_url=url))
        try:
            async for _ in llm.stream(LLMRequest(messages=({"role": "user", "content": "?"},), **request)):
                pass
        finally:
            await llm.aclose()

    with pytest.raises(RagError) as caught:
        asyncio.run(ask())
    return caught.value


@pytest.mark.parametrize(
    ("said", "kept"), [("7", 7), ("0", None), ("99999", None), ("soon", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)]
)
def test_retry_after_of_the_server_is_kept(said: str, kept: int | None) -> None:
    with refusing(429, {"Retry-After": said}) as url:
        caught = failure(url)
    assert isinstance(caught, UpstreamError)
    assert "answered 429" in caught.message
    assert caught.retry_after == kept


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "registry.ollama.ai/library/gemma:2b does not support tools"),
        (400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
        (500, "tools param requires --jinja flag"),
        (404, "No endpoints found that support tool use."),
        (400, "`tool calling` is not supported with this model"),
        (400, "this-model does not support Function Calling"),
        (400, "Unrecognized request argument supplied: tools"),
        (422, "Function calling is not enabled for this model"),
    ],
)
def test_servers_that_take_no_tools_are_understood(status: int, said: str) -> None:
    with refusing(status, body={"error": {"message": said}}) as url:
        caught = failure(url, tools=(TOOL,))
        assert isinstance(caught, ToolsRefusedError)
        assert "prompt_based" in caught.message
        assert said in caught.message
        assert not isinstance(failure(url), ToolsRefusedError)  # none were sent


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "This model's maximum context length is 8192 tokens, the messages and tools need 9000"),
        (400, "Invalid 'tools[0].function.name': string does not match the pattern"),
        (400, "messages with role 'tool' must be a response to a preceding message with 'tool_calls'"),
        (500, "the model runner has unexpectedly stopped"),
        (404, "model 'm' not found"),
        (503, "tool calls are not supported while loading"),
    ],
)
def test_other_refusals_are_not_taken_for_that(status: int, said: str) -> None:
    with refusing(status, body={"error": {"message": said}}) as url:
        assert not isinstance(failure(url, tools=(TOOL,)), ToolsRefusedError)
