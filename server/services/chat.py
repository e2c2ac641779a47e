"""What the chat routes do: retrieve → assemble within the budget → call the LLM → stream, and remember."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Protocol

import orjson
from anyio import to_thread

from config.project import ProjectConfig
from config.public import public_config
from rag.errors import RagError, UpstreamError
from rag.llms.base import Delta
from rag.llms.messages import text_of
from rag.prompts import SYSTEM_ROLES
from rag.retrievers.base import Query
from server.schemas.chat import ChatRequest
from server.services.chat_history import said_before
from server.services.chat_loop import Item, ToolLoop
from server.services.chat_sessions import SessionTurns
from server.services.chat_stream import Ahead, ChatStream
from server.services.chat_tools import Toolbox, ToolSourceFor, open_toolbox
from server.services.chat_trace import NullTrace, Trace, TraceFor, describe_hits, describe_search
from server.services.chat_turn import LLMFor, Turn, plan_turn
from server.services.chat_wire import ChunkWriter, Opening, Reply, completion
from server.services.rag import Found
from state.sessions import SessionKey

FIRST_DELTA_WAIT_S = 5.0
"""How long a streamed answer waits for its first words before the headers go out: a failure in this time is an
honest 503, a failure after it an event in the stream. Meanwhile heartbeats show that the server lives."""
ASSISTANT_PROJECT = ("llamafarm", "project_seed")
"""The project whose chat helps with other projects, and may therefore see the active one's config."""


class Search(Protocol):
    """The part of `server.services.rag.Searcher` that chat needs."""

    async def search(
        self,
        config: ProjectConfig,
        queries: Sequence[Query],
        *,
        database: str | None = None,
        strategy: str | None = None,
    ) -> Found: ...


@dataclass(frozen=True, slots=True)
class ChatCall:
    """One request to a project's chat.

    Args:
        session_id: None for a chat that is not remembered.
        active_project: `namespace/project` that the user works on; only the assistant's project listens to it.
        is_new_session: the session's id was made for this call: nobody else can know it.
    """

    project: ProjectConfig
    request: ChatRequest
    session_id: str | None = None
    active_project: str | None = None
    is_new_session: bool = False

    @property
    def key(self) -> SessionKey | None:
        if self.session_id is None:
            return None
        return SessionKey(self.project.namespace, self.project.name, self.session_id)


