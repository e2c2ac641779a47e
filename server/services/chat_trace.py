"""What happens in a chat, told to whoever keeps event logs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from config.project import ProjectConfig
from rag.prompts import source_name
from rag.types import Hit

PREVIEW_CHARS = 100
PREVIEWED_HITS = 2


class Trace(Protocol):
    """The record of one chat: notes in order, then `close`, once, whatever happens. Neither may block."""

    def note(self, event_name: str, data: Mapping[str, Any]) -> None: ...

    def close(self, error: str | None) -> None:
        """`error` is None after a complete answer."""
        ...


TraceFor = Callable[[ProjectConfig], Trace]


class NullTrace:
    """Keeps nothing."""

    def note(self, event_name: str, data: Mapping[str, Any]) -> None: ...

    def close(self, error: str | None) -> None: ...


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
