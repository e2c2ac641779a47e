"""Follows a task to its end: pushed where the server pushes, else asked for."""

import time
from collections.abc import Iterator
from typing import Any

from cli.client.api import Api, segment
from cli.client.caller import Caller
from cli.client.output import Output, clean, counted
from cli.client.project_file import ProjectName
from cli.errors import ApiError, CliError, HadFailuresError, NotReachableError

POLL_S = 1.0
FIRST_POLL_S = 0.2
MAX_SILENCE_S = 60.0
"""How long a server that does not answer is asked again: it may be starting anew."""
SHOWN_FILES, SHOWN_REMARKS, SHOWN_PAGES, SHOWN_CHARS = 20, 3, 10, 200
"""Of the warnings under a summary."""
ENDED = frozenset({"SUCCESS", "FAILURE", "REVOKED", "CANCELLED"})

Task = dict[str, Any]


def task_path(project: ProjectName, task_id: str) -> str:
    return f"{project.path}/tasks/{segment(task_id)}"


def is_ended(task: Task) -> bool:
    return task.get("state") in ENDED


def follow(api: Api, path: str) -> Iterator[Task]:
    """The task whenever it changed, the ended one last.

    Raises:
        ApiError: there is no such task.
        NotReachableError: the server stayed away for a minute.
    """
    task = api.get(path)  # a task that does not exist is told before anything is followed
    yield task
    if not is_ended(task):
        for task in _pushed(api, path):
            yield task
            if is_ended(task):
                return
        yield from _polled(api, path)


def _pushed(api: Api, path: str) -> Iterator[Task]:
    """Ends without an ended task where the server pushes nothing, or the connection breaks."""
    try:
        with api.events("GET", f"{path}/events") as events:
            for event in events:
                if "state" in event:
                    yield event
    except (ApiError, NotReachableError):
        return


def _polled(api: Api, path: str) -> Iterator[Task]:
    pause_s, heard_at = FIRST_POLL_S, time.monotonic()
    while True:
        try:
            task = api.get(path)
        except (ApiError, NotReachableError) as error:
            if getattr(error, "status", None) in (401, 403, 404) or time.monotonic() - heard_at > MAX_SILENCE_S:
                raise
        else:
            heard_at = time.monotonic()
            yield task
            if is_ended(task):
                return
        time.sleep(pause_s)
        pause_s = min(POLL_S, pause_s * 1.5)


def watch(caller: Caller, api: Api, project: ProjectName, task_id: str, *, cancels: bool = False) -> Task:
    """Show a task's progress until it has ended; returns what it is then.

    Args:
        cancels: Ctrl-C cancels the task; else it goes on without this command.
    """
    path = task_path(project, task_id)
    try:
        return _shown(caller.out, api, path)
    except KeyboardInterrupt:
        if cancels:
            answer = api.delete(path)
            caller.out.note(answer.get("message", "cancelled"), style="yellow")
        else:
            caller.out.note(f"the task goes on: `lf tasks watch {task_id}`, or `lf tasks cancel {task_id}`")
        raise


def _shown(out: Output, api: Api, path: str) -> Task:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        (0, TextColumn("{task.description}")),
        (40, BarColumn()),
        (0, MofNCompleteColumn()),
        (75, TextColumn("files, {task.fields[chunks]} chunks")),
        (95, TimeElapsedColumn()),
        (95, TextColumn("elapsed,")),
        (50, TimeRemainingColumn()),
        (50, TextColumn("left")),
    )
    task: Task = {}
    with out.progress(*columns) as progress:
        bar = progress.add_task("processing", total=None, chunks=0)
        for task in follow(api, path):
            meta = task.get("meta") or {}
            progress.update(
                bar, completed=meta.get("current") or 0, total=meta.get("total"), chunks=meta.get("stored_count") or 0
            )
    return task


