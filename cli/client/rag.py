"""What `lf rag` shows: results, documents, sizes, health."""

import json
from collections.abc import Sequence
from typing import Any

from cli.client.api import segment
from cli.client.caller import Caller
from cli.client.output import counted, human_size
from cli.errors import CliError, UsageError
from rag.places import cited

SHOWN_CHARS = 500


def parse_filters(given: Sequence[str] | None) -> dict[str, Any]:
    """`key:value` → metadata filters; several values of one key mean any of them.

    Raises:
        UsageError: a part has no colon.
    """
    found: dict[str, list[Any]] = {}
    for part in split_filters(given):
        key, value = part
        found.setdefault(key, []).append(_value(value))
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def split_filters(given: Sequence[str] | None) -> list[tuple[str, str]]:
    pairs = []
    for text in given or []:
        for part in text.split(","):
            key, colon, value = part.partition(":")
            if not colon or not key.strip():
                raise UsageError(f"filter {part!r}: write key:value")
            pairs.append((key.strip(), value.strip()))
    return pairs


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def stage(name: str | None) -> str | bool | None:
    """What a query says of a stage: its type, or false for `none`."""
    return False if name == "none" else name


def print_results(lf: Caller, body: dict[str, Any], *, with_metadata: bool, with_score: bool) -> None:
    with lf.api() as api:
        answer = api.post(
            f"{lf.project().path}/rag/query", {key: value for key, value in body.items() if value is not None}
        )

    def show() -> None:
        for number, hit in enumerate(answer.get("results") or [], start=1):
            score = f"  ({hit.get('score', 0):.3f})" if with_score else ""
            lf.out.text(f"[{number}] {place(hit)}{score}")
            content = str(hit.get("content") or "")
            shown = content if len(content) <= SHOWN_CHARS else content[:SHOWN_CHARS] + " …"
            lf.out.text("    " + shown.strip().replace("\n", "\n    "))
            if with_metadata:
                lf.out.text("    " + json.dumps(hit.get("metadata") or {}, ensure_ascii=False))
        if answer.get("stages"):
            _show_stages(lf, answer["stages"])

    lf.out.result(answer, show)
    lf.out.note(
        f"{counted(answer.get('total_results', 0), 'result')} in {answer.get('processing_time_ms', 0):.0f} ms from "
        f"{answer.get('database_used')} by {answer.get('retrieval_strategy_used')}"
    )
    for note in answer.get("notes") or []:
        lf.out.note(note)


def _show_stages(lf: Caller, stages: Sequence[dict[str, Any]]) -> None:
    """What each stage took in and gave out, and its best candidate."""
    lf.out.text()
    rows = []
    for stage in stages:
        best: dict[str, Any] = next(iter(stage.get("top") or []), {})
        score = f"{best['score']:.3f}" if best else None
        asked = " | ".join(stage.get("queries") or [])
        rows.append(
            (
                stage.get("stage"),
                stage.get("candidates_in"),
                stage.get("candidates_out"),
                f"{stage.get('ms', 0):.1f}",
                best.get("chunk_id"),
                score,
                asked,
            )
        )
    lf.out.table(("STAGE", "IN", "OUT", "MS", "BEST", "SCORE", "SEARCHED FOR"), rows)


def place(hit: dict[str, Any]) -> str:
    """`file.pdf, page 3`, as far as it is known."""
    return cited(hit.get("metadata") or {}, hit.get("source"))


def print_health(lf: Caller, database: str | None) -> None:
    """Raises CliError when the database is not healthy, after it was shown."""
    with lf.api() as api:
        found = api.get(f"{lf.project().path}/rag/health", database=database)
    components = found.get("components") or {}

    def show() -> None:
        lf.out.text(f"{found.get('database')}: {found.get('status')}")
        rows = [
            (name, each.get("status"), f"{each.get('latency_ms', each.get('latency', 0)):.1f} ms", each.get("message"))
            for name, each in components.items()
        ]
        lf.out.table(("PART", "STATUS", "LATENCY", "MESSAGE"), rows)
        for issue in found.get("issues") or []:
            lf.out.text(issue)

    lf.out.result(found, show)
    if str(found.get("status")).lower() != "healthy":
        raise CliError(f"database {found.get('database')} is {found.get('status')}")


def print_stats(lf: Caller, database: str | None, *, is_verbose: bool) -> None:
    with lf.api() as api:
        found = api.get(f"{lf.project().path}/rag/stats", database=database)
    pairs = [
        ("database", found.get("database")),
        ("documents", found.get("document_count")),
        ("chunks", found.get("chunk_count")),
        ("vectors", found.get("vector_count")),
        ("dimension", found.get("embedding_dimension")),
        ("metric", found.get("distance_metric")),
        ("collection", human_size(found.get("collection_size_bytes"))),
        ("index", human_size(found.get("index_size_bytes"))),
        ("last updated", found.get("last_updated")),
    ]
    if is_verbose:
        pairs.append(("metadata", json.dumps(found.get("metadata") or {}, ensure_ascii=False)))
    lf.out.result(found, lambda: lf.out.fields(pairs))


def default_database(lf: Caller) -> str:
    """The project's; raises CliError where it has none."""
    with lf.api() as api:
        found = api.get(f"{lf.project().path}/rag/databases")
    name = found.get("default_database") or next((each["name"] for each in found.get("databases") or []), None)
    if name is None:
        raise CliError(f"project {lf.project()} has no database")
    return str(name)


def print_documents(lf: Caller, database: str | None, limit: int, offset: int, filters: list[str]) -> None:
    name = database or default_database(lf)
    wanted = [f"{key}:{value}" for key, value in split_filters(filters)]
    with lf.api() as api:
        path = f"{lf.project().path}/rag/databases/{segment(name)}/documents"
        found = api.get(path, limit=limit, offset=offset or None, filter=wanted or None)
    rows = [
        (each.get("id"), each.get("filename"), each.get("chunk_count"), human_size(each.get("size_bytes")),
         each.get("parser_used"), each.get("date_ingested"))
        for each in found
    ]  # fmt: skip
    lf.out.result(found, lambda: lf.out.table(("ID", "FILE", "CHUNKS", "SIZE", "PARSER", "INGESTED"), rows))


def print_databases(lf: Caller) -> None:
    with lf.api() as api:
        found = api.get(f"{lf.project().path}/rag/databases")
    rows = [
        (
            f"{each['name']} *" if each.get("is_default") else each["name"],
            each.get("type"),
            ", ".join(strategy["name"] for strategy in each.get("embedding_strategies") or []),
            ", ".join(strategy["name"] for strategy in each.get("retrieval_strategies") or []),
        )
        for each in found.get("databases") or []
    ]
    lf.out.result(found, lambda: lf.out.table(("DATABASE", "TYPE", "EMBEDDING", "RETRIEVAL"), rows))
