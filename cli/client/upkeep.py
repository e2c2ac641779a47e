"""What `lf db rebuild` and `lf db migrate` do."""

import json
from collections.abc import Sequence
from typing import Any

from cli.client.api import segment
from cli.client.caller import Caller
from cli.client.rag import default_database
from cli.client.watch import Task, watch
from cli.errors import CliError, UsageError


def read_options(given: Sequence[str]) -> dict[str, Any]:
    """`key=value` → options; a value is read as JSON where it is some.

    Raises:
        UsageError: a part has no `=`.
    """
    found: dict[str, Any] = {}
    for text in given:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise UsageError(f"option {text!r}: write key=value")
        try:
            found[key.strip()] = json.loads(value)
        except ValueError:
            found[key.strip()] = value
    return found


def run(lf: Caller, database: str | None, action: str, body: dict[str, Any], *, waits: bool) -> None:
    """Start it and wait for its end.

    Raises:
        CliError: it failed, or was cancelled.
    """
    name = database or default_database(lf)
    with lf.api() as api:
        path = f"{lf.project().path}/rag/databases/{segment(name)}/{action}"
        started = api.post(path, {key: value for key, value in body.items() if value})
        if not waits:
            hint = f"task {started['task_id']}: `lf tasks watch {started['task_id']}`"
            lf.out.result(started, lambda: lf.out.text(hint))
            return
        task = watch(lf, api, lf.project(), str(started["task_id"]))
    lf.out.result(task, lambda: _print(lf, task))
    if task.get("state") != "SUCCESS":
        raise CliError(str(task.get("error") or "it failed"))


def _print(lf: Caller, task: Task) -> None:
    names = {
        "database": "database",
        "type": "store",
        "chunks": "chunks",
        "sources_dropped": "former stores dropped",
        "duration_seconds": "seconds",
    }
    result = task.get("result") or {}
    lf.out.fields((label, result.get(key)) for key, label in names.items())
