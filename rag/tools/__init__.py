"""Servers of tools by the name that `transport` has in llamafarm.yaml."""

from rag.registry import Registry
from rag.tools.base import ToolSource

tool_sources = Registry[ToolSource](
    "MCP transport",
    {
        "stdio": "rag.tools.stdio:StdioSource",
        "http": "rag.tools.http:HttpSource",
        "sse": "rag.tools.sse:SseSource",
    },
)
