"""What `lf examples import` does."""

from typing import Any

from cli.client.api import segment
from cli.client.caller import Caller
from cli.client.output import counted
from cli.client.project_file import ProjectName
from cli.client.watch import failures, watch
from cli.errors import HadFailuresError, UsageError

NAMESPACE = "examples"


def import_example(
    lf: Caller,
    example: str,
    *,
    name: str | None,
    into_project: bool,
    dataset: str | None,
    processes: bool,
    waits: bool,
) -> None:
    if name and (into_project or dataset):
        raise UsageError("--name is for a project of its own: leave out --into-project and --dataset")
    route, project, body = _request(lf, example, name, dataset, into_project=into_project)
    with lf.api() as api:
        answer = api.post(f"/v1/examples/{segment(example)}/{route}", {**body, "process": processes})
        task_ids = answer.get("task_ids") or [answer.get("task_id")]
        started = [str(each) for each in task_ids if each]
        tasks = [watch(lf, api, project, task_id) for task_id in started] if waits else []
    document = {**answer, "tasks": tasks}
    lf.out.result(document, lambda: _print(lf, example, project, started, tasks))
    bad = sum(len(failures(task)) or task.get("state") != "SUCCESS" for task in tasks)
    if bad:
        raise HadFailuresError(f"{counted(bad, 'file')} or {'task' if bad == 1 else 'tasks'} failed")


def _request(
    lf: Caller, example: str, name: str | None, dataset: str | None, *, into_project: bool
) -> tuple[str, ProjectName, dict[str, Any]]:
    if dataset or into_project:
        project = lf.project()
        body = {"namespace": project.namespace, "project": project.name}
        return ("import-dataset", project, {**body, "dataset": dataset}) if dataset else ("import-data", project, body)
    project = ProjectName(lf.options.namespace or NAMESPACE, name or lf.options.project or example)
    return "import-project", project, {"namespace": project.namespace, "name": project.name}


def _print(lf: Caller, example: str, project: ProjectName, started: list[str], tasks: list[dict[str, Any]]) -> None:
    lf.out.text(f"imported {example} into {project}")
    for task in tasks:
        result = task.get("result") or {}
        lf.out.text(
            f"  {counted(result.get('processed_files') or 0, 'file')} processed, {result.get('failed_files', 0)} failed"
        )
        for file, why in failures(task):
            lf.out.text(f"  {file}: {why}")
    if started and not tasks:
        lf.out.text(f"  processing: `lf tasks watch {started[0]}`")
    lf.out.note(f'ask it: lf chat {project} "…"')
