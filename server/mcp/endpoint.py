"""`/mcp`: the streamable-HTTP endpoint. It keeps nothing between requests: any API process can answer any of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup, TaskStatus
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from config.settings import Settings
from server.errors import error_response

PATHS = ("/mcp", "/mcp/")


class McpEndpoint:
    """The ASGI app behind `/mcp`. `run` must be entered while it serves.

    Host names and keys are checked by the app's own middleware, before a request comes here and again for the
    request that a tool call makes, which carries the client's key. The protocol is loaded for the first request:
    it takes half a second and 25 MB, and most servers never meet an agent.
    """

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._group: TaskGroup | None = None
        self._protocol: ASGIApp | None = None
        self._starting = anyio.Lock()

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            self._group = group
            try:
                yield
            finally:
                self._group = self._protocol = None
                group.cancel_scope.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            message = f"{scope['method']} {scope['path']}: this is an MCP endpoint; clients send POST requests to it"
            response = error_response(405, "MethodNotAllowed", message, headers={"Allow": "POST"})
            await response(scope, receive, send)
            return
        protocol = await self._started()
        await protocol(scope, receive, send)

    async def _started(self) -> ASGIApp:
        async with self._starting:
            if self._protocol is None:
                assert self._group is not None, "the app's lifespan has not begun"
                self._protocol = await self._group.start(self._serve)
            return self._protocol

    async def _serve(self, *, task_status: TaskStatus[ASGIApp]) -> None:
        """Open until the app ends, in a task of its own: what was opened must be closed by the same task."""
        protocol = await to_thread.run_sync(import_module, "server.mcp.protocol")
        manager = protocol.session_manager(self._app, max_body_bytes=self._settings.max_body_bytes)
        async with manager.run():
            task_status.started(manager.handle_request)
            await anyio.sleep_forever()
