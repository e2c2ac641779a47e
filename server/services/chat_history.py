"""What of a request is new to its session, and conversations whose tool calls are all answered."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rag.llms.messages import text_of
from state.sessions import unseen

Message = Mapping[str, Any]
NOT_ANSWERED = "(no result was given)"


def new_messages(stored: Sequence[Message], incoming: Sequence[Message]) -> list[Message]:
    """The messages of `incoming` that the session does not hold yet.

    A client that sends the whole conversation each time knows nothing of the tools that the server ran in between: it
    is compared with what it was shown.
    """
    new = unseen(stored, incoming)
    if len(new) < len(incoming) or all(message.get("role") != "tool" for message in stored):
        return new
    shown = as_shown(incoming)
    unknown = unseen(as_shown(stored), shown)
    if len(shown) != len(incoming) or len(unknown) == len(shown):
        return new
    kept = {id(message) for message in unknown}
    return [message for message, same in zip(incoming, shown, strict=True) if id(same) in kept]


def as_shown(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """The conversation without tools: what the assistant says between two other messages becomes one message."""
    shown: list[dict[str, Any]] = []
    for message in messages:
        role = message.get("role")
        if role == "tool":
            continue
        text = text_of(message.get("content"))
        if role == "assistant" and shown and shown[-1]["role"] == "assistant":
            shown[-1]["content"] = "\n\n".join(part for part in (shown[-1]["content"], text) if part)
        else:
            shown.append({"role": role, "content": text})
    return shown


def said_before(messages: Iterable[Message]) -> tuple[tuple[str, str], ...]:
    """(role, text) of what was said before the last question, for those who search with the conversation in mind."""
    spoken = [(str(each.get("role")), text_of(each.get("content"))) for each in messages]
    told = [(role, text) for role, text in spoken if role in ("user", "assistant") and text.strip()]
    last = max((index for index, (role, _) in enumerate(told) if role == "user"), default=0)
    return tuple(told[:last])


def answered(messages: Iterable[Message]) -> list[Message]:
    """The conversation with a word for each tool call that was never answered, without which servers refuse it.

    Calls at the very end stay open.
    """
    result: list[Message] = []
    waiting: list[str] = []
    for message in messages:
        if message.get("role") != "tool":
            result += [{"role": "tool", "tool_call_id": each, "content": NOT_ANSWERED} for each in waiting]
            waiting = [str(call.get("id")) for call in message.get("tool_calls") or ()]
        elif message.get("tool_call_id") in waiting:
            waiting.remove(str(message["tool_call_id"]))
        result.append(message)
    return result
