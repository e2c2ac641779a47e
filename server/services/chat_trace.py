"""What happens in a chat, told to whoever keeps event logs."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import structlog

from config.project import ProjectConfig
from config.rag_section import DatabaseConfig, RetrievalStrategy
from rag.prompts import source_name
from rag.retrievers import retrievers
from rag.retrievers.base import Query
from rag.types import Hit
from state.events import NewEvent, Note, config_hash

PREVIEW_CHARS = 100
PREVIEWED_HITS = 2
KEPT_HASHES = 1024
ANSWERED = "response_generated"
FIRST_TOKEN = "llm_first_token"  # noqa: S105  # a note's name
STREAM_NOTES = frozenset({"llm_inference_start", FIRST_TOKEN, "llm_inference_complete", "stream_complete"})
TOKEN_COUNTS = {"prompt": "prompt_tokens", "completion": "completion_tokens", "total": "total_tokens"}


class Trace(Protocol):
    """The record of one chat: notes in order, then `close`, once, whatever happens. None may block."""

    def note(self, event_name: str, data: Mapping[str, Any]) -> None: ...

    def said(self, messages: Sequence[Mapping[str, Any]], response: Mapping[str, Any]) -> None:
        """What was asked and answered, for those who keep it."""
        ...

    def close(self, error: str | None) -> None:
        """`error` is None after a complete answer."""
        ...


TraceFor = Callable[[ProjectConfig], Trace]


class NullTrace:
    """Keeps nothing."""

    def note(self, event_name: str, data: Mapping[str, Any]) -> None: ...

    def said(self, messages: Sequence[Mapping[str, Any]], response: Mapping[str, Any]) -> None: ...

    def close(self, error: str | None) -> None: ...


class EventTrace:
    """Gathers the notes of one chat in memory and hands them over as one event when it ends.

    Args:
        has_content: keep what was asked and answered, too.
    """

    def __init__(
        self, project: ProjectConfig, version: str, submit: Callable[[NewEvent], None], *, has_content: bool
    ) -> None:
        self._project = project
        self._version = version
        self._submit = submit
        self._has_content = has_content
        self._started_at = time.time()
        self._notes: list[Note] = []
        self._content: dict[str, Any] = {"messages": None, "response": None}

    def note(self, event_name: str, data: Mapping[str, Any]) -> None:
        self._notes.append((event_name, time.time(), data))

    def said(self, messages: Sequence[Mapping[str, Any]], response: Mapping[str, Any]) -> None:
        if self._has_content:
            self._content = {"messages": list(messages), "response": dict(response)}

    def close(self, error: str | None) -> None:
        model, tokens = _model(self._notes), _tokens(self._notes)
        first = [at for name, at, _ in self._notes if name == FIRST_TOKEN]
        is_whole = any(name == ANSWERED for name, _, _ in self._notes)
        self._submit(
            NewEvent(
                namespace=self._project.namespace,
                project=self._project.name,
                event_type="inference",
                started_at=self._started_at,
                ended_at=time.time(),
                # An answer in one piece is one step to its client, however it was made.
                notes=[note for note in self._notes if not (is_whole and note[0] in STREAM_NOTES)],
                error=error,
                request_id=structlog.contextvars.get_contextvars().get("request_id"),
                config_hash=self._version,
                model=model,
                token_count=tokens["total"] if tokens else None,
                first_token_at=first[0] if first else None,
                data={"model": model, **self._content, "tokens": tokens},
            )
        )


class TraceMaker:
    """Begins the trace of a chat; see `TraceFor`."""

    def __init__(self, submit: Callable[[NewEvent], None], *, has_content: bool) -> None:
        self._submit = submit
        self._has_content = has_content
        self._hashes: dict[tuple[str, str], tuple[object, object, str]] = {}

    def __call__(self, project: ProjectConfig) -> Trace:
        return EventTrace(project, self._version(project), self._submit, has_content=self._has_content)

    def _version(self, project: ProjectConfig) -> str:
        """Names the configuration. A file that did not change is not parsed again: its parts are the same objects."""
        key = (project.namespace, project.name)
        known = self._hashes.get(key)
        if known is not None and known[0] is project.runtime and known[1] is project.rag:
            return known[2]
        if len(self._hashes) >= KEPT_HASHES:
            self._hashes.clear()
        version = config_hash(project.model_dump_json().encode())
        self._hashes[key] = (project.runtime, project.rag, version)
        return version


def _model(notes: Sequence[Note]) -> str | None:
    """The provider's name for it where it was asked; until then, the configured one."""
    asked = [data.get("model") for name, _, data in notes if name in ("llm_inference_start", "request_received")]
    return str(asked[-1]) if asked and asked[-1] else None


def _tokens(notes: Sequence[Note]) -> dict[str, int] | None:
    """Over all calls of the model that the answer took."""
    counted = [data for name, _, data in notes if name in (ANSWERED, "llm_inference_complete")]
    if not counted:
        return None
    return {name: sum(int(each.get(key) or 0) for each in counted) for name, key in TOKEN_COUNTS.items()}


def describe_search(database: DatabaseConfig, strategy: str | None, queries: Sequence[Query]) -> dict[str, Any]:
    """What is searched for, and with which of the database's strategies."""
    named = [each for each in database.retrieval_strategies if each.name == strategy]
    chosen = database.retrieval_strategy_in_use() if strategy is None else next(iter(named), None)
    configured = None if chosen is None else _configured_top_k(chosen)
    return {
        "database": database.name,
        "query": queries[0].text,
        "top_k": queries[0].top_k or configured,
        "retrieval_strategy": strategy if chosen is None else chosen.name,
        "rag_queries_count": len(queries),
    }


def _configured_top_k(strategy: RetrievalStrategy) -> Any:
    """How many hits it gives when a query names no number; strategies that take more in first call it `final_k`."""
    if strategy.type not in retrievers:
        return strategy.config.get("top_k")
    fields = retrievers.load(strategy.type).Options.model_fields  # type: ignore[attr-defined]  # all have options
    key = "final_k" if "final_k" in fields else "top_k"
    default = fields[key].default if key in fields else None
    return strategy.config.get(key, default)


def describe_hits(hits: Sequence[Hit]) -> dict[str, Any]:
    average = sum(hit.score for hit in hits) / len(hits) if hits else 0.0
    top = [
        {
            "rank": rank,
            "content_preview": hit.text[:PREVIEW_CHARS],
            "source": source_name(hit),
            "score": round(hit.score, 4),
        }
        for rank, hit in enumerate(hits[:PREVIEWED_HITS], 1)
    ]
    return {"chunks_retrieved": len(hits), "avg_score": round(average, 4), "top_chunks": top}
