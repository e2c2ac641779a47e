"""What the chat routes do: retrieve → assemble within the budget → call the LLM → stream, and remember."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, cast
from weakref import WeakValueDictionary

import orjson
import structlog
from anyio import to_thread

from config.project import ProjectConfig
from config.public import public_config
from rag.errors import RagError, UpstreamError
from rag.llms.base import Delta, LLMRequest
from rag.llms.messages import text_of
from rag.prompts import SYSTEM_ROLES, estimate_message_tokens
from rag.retrievers.base import Query
from rag.types import Hit
from server.schemas.chat import ChatRequest
from server.services.chat_stream import Ahead, ChatStream
from server.services.chat_trace import NullTrace, Trace, TraceFor, describe_hits
from server.services.chat_turn import LLMFor, Turn, plan_turn
from server.services.chat_wire import ChunkWriter, Opening, Reply, completion, source_items
from server.services.rag import Found
from state.sessions import SessionKey, SessionStore, unseen

FIRST_DELTA_WAIT_S = 5.0
"""How long a streamed answer waits for its first words before the headers go out: a failure in this time is an
honest 503, a failure after it an event in the stream. Meanwhile heartbeats show that the server lives."""
ASSISTANT_PROJECT = ("llamafarm", "project_seed")
"""The project whose chat helps with other projects, and may therefore see the active one's config."""

LAID_OUT_ON_THE_LOOP_BYTES = 64_000
"""The prompt of a longer conversation is made in a thread: it takes longer than other requests should wait."""
HISTORY_MESSAGES = 2_000
"""Most messages of a session that a turn looks at: more than fit into any window."""

log = structlog.get_logger(__name__)


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
    """

    project: ProjectConfig
    request: ChatRequest
    session_id: str | None = None
    active_project: str | None = None

    @property
    def key(self) -> SessionKey | None:
        if self.session_id is None:
            return None
        return SessionKey(self.project.namespace, self.project.name, self.session_id)


class ChatService:
    """Answers chats. One chat at a time per session within a process; sessions themselves are shared by all.

    Args:
        llm_for: a configured model → its client; clients are kept and shared.
        load_project: reads another project's config, for the assistant.
        trace_for: who records what happens; by default nobody.
    """

    def __init__(
        self,
        sessions: SessionStore,
        searcher: Search,
        llm_for: LLMFor,
        *,
        load_project: Callable[[str, str], ProjectConfig] | None = None,
        trace_for: TraceFor = lambda _project: NullTrace(),
        first_delta_wait_s: float = FIRST_DELTA_WAIT_S,
    ) -> None:
        self._sessions = sessions
        self._searcher = searcher
        self._llm_for = llm_for
        self._load_project = load_project
        self._trace_for = trace_for
        self._first_delta_wait_s = first_delta_wait_s
        self._locks: WeakValueDictionary[SessionKey, asyncio.Lock] = WeakValueDictionary()

    async def complete(self, call: ChatCall) -> dict[str, Any]:
        """The whole answer. Cancelling it stops the LLM."""
        turn, key = await self._plan(call), call.key
        reply, opening = Reply(), Opening(None, (), 0)
        async with aclosing(self._answer(turn, key, call)) as answer:
            async for item in answer:
                if isinstance(item, Opening):
                    opening = item
                else:
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

    async def _answer(
        self, turn: Turn, key: SessionKey | None, call: ChatCall
    ) -> AsyncGenerator[Opening | Delta, None]:
        """An Opening, then deltas. The session is written before the last delta, and only after a whole answer."""
        trace, error = self._trace_for(turn.project), "the client left before the answer was complete"
        _note_request(trace, turn)
        try:
            async with self._lock(key):
                stored, new = await self._remembered(key, turn)
                found = await self._retrieve(turn, trace)
                assistance = await self._assistance(call)
                request, opening = await _laid_out(turn, [*assistance, *stored], new, found)
                reply = Reply()
                async for item in self._spoken(turn, request, opening, reply, trace):
                    yield item
                if key:
                    await to_thread.run_sync(self._sessions.append, key, [*new, reply.message()])
                error = ""
                yield Delta(finish_reason=reply.finish_reason, usage=reply.usage)
        except RagError as failure:
            error = failure.message
            raise
        finally:
            trace.close(error or None)

    async def _remembered(
        self, key: SessionKey | None, turn: Turn
    ) -> tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
        """What the session holds, and what of the request is new to it."""
        if key is None:
            return [], turn.messages

        def work() -> tuple[list[dict[str, Any]], list[Mapping[str, Any]]]:
            # A client that sends a longer transcript has all of it compared.
            stored = self._sessions.history(key, last_count=max(HISTORY_MESSAGES, len(turn.messages)))
            return stored, unseen(stored, turn.messages)

        return await to_thread.run_sync(work)

    async def _spoken(
        self, turn: Turn, request: LLMRequest, opening: Opening, reply: Reply, trace: Trace
    ) -> AsyncGenerator[Opening | Delta, None]:
        """Everything but the last delta's finish, which waits until the answer is remembered."""
        started_at, is_open = time.perf_counter(), False
        trace.note("llm_inference_start", {"model": turn.llm.model, "message_count": len(request.messages)})
        async with aclosing(cast("AsyncGenerator[Delta, None]", turn.llm.stream(request))) as deltas:
            async for delta in deltas:
                if not is_open:
                    is_open = True
                    trace.note("llm_first_token", {})
                    yield opening
                reply.add(delta)
                if delta.finish_reason is not None:
                    _note_end(trace, turn, reply, opening, time.perf_counter() - started_at)
                    if delta.content or delta.thinking or delta.tool_calls:
                        yield Delta(content=delta.content, thinking=delta.thinking, tool_calls=delta.tool_calls)
                    return
                yield delta
        raise UpstreamError(f"the answer of '{turn.llm.model}' ended before it was complete")

    async def _retrieve(self, turn: Turn, trace: Trace) -> Found | None:
        queries = turn.queries
        if not queries:
            return None
        request = turn.request
        started = {"database": turn.database, "query": queries[0].text, "top_k": request.rag_top_k}
        more = {"retrieval_strategy": request.rag_retrieval_strategy, "rag_queries_count": len(queries)}
        trace.note("rag_query_start", started | more)
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

    def _lock(self, key: SessionKey | None) -> asyncio.Lock | nullcontext[None]:
        return nullcontext() if key is None else self._locks.setdefault(key, asyncio.Lock())


