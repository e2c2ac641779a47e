"""Tools for models that have no interface for them: described in the prompt, called in the text."""

import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

from rag.llms.base import Delta, LLMRequest, Message
from rag.llms.messages import text_of

OPEN_TAG = "<tool_call>"
CLOSE_TAG = "</tool_call>"

INSTRUCTIONS = (
    "You may call the functions described below as JSON. To call one, write exactly\n"
    f'{OPEN_TAG}{{"name": "the function\'s name", "arguments": {{…}}}}{CLOSE_TAG}\n'
    "and nothing after it: the result comes in the next message. Call one only when it is needed to answer.\n"
)

Stream = Callable[[LLMRequest], AsyncIterator[Delta]]


async def stream_prompted(stream: Stream, request: LLMRequest) -> AsyncIterator[Delta]:
    """Ask `stream` with the tools in words, and turn the calls in its text into tool calls."""
    reader = _CallReader()
    async with aclosing(cast("AsyncGenerator[Delta, None]", stream(with_described_tools(request)))) as deltas:
        async for delta in deltas:
            for content in reader.feed(delta.content, is_last=delta.finish_reason is not None):
                yield content
            if delta.thinking:
                yield Delta(thinking=delta.thinking)
            if delta.finish_reason is not None:
                reason = "tool_calls" if reader.call_count else delta.finish_reason
                yield Delta(finish_reason=reason, usage=delta.usage)


def with_described_tools(request: LLMRequest) -> LLMRequest:
    """The request without tools: they, earlier calls and their results are told in messages."""
    functions = "\n".join(json.dumps(tool.get("function"), ensure_ascii=False) for tool in request.tools)
    messages: list[Message] = [_in_words(message) for message in request.messages]
    description = INSTRUCTIONS + functions
    if messages and messages[0].get("role") == "system":
        first = messages.pop(0)
        description = f"{text_of(first.get('content'))}\n\n{description}"
    told: tuple[Message, ...] = ({"role": "system", "content": description}, *messages)
    return replace(request, messages=told, tools=(), tool_choice=None)


def _in_words(message: Message) -> Message:
    content = text_of(message.get("content"))
    if message.get("role") in ("tool", "function"):
        return {"role": "user", "content": f"<tool_response>{content}</tool_response>"}
    calls = [call.get("function") or {} for call in message.get("tool_calls") or ()]
    if not calls:
        return message
    told = [
        f'{OPEN_TAG}{{"name": {json.dumps(call.get("name"))}, "arguments": {call.get("arguments") or "{}"}}}'
        for call in calls
    ]
    return {"role": "assistant", "content": "\n".join([content, *(call + CLOSE_TAG for call in told)]).strip()}


class _CallReader:
    """Text that arrives in pieces → content and calls, in order."""

    def __init__(self) -> None:
        self.call_count = 0
        self._pending = ""

    def feed(self, text: str, *, is_last: bool) -> Iterator[Delta]:
        self._pending += text
        while OPEN_TAG in self._pending:
            before, _, rest = self._pending.partition(OPEN_TAG)
            body, is_closed, after = rest.partition(CLOSE_TAG)
            if not is_closed and not is_last:
                break
            call = self._call(body)
            said = before.rstrip() if call else f"{before}{OPEN_TAG}{body}{is_closed}"
            if said:
                yield Delta(content=said)
            if call:
                yield Delta(tool_calls=(call,))
            self._pending = after.lstrip() if call else after
        ready = self._pending if is_last else self._before_a_tag()
        self._pending = self._pending[len(ready) :]
        if ready:
            yield Delta(content=ready)

    def _before_a_tag(self) -> str:
        """What cannot be part of a tag any more."""
        start = self._pending.find(OPEN_TAG)
        if start >= 0:
            return ""
        for length in range(min(len(self._pending), len(OPEN_TAG) - 1), 0, -1):
            if self._pending.endswith(OPEN_TAG[:length]):
                return self._pending[:-length]
        return self._pending

    def _call(self, body: str) -> dict[str, Any] | None:
        """None when the text is no call: then it is shown as it is."""
        try:
            said = json.loads(body)
        except ValueError:
            return None
        if not isinstance(said, Mapping) or not isinstance(said.get("name"), str):
            return None
        arguments = said.get("arguments", {})
        index = self.call_count
        self.call_count += 1
        function = {
            "name": said["name"],
            "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False),
        }
        return {"index": index, "id": f"call_{uuid.uuid4().hex[:24]}", "type": "function", "function": function}
