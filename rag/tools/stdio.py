"""MCP servers that are started as a child process and spoken to over its standard input and output."""

from collections.abc import Mapping

from mcp.client import Transport
from mcp.client.stdio import StdioServerParameters, stdio_client
from pydantic import Field

from rag.tools.mcp_source import McpSource
from rag.tools.options import SourceOptions


class StdioSource(McpSource):
    """The child gets its own variables and PATH, HOME and the like; nothing else of this process's environment."""

    class Options(SourceOptions):
        command: str = Field(min_length=1, description="The program; looked up in PATH.")
        args: tuple[str, ...] = Field((), description="Its arguments.")
        env: Mapping[str, str] = Field(default_factory=dict, repr=False, description="Variables it gets.")

    def __init__(self, options: Options) -> None:
        super().__init__(options, where=f"the program '{options.command}'")
        self._child = StdioServerParameters(command=options.command, args=list(options.args), env=dict(options.env))

    def _transport(self) -> Transport:
        return stdio_client(self._child)
