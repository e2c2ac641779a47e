"""An answer as it streams in: shown piece by piece, with its sources at the end."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cli.client.api import Api
from cli.client.output import Output
from cli.client.rag import place
from cli.errors import ApiError

SHOWN_SOURCES = 10


@dataclass(slots=True)
class Answer:
    """`session_id` is the one that the server names, if it does."""

    content: str = ""
    sources: list[dict[str, Any]] = field(default_factory=list)
    tool_calls: dict[int, dict[str, str]] = field(default_factory=dict)
    session_id: str | None = None


def stream_answer(out: Output, api: Api, path: str, body: dict[str, Any], headers: dict[str, str]) -> Answer:
    """Print an answer to stdout while it comes; leaving early stops the server's work.

    Raises:
        ApiError: the server refused, or broke off in the middle.
    """
    answer = Answer()
    all_headers = {**headers, "Accept": "text/event-stream"}
    with api.stream("POST", path, json=body, headers=all_headers) as response:
        answer.session_id = response.headers.get("X-Session-ID") or None
        for event in api.read_events(response):
            for piece in _pieces(event, answer):
                answer.content += piece
                out.text(piece, end="")
    if answer.content:
        out.text()
    return answer


def _pieces(event: dict[str, Any], answer: Answer) -> Iterator[str]:
    if event.get("error"):
        error = event["error"]
        raise ApiError(str(error.get("message") if isinstance(error, dict) else error), body=event)
    if event.get("type") == "sources":
        answer.sources = list(event.get("sources") or [])
    for choice in (event.get("choices") or [])[:1]:
        delta = choice.get("delta") or {}
        for call in delta.get("tool_calls") or []:
            _add_call(answer, call)
        if delta.get("content"):
            yield str(delta["content"])


def _add_call(answer: Answer, call: dict[str, Any]) -> None:
    known = answer.tool_calls.setdefault(int(call.get("index") or 0), {"name": "", "arguments": ""})
    function = call.get("function") or {}
    known["name"] += function.get("name") or ""
    known["arguments"] += function.get("arguments") or ""


def show_rest(out: Output, answer: Answer) -> None:
    """Tool calls and sources, as remarks: in a pipe, stdout is the answer alone."""
    for call in answer.tool_calls.values():
        out.note(f"tool: {call['name']}({call['arguments']})")
    show_sources(out, answer.sources)
    if not answer.content and not answer.tool_calls:
        out.note("No response received")


def show_sources(out: Output, sources: list[dict[str, Any]]) -> None:
    for number, source in enumerate(sources[:SHOWN_SOURCES], start=1):
        score = source.get("score")
        shown = f"  ({score:.2f})" if isinstance(score, int | float) else ""
        out.note(f"[{source.get('number', number)}] {place(source)}{shown}")
