"""What `lf rag compact`, `reindex`, `clear`, `delete`, `prune`, `export` and `import` do."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from cli.client.api import Api, known
from cli.client.caller import Caller
from cli.client.output import counted, human_size
from cli.client.rag import default_database, parse_filters
from cli.client.watch import Task, failures, watch
from cli.errors import CliError, HadFailuresError, UsageError

NAMES = {
    "vectors_before": "vectors before",
    "vectors_after": "vectors after",
    "space_saved_bytes": "saved",
    "documents_processed": "documents processed",
    "documents_cleared": "documents cleared",
    "documents_deleted": "documents deleted",
    "documents_imported": "documents imported",
    "chunks_created": "chunks created",
    "chunks_cleared": "chunks cleared",
    "chunks_deleted": "chunks deleted",
    "duplicates": "duplicates",
    "orphaned": "orphaned",
    "corrupted": "corrupted",
    "total_to_remove": "to remove",
    "removed": "removed",
    "duration_seconds": "seconds",
    "message": "message",
}


def maintain(lf: Caller, action: str, database: str | None, **params: Any) -> None:
    """Start one action and wait for its answer, and for the tasks that it says go on."""
    with lf.api() as api:
        answer = _post(api, lf, action, params=known({"database": database, **params}))
        going_on = [] if answer.get("success") or answer.get("errors") else answer.get("task_ids") or []
        tasks = [watch(lf, api, lf.project(), str(task_id)) for task_id in going_on]
    if tasks:
        answer |= _ended(tasks)
    tell(lf, answer)


def _ended(tasks: list[Task]) -> dict[str, Any]:
    """What the tasks did, in the words of the answer."""
    results = [task.get("result") or {} for task in tasks]
    errors = [f"{name}: {why}" for task in tasks for name, why in failures(task)]
    return {
        "success": not errors and all(task.get("state") == "SUCCESS" for task in tasks),
        "documents_processed": sum(int(result.get("processed_files") or 0) for result in results),
        "chunks_created": sum(int(result.get("stored_count") or 0) for result in results),
        "errors": errors,
    }


def tell(lf: Caller, answer: Any) -> None:
    """Print what an action did.

    Raises:
        HadFailuresError: it names errors.
        CliError: it says that it did not succeed.
    """
    lf.out.result(answer, lambda: _print(lf, answer))
    if answer.get("errors"):
        raise HadFailuresError(counted(len(answer["errors"]), "error"))
    if answer.get("success") is False:
        raise CliError(answer.get("message") or "the server says that it did not succeed")


def _print(lf: Caller, answer: dict[str, Any]) -> None:
    pairs = [(name, answer.get(key)) for key, name in NAMES.items()]
    lf.out.fields((name, human_size(value) if name == "saved" else value) for name, value in pairs)
    for error in answer.get("errors") or []:
        lf.out.text(f"  {error}")


def delete_documents(
    lf: Caller, database: str | None, ids: list[str], filenames: list[str], metadata: list[str], *, is_sure: bool
) -> None:
    if not ids and not filenames and not metadata:
        raise UsageError("what is to be deleted? Give --id, --filename or --metadata; `lf rag clear` deletes all")
    body = {
        "database": database or default_database(lf),
        "ids": ids,
        "filenames": filenames,
        "metadata": parse_filters(metadata),
    }
    with lf.api() as api:
        count = _post(api, lf, "delete/preview", json=body).get("count", 0)
        if count and not is_sure:
            lf.out.confirm(f"Delete {counted(count, 'document')} of database {body['database']!r}?", is_sure=is_sure)
        answer = _post(api, lf, "delete", json=body) if count else _nothing()
    tell(lf, answer)


def _nothing() -> dict[str, Any]:
    return {"success": True, "documents_deleted": 0, "chunks_deleted": 0, "errors": []}


def prune_database(lf: Caller, database: str | None, *, is_sure: bool) -> None:
    with lf.api() as api:
        preview = api.get(f"{lf.project().path}/rag/prune/preview", database=database)
        if not preview.get("total_to_remove"):
            answer = {"success": True, "removed": 0, "duration_seconds": 0, "errors": []}
        else:
            counts = ", ".join(f"{preview.get(key, 0)} {key}" for key in ("duplicates", "orphaned", "corrupted"))
            lf.out.confirm(f"Remove {counted(preview['total_to_remove'], 'chunk')} ({counts})?", is_sure=is_sure)
            answer = _post(api, lf, "prune", params=known({"database": database}))
    tell(lf, answer)


def export_database(lf: Caller, file: Path | None, database: str | None, *, metadata_only: bool) -> None:
    """Streamed: the document may be larger than the memory."""
    if file is None and lf.out.as_json:
        raise UsageError("with --json the export needs a FILE: stdout is for what --json prints")
    params = known({"database": database or default_database(lf), "metadata_only": metadata_only or None})
    with lf.api() as api, api.stream("GET", f"{lf.project().path}/rag/export", params=params) as response:
        size = 0
        with _target(file) as target:
            for piece in response.iter_bytes():
                target.write(piece)
                size += len(piece)
    document = {"success": True, "file": None if file is None else str(file), "size_bytes": size}
    if file is not None:
        lf.out.result(document, lambda: lf.out.text(f"wrote {file} ({human_size(size)})"))


@contextlib.contextmanager
def _target(file: Path | None) -> Iterator[BinaryIO]:
    """A file appears whole or not at all."""
    if file is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    except OSError as error:
        raise CliError(f"{file} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as target:
            yield target
        Path(temporary).replace(file)
    except OSError as error:
        raise CliError(f"{file} cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()


def import_database(lf: Caller, file: Path | None, database: str | None, strategy: str | None) -> None:
    params = known({"database": database or default_database(lf), "strategy": strategy})
    headers = {"Content-Type": "application/json"}
    with _exported(file) as content, lf.api() as api:
        answer = _post(api, lf, "import", content=content, headers=headers, params=params)
    tell(lf, answer)


@contextlib.contextmanager
def _exported(file: Path | None) -> Iterator[BinaryIO | bytes]:
    """A file is streamed, however large it is; what comes through a pipe has no length and is read first.

    Raises:
        CliError: it cannot be read, or is no exported document.
    """
    if file is None:
        content = sys.stdin.buffer.read()
        _check_start(content[:1000], "stdin")
        yield content
        return
    try:
        opened = file.open("rb")
    except OSError as error:
        raise CliError(f"{file} cannot be read: {error.strerror}") from error
    with opened:
        _check_start(opened.read(1000), str(file))
        opened.seek(0)
        yield opened


def _check_start(beginning: bytes, name: str) -> None:
    """Only so much that a picked-up wrong file is not sent; the server checks the rest."""
    if not beginning.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        raise CliError(f"{name} is no exported database: it does not begin with {{")


def _post(api: Api, lf: Caller, action: str, **content: Any) -> Any:
    path = f"{lf.project().path}/rag/{action}"
    return api.send("POST", path, timeout_s=lf.options.timeout_s or api.stream_timeout_s, **content)