async def _laid_out(
    turn: Turn, history: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], found: Found | None
) -> tuple[LLMRequest, Opening]:
    def work() -> tuple[LLMRequest, Opening]:
        request, used = turn.llm_request(history, new, found.retrieval.hits if found else None)
        return request, _opening(turn, request, found, used)

    size = turn.size_bytes + sum(len(message.get("content") or "") for message in history)
    return work() if size <= LAID_OUT_ON_THE_LOOP_BYTES else await to_thread.run_sync(work)


def _opening(turn: Turn, request: LLMRequest, found: Found | None, used: Sequence[Hit]) -> Opening:
    notes: list[str] = []
    sources = None
    if found is not None:
        notes += found.retrieval.notes
        left_out = len(found.retrieval.hits) - len(used)
        if left_out:
            notes.append(f"{left_out} of {len(found.retrieval.hits)} chunks found did not fit the model's window")
        if turn.request.include_sources:
            sources = source_items(used, turn.request.sources_limit)
    return Opening(sources, notes, sum(estimate_message_tokens(message) for message in request.messages))


def _note_request(trace: Trace, turn: Turn) -> None:
    length = sum(len(text_of(message.content)) for message in turn.request.messages)
    is_retrieving = bool(turn.queries)
    trace.note("request_received", {"message_length": length, "model": turn.model.name, "rag_enabled": is_retrieving})


def _note_end(trace: Trace, turn: Turn, reply: Reply, opening: Opening, duration_s: float) -> None:
    usage = reply.token_usage(opening.prompt_tokens)
    name = "llm_inference_complete" if turn.request.stream else "response_generated"
    trace.note(name, {**usage, "finish_reason": reply.finish_reason, "response_length": len(reply.content)})
    if turn.request.stream:
        trace.note("stream_complete", {})
    log.info("chat.answered", model=turn.llm.model, duration_s=round(duration_s, 3), **usage)
