"""The tools of MCP servers in a chat: which there are, under which names, and running what a model calls."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from anyio import to_thread

from config.project import McpServer
from rag.errors import RagError
from rag.prompts import estimate_tokens
from rag.tools.base import Tool, ToolSource

MAX_CALLS = 32
"""Of one turn; further ones are answered with a refusal."""
MAX_NAME_CHARS = 64
CUT = "\n… (cut to fit the model's window)"

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")

ToolSourceFor = Callable[[McpServer], ToolSource]
Message = dict[str, Any]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Toolbox:
    """What the server itself can run in this turn.

    Args:
        offers: in OpenAI's shape.
        places: the name that a model calls → the source and the tool's own name there.
        notes: sentences on servers whose tools are missing.
    """

    offers: tuple[Mapping[str, Any], ...] = ()
    places: Mapping[str, tuple[ToolSource, str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def has(self, name: str) -> bool:
        return name in self.places

    async def run(self, calls: Sequence[Mapping[str, Any]], most_tokens: int) -> list[Message]:
        """Run calls side by side; the messages with their results, in their order.

        A tool that fails is a result as well. Cancelling stops all of them.

        Args:
            most_tokens: what all results together may take in the prompt.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._text(call)) for call in calls[:MAX_CALLS]]
        texts = [task.result() for task in tasks]
        texts += [f"Error: not run, at most {MAX_CALLS} tools can be called at once"] * (len(calls) - len(texts))
        share = most_tokens // max(1, len(texts))
        return [
            {"role": "tool", "tool_call_id": call["id"], "content": cut_to_tokens(text, share)}
            for call, text in zip(calls, texts, strict=True)
        ]

    async def _text(self, call: Mapping[str, Any]) -> str:
        function = call["function"]
        source, own_name = self.places[function["name"]]
        arguments = _arguments(function["arguments"])
        if arguments is None:
            return f"Error: the arguments are not a JSON object: {function['arguments'][:200]}"
        started_at = time.perf_counter()
        try:
            result = await source.call(own_name, arguments)
        except RagError as error:
            log.warning("mcp.call_failed", server=source.name, tool=own_name, reason=error.message)
            return f"Error: {error.message}"
        duration_s = round(time.perf_counter() - started_at, 3)
        log.info("mcp.called", server=source.name, tool=own_name, is_error=result.is_error, duration_s=duration_s)
        return f"Error: {result.text}" if result.is_error else result.text


async def open_toolbox(servers: Sequence[McpServer], source_for: ToolSourceFor, taken: Iterable[str]) -> Toolbox:
    """Ask all servers what they offer. One that cannot be used is left out with a note.

    Args:
        taken: names of the request's and the configured tools; they win over a server's.
    """
    if not servers:
        return Toolbox()
    answers = await asyncio.gather(*(_listed(server, source_for) for server in servers))
    names = set(taken)
    places: dict[str, tuple[ToolSource, str]] = {}
    offers: list[Mapping[str, Any]] = []
    for source, tools, _ in answers:
        for tool in tools if source is not None else ():
            name = _free_name(tool, source, names, places)
            if source is not None and name is not None:
                places[name] = (source, tool.name)
                offers.append(_offer(name, tool))
    return Toolbox(tuple(offers), places, tuple(note for *_, note in answers if note))


async def _listed(server: McpServer, source_for: ToolSourceFor) -> tuple[ToolSource | None, Sequence[Tool], str]:
    try:
        # In a thread: the first use imports the MCP package, and an address is looked up.
        source = await to_thread.run_sync(source_for, server)
        return source, await source.tools(), ""
    except RagError as error:
        log.warning("mcp.left_out", server=server.name, reason=error.message)
        return None, (), f"the tools of MCP server '{server.name}' are left out: {error.message}"


def _free_name(tool: Tool, source: ToolSource | None, taken: set[str], places: Mapping[str, Any]) -> str | None:
    """A name that models accept; where two servers have the same, the later one's is put before it."""
    name = _plain(tool.name)
    if name in places and source is not None:
        name = _plain(f"{source.name}_{tool.name}")
    return None if name in taken or name in places else name


def _plain(name: str) -> str:
    return _NOT_IN_NAMES.sub("_", name)[:MAX_NAME_CHARS] or "_"


def _offer(name: str, tool: Tool) -> Mapping[str, Any]:
    function = {"name": name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def _arguments(text: str) -> dict[str, Any] | None:
    try:
        arguments = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return None
    return arguments if isinstance(arguments, dict) else None


def cut_to_tokens(text: str, most_tokens: int) -> str:
    """The beginning of `text` that is estimated to take so many tokens."""
    while (count := estimate_tokens(text)) > most_tokens and len(text) > len(CUT):
        text = text.removesuffix(CUT)
        text = text[: max(0, len(text) * most_tokens // count - len(CUT) - 1)] + CUT
    return text