class ChatService:
    """Answers chats, one at a time per session, over all processes.

    Args:
        llm_for: a configured model → its client; clients are kept and shared.
        load_project: reads another project's config, for the assistant.
        trace_for: who records what happens; by default nobody.
        tool_source_for: an MCP server of a project → its client; clients are kept and shared.
    """

    def __init__(
        self,
        turns: SessionTurns,
        searcher: Search,
        llm_for: LLMFor,
        *,
        load_project: Callable[[str, str], ProjectConfig] | None = None,
        tool_source_for: ToolSourceFor | None = None,
        trace_for: TraceFor = lambda _project: NullTrace(),
        first_delta_wait_s: float = FIRST_DELTA_WAIT_S,
    ) -> None:
        self._turns = turns
        self._sessions = turns.sessions
        self._searcher = searcher
        self._llm_for = llm_for
        self._load_project = load_project
        self._tool_source_for = tool_source_for
        self._trace_for = trace_for
        self._first_delta_wait_s = first_delta_wait_s

    async def complete(self, call: ChatCall) -> dict[str, Any]:
        """The whole answer. Cancelling it stops the LLM."""
        turn, key = await self._plan(call), call.key
        reply, opening = Reply(), Opening(None, (), 0)
        async with aclosing(self._answer(turn, key, call)) as answer:
            async for item in answer:
                if isinstance(item, Opening):
                    opening = item
                elif isinstance(item, Delta):
                    reply.add(item)
        return completion(turn.llm.model, reply, opening, is_thinking=turn.is_thinking)

    async def stream(self, call: ChatCall) -> ChatStream:
        """The answer as it is made; whatever fails before its first words is raised here. Close it in any case."""
        turn, key = await self._plan(call), call.key
        options = call.request.stream_options
        writer = ChunkWriter(
            turn.llm.model,
            is_thinking=turn.is_thinking,
            wants_usage_chunk=options is not None and bool(options.include_usage),
        )
        answer = Ahead(self._answer(turn, key, call))
        await answer.wait(self._first_delta_wait_s)
        return ChatStream(answer, writer)

    async def _plan(self, call: ChatCall) -> Turn:
        """In a thread: the first use of a provider imports its package, which takes a second or two."""
        return await to_thread.run_sync(plan_turn, call.project, call.request, self._llm_for)

    def history(self, key: SessionKey) -> list[dict[str, Any]]:
        """What was said, without system messages, every content as text."""
        shown = [message for message in self._sessions.history(key) if message.get("role") not in SYSTEM_ROLES]
        return [{**message, "content": text_of(message.get("content"))} for message in shown]

    def delete(self, key: SessionKey) -> None:
        self._sessions.delete(key)

    def delete_all(self, namespace: str, project: str) -> int:
        return self._sessions.delete_all(namespace, project)

    async def _answer(self, turn: Turn, key: SessionKey | None, call: ChatCall) -> AsyncGenerator[Item, None]:
        """An Opening, then the answer. The session is written before the last delta, and only after a whole answer."""
        trace, error = self._trace_for(turn.project), "the client left before the answer was complete"
        _note_request(trace, turn)
        try:
            async with self._turns.open(key, turn.messages, is_new=call.is_new_session) as memory:
                found = await self._retrieve(turn, trace, said_before([*memory.stored, *memory.new]))
                toolbox = await self._open_toolbox(turn)
                stored = [*await self._assistance(call), *memory.stored]
                loop = ToolLoop(turn, toolbox, stored, memory.new, found, trace)
                reply, end = Reply(), None
                async with aclosing(loop.spoken()) as items:
                    async for item in items:
                        if isinstance(item, Delta):
                            reply.add(item)
                            end = item
                        if end is None or end.finish_reason is None:
                            yield item
                assert end is not None
                trace.said(turn.messages, reply.message())
                await memory.append([*memory.new, *loop.said])
                error = ""
                yield end
        except RagError as failure:
            error = failure.message
            raise
        finally:
            trace.close(error or None)

    async def _open_toolbox(self, turn: Turn) -> Toolbox:
        if self._tool_source_for is None or not turn.may_call_tools:
            return Toolbox()
        return await open_toolbox(turn.project.mcp_servers_for(turn.model), self._tool_source_for, turn.tool_names)

    async def _retrieve(self, turn: Turn, trace: Trace, history: tuple[tuple[str, str], ...]) -> Found | None:
        queries = [replace(query, history=history) for query in turn.queries]
        if not queries:
            return None
        request = turn.request
        database = turn.project.database(turn.database)
        trace.note("rag_query_start", describe_search(database, request.rag_retrieval_strategy, queries))
        try:
            found = await self._searcher.search(
                turn.project, queries, database=turn.database, strategy=request.rag_retrieval_strategy
            )
        except UpstreamError as error:
            # Never an answer without its sources: the client can ask again, or with rag_enabled: false.
            raise UpstreamError(f"retrieval failed, so the question was not answered: {error.message}") from error
        trace.note("rag_retrieval_complete", describe_hits(found.retrieval.hits))
        return found

    async def _assistance(self, call: ChatCall) -> list[Mapping[str, Any]]:
        """A system message with the active project's config, for the assistant; a wrong name is passed over."""
        namespace, slash, name = (call.active_project or "").partition("/")
        here = (call.project.namespace, call.project.name)
        if not (slash and namespace and name) or here != ASSISTANT_PROJECT or self._load_project is None:
            return []
        try:
            active = await to_thread.run_sync(self._load_project, namespace, name)
        except RagError:
            return []
        config = orjson.dumps(public_config(active.model_dump(mode="json", exclude_none=True))).decode()
        text = f"The user works on the project {namespace}/{name}. Its configuration, without secrets:\n{config}"
        return [{"role": "system", "content": text}]


def _note_request(trace: Trace, turn: Turn) -> None:
    length = sum(len(text_of(message.content)) for message in turn.request.messages)
    is_retrieving = bool(turn.queries)
    trace.note("request_received", {"message_length": length, "model": turn.model.name, "rag_enabled": is_retrieving})
