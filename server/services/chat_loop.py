"""Asking the model until it has answered: it may call tools in between, and the server runs those that are its own."""

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

import structlog
from anyio import to_thread

from rag.errors import BadRequestError, UpstreamError
from rag.llms.base import Delta, LLMRequest, Usage
from rag.prompts import estimate_message_tokens, estimate_tokens
from server.services.chat_calls import CallPieces, CallSorter
from server.services.chat_history import answered
from server.services.chat_opening import make_opening
from server.services.chat_tools import Toolbox, cut_to_tokens
from server.services.chat_trace import Trace
from server.services.chat_turn import Turn
from server.services.chat_wire import Opening, Reply, ServerCalls
from server.services.rag import Found

MAX_ROUNDS = 10
LIMIT_TEXT = (
    f"I stopped after {MAX_ROUNDS} rounds of tool calls without reaching an answer. Ask again in a narrower way, or "
    "tell me to go on."
)
LAID_OUT_ON_THE_LOOP_BYTES = 64_000
"""The prompt of a longer conversation is made in a thread: it takes longer than other requests should wait."""
LEAST_RESULT_CHARS = 400

Item = Opening | Delta | ServerCalls

log = structlog.get_logger(__name__)


class ToolLoop:
    """One answer. `said` is what the session is to remember of it, once `spoken` has come to its end.

    Args:
        history: what was said before, and `new` what this request adds to it.
        found: None when nothing was searched.
    """

    def __init__(
        self,
        turn: Turn,
        toolbox: Toolbox,
        history: Sequence[Mapping[str, Any]],
        new: Sequence[Mapping[str, Any]],
        found: Found | None,
        trace: Trace,
    ) -> None:
        self.said: list[dict[str, Any]] = []
        self._turn = turn
        self._toolbox = toolbox
        both = answered([*history, *new])
        first_new = len(both) - len(answered(new))
        self._history, self._new = both[:first_new], both[first_new:]
        self._found = found
        self._trace = trace
        self._usage = Usage(0, 0)
        self._next_number = 0
        self._has_spoken = False
        self._is_open = False
        self._remembered: Reply | None = None

    async def spoken(self) -> AsyncGenerator[Item, None]:
        """An Opening, deltas and calls as they come, and at the end one bare Delta with the finish and the usage.

        Raises:
            UpstreamError: the model failed or broke off. What tools did before that is not undone.
        """
        started_at = time.perf_counter()
        for round_number in range(MAX_ROUNDS):
            request, reply = await self._laid_out(round_number), Reply()
            sorter = CallSorter(self._toolbox.has, self._next_number)
            if round_number == 0:
                started = {"model": self._turn.llm.model, "message_count": len(request.messages)}
                self._trace.note("llm_inference_start", started)
            async with aclosing(self._asked(request, reply, sorter)) as items:
                async for item in items:
                    yield item
            self._count(request, reply)
            ours = [reply.calls[index] for index in sorted(sorter.ours)]
            if not ours or reply.finish_reason == "length":
                break
            if round_number == MAX_ROUNDS - 1:
                yield self._content(LIMIT_TEXT)
                reply.content = "\n\n".join(part for part in (reply.content, LIMIT_TEXT) if part)
                break
            yield ServerCalls([{"index": self._number(), **call} for call in ours])
            await self._run(reply, ours)
            if len(reply.calls) > len(ours):  # the client's turn: it answers the others
                break
        yield self._end(reply, sorter, time.perf_counter() - started_at)

    async def _run(self, reply: Reply, calls: Sequence[Mapping[str, Any]]) -> None:
        self._trace.note("tools_called", {"tools": [call["function"]["name"] for call in calls]})
        results = await self._toolbox.run(calls, self._turn.prompt_tokens // 2)
        self.said += [reply.message(), *results]
        self._remembered = reply

    def _end(self, reply: Reply, sorter: CallSorter, duration_s: float) -> Delta:
        """The last delta; remembers the last round if it has not been."""
        theirs = {index: call for index, call in reply.calls.items() if index not in sorter.ours}
        if reply is not self._remembered:
            # What nobody can answer must not stand in the conversation: our calls that did not run, and half ones.
            reply.calls = {} if reply.finish_reason == "length" else theirs
            self.said.append(reply.message())
        reply.usage = self._usage
        if reply.finish_reason != "length":
            reply.finish_reason = "tool_calls" if theirs else "stop"
        _note_end(self._trace, self._turn, reply, duration_s)
        return Delta(finish_reason=reply.finish_reason, usage=reply.usage)

    async def _asked(self, request: LLMRequest, reply: Reply, sorter: CallSorter) -> AsyncGenerator[Item, None]:
        """One answer of the model, into `reply` as a whole and out as far as it is for the client."""
        pieces, model, has_content = CallPieces(), self._turn.llm.model, False
        async with aclosing(cast("AsyncGenerator[Delta, None]", self._turn.llm.stream(request))) as deltas:
            async for raw in deltas:
                delta = replace(raw, tool_calls=tuple(pieces.read(call) for call in raw.tool_calls))
                if not self._is_open:
                    self._is_open = True
                    self._trace.note("llm_first_token", {})
                    yield make_opening(self._turn, request, self._found, request.hits, self._toolbox.notes)
                reply.add(delta)
                shown = Delta(delta.content, delta.thinking, sorter.outward(delta.tool_calls))
                self._next_number = sorter.next_number
                if shown.content and not has_content:
                    has_content = True
                    shown = replace(shown, content=self._content(shown.content).content)
                if shown != Delta():
                    yield shown
                if delta.finish_reason is not None:
                    return
        raise UpstreamError(f"the answer of '{model}' ended before it was complete")

    def _content(self, text: str) -> Delta:
        """A first piece of text; what was said before a tool ran is set off from what is said after it."""
        apart, self._has_spoken = "\n\n" if self._has_spoken else "", True
        return Delta(content=apart + text)

    def _number(self) -> int:
        self._next_number += 1
        return self._next_number - 1

    def _count(self, request: LLMRequest, reply: Reply) -> None:
        """What the provider counted, else an estimate; over all rounds."""
        used = reply.usage
        if used is None:
            calls = "".join(call["function"]["arguments"] for call in reply.tool_calls)
            prompt = sum(estimate_message_tokens(message) for message in request.messages)
            used = Usage(prompt, estimate_tokens(reply.content + reply.thinking + calls))
        self._usage = Usage(
            self._usage.prompt_tokens + used.prompt_tokens, self._usage.completion_tokens + used.completion_tokens
        )

    async def _laid_out(self, round_number: int) -> LLMRequest:
        def work() -> LLMRequest:
            while True:
                new = [*self._new, *self.said]
                try:
                    hits = self._found.retrieval.hits if self._found else None
                    request = self._turn.llm_request(self._history, new, hits, self._toolbox.offers)
                except BadRequestError:
                    if not shorten(self.said):
                        raise
                else:
                    return replace(request, tool_choice=_tool_choice(request.tool_choice, round_number))

        said = (*self._history, *self.said)
        size = self._turn.size_bytes + sum(len(message.get("content") or "") for message in said)
        return work() if size <= LAID_OUT_ON_THE_LOOP_BYTES else await to_thread.run_sync(work)


def _tool_choice(wanted: Any, round_number: int) -> Any:
    """A model that is made to call a tool does so once; made to do so each time, it would never answer."""
    return wanted if round_number == 0 or wanted in ("auto", "none") else None


def shorten(messages: list[dict[str, Any]]) -> bool:
    """Halve the longest result of a tool; False when there is nothing to halve."""
    results = [message for message in messages if message.get("role") == "tool"]
    longest = max(results, key=lambda message: len(message["content"]), default=None)
    if longest is None or len(longest["content"]) < LEAST_RESULT_CHARS:
        return False
    longest["content"] = cut_to_tokens(longest["content"], estimate_tokens(longest["content"]) // 2)
    return True


def _note_end(trace: Trace, turn: Turn, reply: Reply, duration_s: float) -> None:
    usage = reply.token_usage(0)
    name = "llm_inference_complete" if turn.request.stream else "response_generated"
    trace.note(name, {**usage, "finish_reason": reply.finish_reason, "response_length": len(reply.content)})
    if turn.request.stream:
        trace.note("stream_complete", {})
    log.info("chat.answered", model=turn.llm.model, duration_s=round(duration_s, 3), **usage)
