"""What `lf eval` does: read the questions, have the server ask them, show the report."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.client.api import Api
from cli.client.caller import Caller
from cli.client.evaluation_report import check_plots, print_report, write_plots
from cli.client.project_file import ProjectName
from cli.client.watch import follow, task_path
from cli.errors import ApiError, CliError, HadFailuresError, UsageError
from rag.errors import RagError
from rag.evaluation.datasets import is_beir, read_beir, read_jsonl

Question = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    source: Path | None
    synthetic: int | None
    model: str | None
    seed: int
    limit: int | None
    database: str | None
    strategies: Sequence[str]
    chunkings: Sequence[str]
    ks: Sequence[int]
    plots: Sequence[Path]
    ingest: str | None
    task: str | None


def evaluate_database(lf: Caller, wanted: Wanted) -> None:
    """Raises HadFailuresError when a configuration could not be measured; the others are shown."""
    _check(wanted)
    check_plots(wanted.plots)
    project = lf.project()
    if wanted.task is not None:
        with lf.api() as api:
            task = _followed(lf, api, project, wanted.task, cancels=False)
    else:
        body = _body(wanted)
        if wanted.ingest is not None and wanted.source is not None:
            from cli.client.evaluation_corpus import ingest_corpus

            body["database"] = ingest_corpus(lf, wanted.source, wanted.ingest, wanted.database)
        with lf.api() as api:
            started = _start(api, project, body)
            lf.out.note(f"task {started['task_id']}: {started['configuration_count']} configurations")
            task = _followed(lf, api, project, str(started["task_id"]), cancels=True)
    report = _report_of(task)
    write_plots(lf.out, report, wanted.plots)
    lf.out.result(task, lambda: print_report(lf.out, report))
    failed = [each for each in report["configurations"] if each.get("error")]
    if failed:
        names = ", ".join(f"'{each['strategy']}' over '{each['chunking']}'" for each in failed[:3])
        raise HadFailuresError(f"{len(failed)} of {len(report['configurations'])} could not be measured: {names}")


def _check(wanted: Wanted) -> None:
    given = [each for each in (wanted.source, wanted.synthetic, wanted.task) if each is not None]
    if len(given) != 1:
        raise UsageError("give one of: a file of questions, a BEIR folder, --synthetic N, --task ID")
    if wanted.model is not None and wanted.synthetic is None:
        raise UsageError("--with-model writes the questions of --synthetic N: give that too")
    if wanted.ingest is not None and (wanted.source is None or not is_beir(wanted.source)):
        raise UsageError("--ingest goes with a BEIR folder, which holds corpus.jsonl and queries.jsonl")


def _body(wanted: Wanted) -> dict[str, Any]:
    body: dict[str, Any] = {
        "database": wanted.database,
        "strategies": _split(wanted.strategies),
        "chunkings": _split(wanted.chunkings),
    }
    if wanted.ks:
        body["k"] = list(wanted.ks)
    if wanted.source is not None:
        body["questions"] = _sampled(_questions(wanted.source), wanted)
    else:
        body["synthetic"] = {"count": wanted.synthetic, "seed": wanted.seed, "model": wanted.model}
    return body


def _split(given: Sequence[str]) -> list[str]:
    return [part.strip() for text in given for part in text.split(",") if part.strip()]


def _questions(source: Path) -> list[Question]:
    if source.is_dir() and not is_beir(source):
        raise UsageError(f"{source} is no BEIR folder: corpus.jsonl and queries.jsonl are expected in it")
    try:
        return read_beir(source) if source.is_dir() else read_jsonl(source)
    except RagError as error:
        raise UsageError(error.message) from error


def _sampled(questions: list[Question], wanted: Wanted) -> list[Question]:
    """In their own order."""
    if wanted.limit is None or wanted.limit >= len(questions):
        return questions
    chosen = random.Random(wanted.seed).sample(range(len(questions)), wanted.limit)  # noqa: S311  # no secret
    return [questions[at] for at in sorted(chosen)]


def _start(api: Api, project: ProjectName, body: dict[str, Any]) -> dict[str, Any]:
    try:
        answer = api.post(f"{project.path}/rag/evaluate", body)
    except ApiError as error:
        if error.status == 413 and "LF_EVAL_MAX_QUESTIONS" in str(error):
            raise ApiError(f"{error}; --limit chooses some of them", error.status, error.body) from error
        raise
    return dict(answer)


def _followed(lf: Caller, api: Api, project: ProjectName, task_id: str, *, cancels: bool) -> dict[str, Any]:
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

    columns = (
        (0, TextColumn("{task.percentage:>3.0f} %")),
        (40, BarColumn()),
        (70, TextColumn("{task.description}")),
        (95, TimeElapsedColumn()),
    )
    path, task = task_path(project, task_id), dict[str, Any]()
    try:
        with lf.out.progress(*columns) as progress:
            bar = progress.add_task("", total=100)
            for task in follow(api, path):
                meta = task.get("meta") or {}
                progress.update(bar, completed=meta.get("progress") or 0, description=str(meta.get("message") or ""))
    except KeyboardInterrupt:
        if cancels:
            lf.out.note(api.delete(path).get("message", "cancelled"), style="yellow")
        raise
    return task


def _report_of(task: dict[str, Any]) -> dict[str, Any]:
    report = task.get("result")
    if task.get("cancelled"):
        raise HadFailuresError("the evaluation was cancelled")
    if task.get("state") != "SUCCESS":
        raise CliError(f"the evaluation failed: {task.get('error') or 'the server says no more'}")
    if not isinstance(report, dict) or "configurations" not in report:
        raise CliError(f"task {task.get('task_id')} is no evaluation")
    return report
