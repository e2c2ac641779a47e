"""What `lf datasets upload` does: find the files, send them, tell what became of each, process them if wished."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.client.api import Api
from cli.client.caller import Caller
from cli.client.datasets import dataset_path
from cli.client.files import find_files
from cli.client.output import counted
from cli.client.project_file import ProjectName
from cli.client.upload import Outcome, Uploader, rate_limited
from cli.client.watch import failures, report, watch
from cli.errors import CliError, HadFailuresError, UsageError


@dataclass(frozen=True, slots=True)
class Plan:
    """`process` None leaves it to the dataset whether what is uploaded is processed."""

    dataset: str
    given: list[str]
    is_recursive: bool = False
    with_hidden: bool = False
    jobs: int = 4
    is_bulk: bool = False
    process: bool | None = None
    waits: bool = True
    chunk_size: int | None = None
    chunk_overlap: int | None = None

    @property
    def form(self) -> dict[str, str]:
        given = {"chunk_size": self.chunk_size, "chunk_overlap": self.chunk_overlap}
        overrides = {key: value for key, value in given.items() if value is not None}
        return {"parser_overrides": json.dumps({"*": overrides})} if overrides else {}

    @property
    def processes_together(self) -> bool:
        """One task takes all files once they are there, unless each upload must carry options of its own."""
        return self.process is True and not self.form

    @property
    def params(self) -> dict[str, str]:
        if self.process is None:
            return {}
        return {"auto_process": "true" if self.process and self.form else "false"}


def upload_files(lf: Caller, plan: Plan) -> None:
    """Raises HadFailuresError when a file was not uploaded or not processed; the others are."""
    project = lf.project()
    found = find_files(plan.given, is_recursive=plan.is_recursive, with_hidden=plan.with_hidden)
    if not found.paths:
        lost = "; ".join(f"{name}: {why}" for name, why in found.lost.items())
        raise UsageError(lost or "there is no file to upload: folders give their own files only, unless --recursive")
    with lf.api() as api:
        outcomes = [Outcome(name, "failed", error=why) for name, why in found.lost.items()]
        outcomes += _send(lf, api, project, plan, found.paths)
        tasks = list(dict.fromkeys(each.task_id for each in outcomes if each.task_id))
        if plan.processes_together and any(each.status != "failed" for each in outcomes):
            tasks = [_start_processing(api, project, plan)]
        ended = [watch(lf, api, project, task_id) for task_id in tasks] if plan.waits else []
    _tell(lf, plan, outcomes, tasks, ended)


def _send(lf: Caller, api: Api, project: ProjectName, plan: Plan, paths: list[Path]) -> Iterator[Outcome]:
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        (0, TextColumn("uploading {task.fields[done]} of {task.fields[count]}")),
        (60, BarColumn()),
        (50, DownloadColumn()),
        (80, TransferSpeedColumn()),
        (70, TimeRemainingColumn()),
    )
    uploader = Uploader(api, dataset_path(project, plan.dataset), params=plan.params, form=plan.form)
    send = uploader.upload_bulk if plan.is_bulk else uploader.upload
    size_bytes = sum(path.stat().st_size for path in paths)
    with lf.out.progress(*columns) as progress:
        bar = progress.add_task("", total=size_bytes, done=0, count=counted(len(paths), "file"))
        advance = rate_limited(lambda count: progress.advance(bar, count))
        for done, outcome in enumerate(send(paths, concurrency=plan.jobs, on_progress=advance), start=1):
            progress.update(bar, done=done)
            yield outcome


def _start_processing(api: Api, project: ProjectName, plan: Plan) -> str:
    started = api.post(f"{dataset_path(project, plan.dataset)}/actions", {"action_type": "process"})
    return str(started["task_id"])


def _tell(lf: Caller, plan: Plan, outcomes: list[Outcome], tasks: list[str], ended: list[dict[str, Any]]) -> None:
    counts = {kind: sum(each.status == kind for each in outcomes) for kind in ("uploaded", "skipped", "failed")}
    document = {
        "dataset": plan.dataset,
        "total": len(outcomes),
        **counts,
        "files": [each.document() for each in outcomes],
        "task_ids": tasks,
        "tasks": ended,
    }
    lf.out.result(document, lambda: _print(lf, counts, outcomes, tasks, ended))
    unprocessed = sum(len(failures(task)) for task in ended)
    if counts["failed"] or unprocessed:
        raise HadFailuresError(f"{counted(counts['failed'], 'file')} not uploaded, {unprocessed} not processed")
    bad = next((task for task in ended if task.get("state") != "SUCCESS"), None)
    if bad is not None:
        raise CliError(
            f"task {bad.get('task_id')} ended as {bad.get('state')}: {bad.get('error') or 'no more is known'}"
        )


def _print(
    lf: Caller, counts: dict[str, int], outcomes: list[Outcome], tasks: list[str], ended: list[dict[str, Any]]
) -> None:
    total = len(outcomes)
    lf.out.text(
        f"{counted(total, 'file')}: {counts['uploaded']} uploaded, {counts['skipped']} skipped (already there), "
        f"{counts['failed']} failed"
    )
    for each in outcomes:
        if each.status == "failed":
            lf.out.text(f"  {each.path}: {each.error}")
    for task in ended:
        try:
            report(lf.out, task)
        except CliError as error:
            lf.out.note(error)
    if tasks and not ended:
        lf.out.text(f"processing: `lf tasks watch {tasks[0]}`")
