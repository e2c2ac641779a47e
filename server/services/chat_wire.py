"""Deltas of an LLM → what goes over the wire and into the session."""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rag.llms.base import Delta, FinishReason, Usage
from rag.llms.thinking import CLOSE_TAG, OPEN_TAG
from rag.prompts import estimate_tokens, source_name
from rag.types import Hit

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Opening:
    """What is known when the first delta arrives.

    Args:
        sources: None when nothing was searched or the client did not ask for them.
        prompt_tokens: an estimate, for providers that do not count.
    """

    sources: Sequence[Mapping[str, Any]] | None
    notes: Sequence[str]
    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class ServerCalls:
    """Whole tool calls that the server is about to run: shown to the client, nothing for it to answer."""

    calls: Sequence[Mapping[str, Any]]


@dataclass(slots=True)
class Reply:
    """An answer as it comes together. The pieces of its calls are numbered and in the form of `CallPieces`."""

    content: str = ""
    thinking: str = ""
    finish_reason: FinishReason = "stop"
    usage: Usage | None = None
    calls: dict[int, dict[str, Any]] = field(default_factory=dict)
    _pieces: list[str] = field(default_factory=list)

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        return [self.calls[number] for number in sorted(self.calls)]

    @property
    def text(self) -> str:
        """What was said so far."""
        return "".join(self._pieces)

    def add(self, delta: Delta) -> None:
        self._pieces.append(delta.content)
        self.thinking += delta.thinking
        for call in delta.tool_calls:
            self._add_call(call)
        if delta.finish_reason is not None:
            self.content = self.text
            self.finish_reason = delta.finish_reason
            self.usage = delta.usage

    def message(self) -> dict[str, Any]:
        """The assistant's message, as an answer carries it and a session keeps it."""
        if not self.tool_calls:
            return {"role": "assistant", "content": self.content}
        return {"role": "assistant", "content": self.content or None, "tool_calls": self.tool_calls}

    def token_usage(self, prompt_tokens: int) -> dict[str, int]:
        """What the provider counted, else an estimate."""
        usage = self.usage or Usage(prompt_tokens, estimate_tokens(self.content + self.thinking))
        return {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        }

    def _add_call(self, call: Mapping[str, Any]) -> None:
        known = self.calls.get(call["index"])
        if known is None:
            self.calls[call["index"]] = {"id": call["id"], "type": "function", "function": dict(call["function"])}
        else:
            known["function"]["arguments"] += call["function"]["arguments"]


def new_id() -> str:
    return f"chatcmpl-{uuid.uuid4().hex}"


def completion(model: str, reply: Reply, opening: Opening, *, is_thinking: bool) -> Event:
    """The body of an answer that is sent whole."""
    body: Event = {
        "id": new_id(),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": reply.message(), "finish_reason": reply.finish_reason}],
        "usage": reply.token_usage(opening.prompt_tokens),
    }
    if is_thinking and reply.thinking:
        body["thinking"] = {"content": reply.thinking.strip(), "tokens": None}
    if opening.sources is not None:
        body["sources"] = list(opening.sources)
    if opening.notes:
        body["notes"] = list(opening.notes)
    return body


class ChunkWriter:
    """Turns an answer into events: sources, chunks, the finish, and the usage where it was asked for.

    Thinking goes out as `<think>…</think>` in the content, which is what chat clients know how to show.
    """

    def __init__(self, model: str, *, is_thinking: bool, wants_usage_chunk: bool) -> None:
        self._head = {
            "id": new_id(),
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }
        self._is_thinking = is_thinking
        self._wants_usage_chunk = wants_usage_chunk
        self._reply = Reply()
        self._opening = Opening(None, (), 0)
        self._is_tag_open = False
        self._is_first = True

    def open(self, opening: Opening) -> Iterator[Event]:
        self._opening = opening
        if opening.sources is not None:
            yield {"type": "sources", "sources": list(opening.sources)}

    def write(self, delta: Delta) -> Iterator[Event]:
        self._reply.add(delta)
        text = self._text(delta)
        if text:
            yield self._chunk({"content": text})
        for call in delta.tool_calls:
            yield from (self._chunk({"tool_calls": [piece]}) for piece in _call_pieces(call))
        if delta.finish_reason is not None:
            yield from self._finish(delta.finish_reason)

    def show(self, running: ServerCalls) -> Iterator[Event]:
        """A chunk for each call that the server runs, complete in itself."""
        tag, self._is_tag_open = CLOSE_TAG if self._is_tag_open else "", False
        if tag:
            yield self._chunk({"content": tag})
        yield from (self._chunk({"tool_calls": [dict(call)]}) for call in running.calls)

    def _text(self, delta: Delta) -> str:
        text = ""
        if delta.thinking and self._is_thinking:
            text = delta.thinking if self._is_tag_open else OPEN_TAG + delta.thinking
            self._is_tag_open = True
        if self._is_tag_open and (delta.content or delta.tool_calls or delta.finish_reason):
            self._is_tag_open = False
            text += CLOSE_TAG
        return text + delta.content

    def _finish(self, finish_reason: FinishReason) -> Iterator[Event]:
        usage = self._reply.token_usage(self._opening.prompt_tokens)
        last = self._chunk({}, finish_reason)
        if self._wants_usage_chunk:
            yield last
            yield {**self._head, "choices": [], "usage": usage}
        else:
            yield {**last, "usage": usage}

    def _chunk(self, delta: dict[str, Any], finish_reason: FinishReason | None = None) -> Event:
        event: Event = dict(self._head)
        if self._is_first:
            self._is_first = False
            delta = {"role": "assistant", "content": "", **delta}
            if self._opening.notes:
                event["notes"] = list(self._opening.notes)
        event["choices"] = [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
        return event


def _call_pieces(call: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A whole call becomes two deltas, as clients expect: who is called, then with what."""
    function = call["function"]
    if "name" in function and function["arguments"]:
        yield {**call, "function": {"name": function["name"], "arguments": ""}}
        yield {"index": call["index"], "function": {"arguments": function["arguments"]}}
    else:
        yield dict(call)


def error_event(message: str, code: str) -> Event:
    return {"error": {"message": message, "type": code}}


def source_items(hits: Sequence[Hit], limit: int) -> list[Event]:
    return [
        {
            "number": number,
            "content": hit.text,
            "source": source_name(hit),
            "score": round(hit.score, 4),
            "metadata": {key: value for key, value in hit.metadata.items() if not key.startswith("_")},
        }
        for number, hit in enumerate(hits[:limit], 1)
    ]
