"""What a chat sends, as a body and as a curl line."""

import json
import shlex
from dataclasses import dataclass
from typing import Any

from cli.client.project_file import ProjectName

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """None leaves the choice to the project."""

    model: str | None = None
    rag_enabled: bool | None = None
    database: str | None = None
    retrieval_strategy: str | None = None
    top_k: int | None = None
    score_threshold: float | None = None


def chat_path(project: ProjectName) -> str:
    return f"{project.path}/chat/completions"


def chat_body(messages: list[Message], options: ChatOptions, *, stream: bool) -> dict[str, Any]:
    given = {
        "model": options.model,
        "rag_enabled": options.rag_enabled,
        "database": options.database,
        "rag_retrieval_strategy": options.retrieval_strategy,
        "rag_top_k": options.top_k,
        "rag_score_threshold": options.score_threshold,
        "include_sources": None if options.rag_enabled is False else True,
    }
    known = {key: value for key, value in given.items() if value is not None}
    return {"messages": messages, "stream": stream, **known}


def curl_line(url: str, body: dict[str, Any], *, has_key: bool) -> str:
    """A command for a POSIX shell; the key stays in its variable."""
    key = ' -H "Authorization: Bearer $LF_API_KEY"' if has_key else ""
    data = shlex.quote(json.dumps(body, ensure_ascii=False))
    return (
        f"curl -sS -N -X POST {shlex.quote(url)}{key} -H 'Content-Type: application/json' "
        f"-H 'X-No-Session: true' -d {data}"
    )