def report(out: Output, task: Task) -> None:
    """Print what a task did, file by file where it failed.

    Raises:
        HadFailuresError: files failed, or the task was cancelled.
    """
    failed = failures(task)
    result = _result(task)
    out.result(task, lambda: _print(out, task, failed))
    if task.get("cancelled"):
        raise HadFailuresError("the task was cancelled")
    if failed or result.get("failed_files"):
        count = len(failed) or result.get("failed_files")
        raise HadFailuresError(f"{count} of {counted(_total(result) or count, 'file')} failed")
    if task.get("state") != "SUCCESS":
        raise CliError(f"the task ended as {task.get('state')}: {task.get('error') or 'the server says no more'}")


def failures(task: Task) -> list[tuple[str, str]]:
    """(file, why) of each file that failed."""
    return [(name, info.get("error") or info.get("reason") or "?") for name, info in _details(task) if _failed(info)]


def _result(task: Task) -> dict[str, Any]:
    """That of one file, which is a pair, as that of a task that has this file alone."""
    match task.get("result"):
        case dict() as result:
            return result
        case [bool(), {"status": str(status)}] as pair:
            return {"details": [pair], f"{status}_files": 1}
    return {}


def _details(task: Task) -> Iterator[tuple[str, dict[str, Any]]]:
    for entry in _result(task).get("details") or []:
        if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], dict)):
            continue
        success, info = entry
        yield _file_name(info), {"status": "processed" if success else "failed", **info}


def _file_name(info: dict[str, Any]) -> str:
    name = str(info.get("filename") or "?")
    inner = info.get("result")
    if len(name) == 64 and isinstance(inner, dict) and inner.get("filename"):
        return str(inner["filename"])  # the original server names a file by its hash
    return name


def _failed(info: dict[str, Any]) -> bool:
    return info["status"] in ("failed", "failure", "error")


def _total(result: dict[str, Any]) -> int:
    counted = sum(int(result.get(key) or 0) for key in ("processed_files", "skipped_files", "failed_files"))
    return counted or len(result.get("details") or [])


def _print(out: Output, task: Task, failed: list[tuple[str, str]]) -> None:
    result = _result(task)
    if not is_ended(task):
        meta = task.get("meta") or {}
        out.text(f"{task.get('state')}: {meta.get('current', 0)} of {counted(meta.get('total'), 'file')}")
        return
    if not _total(result):
        out.text(task.get("error") or result.get("message") or "No files to process")
        return
    out.text(
        f"{counted(_total(result), 'file')}: {result.get('processed_files') or 0} processed, "
        f"{result.get('skipped_files') or 0} skipped, {result.get('failed_files') or 0} failed"
    )
    for name, why in failed:
        out.text(f"  {clean(name)}: {why}")
    _print_warnings(out, task)


def _print_warnings(out: Output, task: Task) -> None:
    """What is less than it might be in files that were processed."""
    told = [(name, _remarks(info)) for name, info in _details(task) if not _failed(info)]
    told = [(name, remarks) for name, remarks in told if remarks]
    if not told:
        return
    out.text(f"{counted(sum(len(remarks) for _, remarks in told), 'warning')} in {counted(len(told), 'file')}:")
    for name, remarks in told[:SHOWN_FILES]:
        for remark in remarks[:SHOWN_REMARKS]:
            out.text(f"  {clean(name)}: {_shortened(clean(remark))}")
        if len(remarks) > SHOWN_REMARKS:
            out.text(f"  {clean(name)}: and {len(remarks) - SHOWN_REMARKS} more")
    if len(told) > SHOWN_FILES:
        out.text(f"  and {len(told) - SHOWN_FILES} more files; `lf tasks show {task.get('task_id')} --json` has all")


def _remarks(info: dict[str, Any]) -> list[str]:
    pages = info.get("pages_without_text") or []
    said = [str(each) for each in info.get("warnings") or []]
    if not pages:
        return said
    shown = ", ".join(map(str, pages[:SHOWN_PAGES])) + (" …" if len(pages) > SHOWN_PAGES else "")
    return [*said, f"{counted(len(pages), 'page')} without text: {shown}"]


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else f"{text[: SHOWN_CHARS - 1]}…"
