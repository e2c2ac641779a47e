"""From an answer of the API to what an agent reads: text for the model, the JSON beside it, both bounded."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from mcp.types import CallToolResult, TextContent

from rag.places import cited
from server.mcp.asgi import MAX_ANSWER_BYTES, CallAnswer
from server.mcp.tools import Operation

MAX_RESULT_CHARS = 100_000
"""About 25,000 tokens: more would push the question out of an agent's context."""
STEPS = ((200, 4_000), (50, 2_000), (20, 1_000), (5, 300), (1, 100))
"""Most elements of a list and most characters of a text, tried in turn until the result is small enough."""


def result_of(operation: Operation, answer: CallAnswer) -> CallToolResult:
    if answer.is_cut:
        return failure(f"the answer is larger than {MAX_ANSWER_BYTES} bytes; ask {operation.path} over HTTP")
    try:
        content = json.loads(answer.body)
    except ValueError:
        content = {"message": answer.body.decode("utf-8", "replace")}
    if answer.status >= 400:
        return failure(f"{answer.status}: {_message(content)}")
    small, is_shortened = _shortened(content)
    text = TEXTS.get(operation.name, _plain)(small)
    if is_shortened:
        text = f"(The answer was too long: lists and texts in it are cut. Ask for less at a time.)\n{text}"
    structured = small if isinstance(small, dict) else None
    return CallToolResult(content=[TextContent(text=text)], structured_content=structured)


def failure(message: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=message)], is_error=True)


def _message(content: Any) -> str:
    """`message` is `detail` in one sentence; what came from elsewhere is shown as it is."""
    return str(content.get("message", content)) if isinstance(content, Mapping) else str(content)


def _shortened(content: Any) -> tuple[Any, bool]:
    if len(_plain(content)) <= MAX_RESULT_CHARS:
        return content, False
    small = content
    for most_items, most_chars in STEPS:
        small = _cut(content, most_items, most_chars)
        if len(_plain(small)) <= MAX_RESULT_CHARS:
            break
    return small, True


def _cut(value: Any, most_items: int, most_chars: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= most_chars else f"{value[:most_chars]}…"
    if isinstance(value, list):
        return [_cut(each, most_items, most_chars) for each in value[:most_items]]
    if isinstance(value, dict):
        return {key: _cut(each, most_items, most_chars) for key, each in value.items()}
    return value


def _plain(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _passages(content: Any) -> str:
    """Numbered passages with their place, as they would be cited."""
    found = content["results"]
    lines = [f"{len(found)} passages from database {content['database_used']}:"]
    for number, hit in enumerate(found, 1):
        lines += [f"\n[{number}] {cited(hit['metadata'])} (score {hit['score']:.3f})", hit["content"]]
    lines += [f"\nNote: {note}" for note in content.get("notes") or ()]
    return "\n".join(lines)


def _answer(content: Any) -> str:
    """The model's words, then the sources that its numbers refer to."""
    message = content["choices"][0]["message"]
    lines = [message.get("content") or _plain(message)]
    lines += [f"[{source['number']}] {cited(source['metadata'])}" for source in content.get("sources") or ()]
    return "\n".join(lines)


TEXTS: dict[str, Callable[[Any], str]] = {"rag_query": _passages, "chat_completions": _answer}
