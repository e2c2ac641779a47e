"""What all MCP servers share: one session per process, a list of tools that is kept for a while, calls with a limit."""

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import httpx2
import mcp_types
from mcp.client import Client, InputRequiredRoundsExceededError, Transport
from mcp.shared.exceptions import MCPError

from rag.errors import UpstreamError
from rag.tools.base import Tool, ToolResult
from rag.tools.mcp_session import McpSession
from rag.tools.options import SourceOptions

LISTED_S = 300.0
"""How long a list of tools is taken for true."""
RETRY_AFTER_S = 30.0
"""A server that could not be reached is left alone for so long: chats must not wait for it again and again."""
MAX_TOOLS = 256
MAX_RESULT_CHARS = 100_000
BROKEN = frozenset({mcp_types.CONNECTION_CLOSED, mcp_types.INVALID_REQUEST})
"""Codes of a session that is of no more use; the second one is a session that the server has forgotten."""

FAILURES = (
    MCPError,
    InputRequiredRoundsExceededError,
    OSError,
    ValueError,
    RuntimeError,
    httpx2.HTTPError,
    anyio.ClosedResourceError,
    anyio.BrokenResourceError,
)
"""What the package raises; a message that is not MCP is a ValueError, a result against its schema a RuntimeError."""


class McpSource(ABC):
    """A tool source over MCP. Sessions are opened when they are needed and again when they break."""

    def __init__(self, options: SourceOptions, *, where: str, address: str = "") -> None:
        """Args: where: what messages call it; address: what they must not show, as it may hold a key."""
        self.name = options.name
        self._where = where
        self._address = address
        self._timeout_s = options.timeout_s
        self._connect_timeout_s = options.connect_timeout_s
        self._session: McpSession | None = None
        self._tools: tuple[Tool, ...] = ()
        self._listed_at: float | None = None

    @abstractmethod
    def _transport(self) -> Transport: ...

    async def tools(self) -> Sequence[Tool]:
        if self._listed_at is None or time.monotonic() - self._listed_at > LISTED_S:
            try:
                self._tools = await self._listed()
            except UpstreamError:
                # The list may be old, or the session gone without a sign; a second, new one decides.
                if self._session is None or self._session.failed_at is not None:
                    raise
                self._tools = await self._listed()
            self._listed_at = time.monotonic()
        return self._tools

    async def call(self, tool_name: str, arguments: Mapping[str, Any]) -> ToolResult:
        session = await self._open_session()
        with session.in_use() as client:
            try:
                result = await client.call_tool(tool_name, dict(arguments), read_timeout_seconds=self._timeout_s)
            except FAILURES as error:
                raise self._failed(session, error, f"while it ran '{tool_name}'") from error
        return ToolResult(_text(result), is_error=result.is_error)

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.aclose()

    async def _listed(self) -> tuple[Tool, ...]:
        session = await self._open_session()
        with session.in_use() as client:
            try:
                with anyio.fail_after(self._connect_timeout_s):
                    return await _all_tools(client)
            except FAILURES as error:
                raise self._failed(session, error, "while it listed its tools") from error

    async def _open_session(self) -> McpSession:
        while True:
            session = self._session
            if session is None or (session.is_over and not _failed_lately(session)):
                session = self._session = McpSession(self._transport(), open_timeout_s=self._connect_timeout_s)
            error = await session.opened()
            if error is not None:
                reason = self._reason(error)
                raise UpstreamError(f"MCP server '{self.name}' ({self._where}) cannot be used: {reason}") from error
            if not session.is_over:  # it may have ended while this task waited for its turn
                return session

    def _failed(self, session: McpSession, error: Exception, doing: str) -> UpstreamError:
        if isinstance(error, MCPError) and error.code == mcp_types.REQUEST_TIMEOUT:
            return UpstreamError(
                f"MCP server '{self.name}' gave no answer within {self._timeout_s:g} s {doing} (LF_MCP_TIMEOUT_S)"
            )
        if not isinstance(error, MCPError) or error.code in BROKEN:
            session.retire()
            self._listed_at = None
        return UpstreamError(f"MCP server '{self.name}' failed {doing}: {self._reason(error)}")

    def _reason(self, error: BaseException) -> str:
        """The innermost failure in words: task groups wrap what happened in them."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        text = str(error).strip()
        if self._address:
            text = text.replace(self._address, self._where)
        return text[:300] or type(error).__name__


def _failed_lately(session: McpSession) -> bool:
    return session.failed_at is not None and time.monotonic() - session.failed_at < RETRY_AFTER_S


async def _all_tools(client: Client) -> tuple[Tool, ...]:
    found: list[Tool] = []
    cursor: str | None = None
    while len(found) < MAX_TOOLS:
        page = await client.list_tools(cursor=cursor, cache_mode="bypass")
        found += [Tool(tool.name, tool.description or "", tool.input_schema) for tool in page.tools]
        cursor = page.next_cursor
        if cursor is None:
            break
    return tuple(found[:MAX_TOOLS])


def _text(result: mcp_types.CallToolResult) -> str:
    """The texts of a result, a line for each part that is none, and its structure when there is nothing else."""
    parts = [_part(block) for block in result.content]
    if not parts and result.structured_content is not None:
        parts = [json.dumps(result.structured_content, ensure_ascii=False)]
    text = "\n".join(parts)
    if len(text) > MAX_RESULT_CHARS:
        return f"{text[:MAX_RESULT_CHARS]}\n… (cut: {MAX_RESULT_CHARS} of {len(text)} characters)"
    return text


def _part(block: mcp_types.ContentBlock) -> str:
    match block:
        case mcp_types.TextContent():
            return block.text
        case mcp_types.ResourceLink():
            return f"[resource {block.name}: {block.uri}]"
        case mcp_types.EmbeddedResource():
            resource = block.resource
            if isinstance(resource, mcp_types.TextResourceContents):
                return resource.text
            return f"[resource {resource.uri}: binary]"
        case _:
            return f"[{block.type}: {block.mime_type}, {len(block.data)} characters of base64]"
