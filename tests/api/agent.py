"""An MCP client of an app under test: the official one, without a connection."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, Tool
from starlette.testclient import TestClient

HOST = "http://127.0.0.1:8000"
Result = TypeVar("Result")


@dataclass
class Agent:
    client: TestClient
    mode: str = "auto"
    path: str = "/mcp"
    headers: dict[str, str] = field(default_factory=dict)

    def tools(self) -> dict[str, Tool]:
        async def work(mcp: Client) -> dict[str, Tool]:
            return {tool.name: tool for tool in (await mcp.list_tools()).tools}

        return self._run(work)

    def call(self, name: str, /, **arguments: Any) -> CallToolResult:
        async def work(mcp: Client) -> CallToolResult:
            result = await mcp.call_tool(name, arguments)
            assert isinstance(result, CallToolResult)
            return result

        return self._run(work)

    def ok(self, name: str, /, **arguments: Any) -> Any:
        result = self.call(name, **arguments)
        assert not result.is_error, text_of(result)
        return result.structured_content

    def refused(self, name: str, /, **arguments: Any) -> str:
        result = self.call(name, **arguments)
        assert result.is_error, text_of(result)
        return text_of(result)

    def _run(self, work: Callable[[Client], Awaitable[Result]]) -> Result:
        async def connected() -> Result:
            transport = httpx2.ASGITransport(app=self.client.app)
            async with (
                httpx2.AsyncClient(transport=transport, base_url=HOST, headers=self.headers) as http,
                Client(streamable_http_client(HOST + self.path, http_client=http), mode=self.mode) as mcp,
            ):
                return await work(mcp)

        assert self.client.portal is not None
        return self.client.portal.call(connected)


def text_of(result: CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if part.type == "text")
