"""What the model of a later turn reads of those before: all that was said, and what tools gave as far as it fits."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rag.prompts import TOKENS_PER_MESSAGE, estimate_message_tokens, estimate_tokens
from server.llamacloud.services.chat.blocks import Event
from server.llamacloud.services.chat.tools import told
from server.services.chat_tools import cut_to_tokens

Message = dict[str, Any]

MAX_RESULT_TOKENS = 16_000
"""Of what tools gave in earlier turns: more would only make the answer slower."""
LEAST_RESULT_TOKENS = 200
"""A result of which less than that would be left is left out with its call."""


class History:
    """Args:
    events: of the turns before, as the session keeps them.
    """

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events
        self._results = dict(_pairs(events))
        self._words = _messages(events, {}, {})
        self._word_tokens = sum(estimate_message_tokens(each) for each in self._words)

    def questions(self) -> list[str]:
        return [str(event["content"]) for event in self._events if event["type"] == "user_input"]

    def words(self) -> list[Message]:
        """Without tools: questions and answers."""
        return self._words

    def within(self, room_tokens: int) -> list[Message]:
        """As chat messages. Results leave before words, and the oldest of them first.

        Args:
            room_tokens: what the messages should take at most; words alone may take more.
        """
        left = min(room_tokens - self._word_tokens, MAX_RESULT_TOKENS)
        kept: dict[int, str] = {}
        for call, result in reversed(self._results.items()):
            left -= self._call_tokens(call)
            if left < LEAST_RESULT_TOKENS:
                break
            kept[call] = cut_to_tokens(told(self._events[result]["result"]), left)
            left -= estimate_tokens(kept[call])
        return _messages(self._events, kept, self._results) if kept else self._words

    def _call_tokens(self, call: int) -> int:
        """Of a call with the frame of its result; at most one more message goes with it."""
        written = json.dumps(_call(self._events[call]), ensure_ascii=False)
        return 2 * TOKENS_PER_MESSAGE + estimate_tokens(written)


def _pairs(events: Sequence[Event]) -> Iterator[tuple[int, int]]:
    """Places of calls with those of their results. An id is unique within its turn; a call may have no result."""
    waiting: dict[str, int] = {}
    for place, event in enumerate(events):
        match event["type"]:
            case "user_input":
                waiting.clear()
            case "tool_call":
                waiting[event["call_id"]] = place
            case "tool_result" if event["call_id"] in waiting:
                yield waiting.pop(event["call_id"]), place


def _messages(events: Sequence[Event], kept: Mapping[int, str], results: Mapping[int, int]) -> list[Message]:
    """Args:
    kept: the place of a call → what its tool gave; other calls are left out.
    results: the place of a call → that of its result.
    """
    texts = {results[call]: text for call, text in kept.items()}
    said: list[Message] = []
    for place, event in enumerate(events):
        if event["type"] == "user_input":
            said.append({"role": "user", "content": event["content"]})
        elif event["type"] == "text":
            before = _assistant(said)
            before["content"] = "\n\n".join(filter(None, (before["content"], event["content"])))
        elif place in kept:
            _assistant(said).setdefault("tool_calls", []).append(_call(event))
        elif place in texts:
            said.append({"role": "tool", "tool_call_id": event["call_id"], "content": texts[place]})
    return said


def _assistant(said: list[Message]) -> Message:
    if not said or said[-1]["role"] != "assistant":
        said.append({"role": "assistant", "content": ""})
    return said[-1]


def _call(event: Event) -> Mapping[str, Any]:
    arguments = json.dumps(event["arguments"], ensure_ascii=False)
    return {
        "id": event["call_id"],
        "type": "function",
        "function": {"name": event["name"], "arguments": arguments},
    }


def numbered(events: Sequence[Event]) -> Iterator[Mapping[str, Any]]:
    """Passages that tools gave before, with their numbers."""
    for event in events:
        if event["type"] == "tool_result" and isinstance(event["result"], Mapping):
            yield from event["result"].get("passages", ())
