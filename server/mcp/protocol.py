"""The protocol: lists the tools and calls them. Its package is large, so this is imported for the first agent."""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams

from rag.errors import InvalidInputError
from server.mcp.asgi import call
from server.mcp.requests import request_of
from server.mcp.results import failure, result_of
from server.mcp.tools import document_of, operations_of

INSTRUCTIONS = """\
Paddock answers questions from the files of a project. A project lives in a namespace and has datasets (files) and \
databases (what is searched).
To find something: rag_query with namespace, project and query; it gives passages with file, page and score. \
chat_completions lets the project's own model answer from them.
To add files: dataset_data_upload, then dataset_actions with action_type "process", then task_get until state is \
SUCCESS or FAILURE.
To begin anew: project_create, then dataset_strategies_list and dataset_create."""


def session_manager(app: FastAPI, *, max_body_bytes: int) -> StreamableHTTPSessionManager:
    """What answers requests to `/mcp`, once its `run` is entered. It keeps no session."""
    tools = Tools(app)
    server: Server[Any] = Server(
        "paddock",
        version=version("paddock"),
        title="Paddock",
        instructions=INSTRUCTIONS,
        on_list_tools=tools.list,
        on_call_tool=tools.call,
    )
    return StreamableHTTPSessionManager(server, stateless=True, max_request_body_size=max_body_bytes)


class Tools:
    """The operations of `app` as tools."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._operations = operations_of(document_of(app))

    async def call(self, context: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        operation = self._operations.get(params.name)
        if operation is None:
            return failure(f"there is no tool '{params.name}'; there are {', '.join(self._operations)}")
        try:
            wanted = request_of(operation, params.arguments or {})
        except InvalidInputError as error:
            return failure(error.message)
        return result_of(operation, await call(self._app, wanted, context.request))

    async def list(
        self, _context: ServerRequestContext[Any], _params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        return ListToolsResult(tools=[each.tool() for each in self._operations.values()])
