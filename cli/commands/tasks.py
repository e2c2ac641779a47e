"""`lf tasks`: what the workers do."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.client.options import command

if TYPE_CHECKING:
    from cli.client.caller import Caller

tasks = typer.Typer(help="Look at what the workers do, wait for it, cancel it.", no_args_is_help=True)

TaskId = Annotated[str, typer.Argument(help="As `lf datasets process --no-wait` printed it.")]
State = Annotated[
    str | None, typer.Option(show_default=False, help="Only these: PENDING, STARTED, SUCCESS or FAILURE.")
]
Limit = Annotated[int, typer.Option("--limit", "-l", min=1, help="At most so many.")]
Offset = Annotated[int, typer.Option(min=0, help="Leave out so many of the newest.")]
Cancels = Annotated[bool, typer.Option("--cancel-on-interrupt", help="Ctrl-C cancels the task, too.")]


@command(tasks, "list")
def list_tasks(lf: "Caller", state: State = None, limit: Limit = 20, offset: Offset = 0) -> None:
    """List the tasks of a project, newest first."""
    with lf.api() as api:
        found = api.get(f"{lf.project().path}/tasks", limit=limit, offset=offset, state=state)
    lf.out.result(found, lambda: _print(lf, found.get("tasks") or []))


@command(tasks)
def show(lf: "Caller", task_id: TaskId) -> None:
    """Print a task as it is now."""
    from cli.client.output import counted
    from cli.client.watch import report, task_path
    from cli.errors import HadFailuresError

    with lf.api() as api:
        task = api.get(task_path(lf.project(), task_id))
    if task.get("state") in ("PENDING", "STARTED", "PROGRESS"):
        meta = task.get("meta") or {}
        text = f"{task['state']}: {meta.get('current', 0)} of {counted(meta.get('total'), 'file')}"
        lf.out.result(task, lambda: lf.out.text(text))
        return
    try:
        report(lf.out, task)
    except HadFailuresError as error:
        lf.out.note(error)


@command(tasks)
def watch(lf: "Caller", task_id: TaskId, cancel_on_interrupt: Cancels = False) -> None:
    """Follow a task to its end. Exit code 4: files failed, or it was cancelled."""
    from cli.client.watch import report, watch

    with lf.api() as api:
        task = watch(lf, api, lf.project(), task_id, cancels=cancel_on_interrupt)
    report(lf.out, task)


@command(tasks)
def cancel(lf: "Caller", task_id: TaskId) -> None:
    """Cancel a task and take back what it wrote."""
    from cli.client.watch import task_path

    with lf.api() as api:
        answer = api.delete(task_path(lf.project(), task_id))
    lf.out.result(answer, lambda: lf.out.text(answer.get("message", "cancelled")))


def _print(lf: "Caller", found: list[dict[str, Any]]) -> None:
    if not found:
        lf.out.note("No tasks found.")
        return
    rows = []
    for each in found:
        meta = each.get("meta") or {}
        state = "CANCELLED" if each.get("cancelled") else each.get("state")
        rows.append((each["task_id"], state, f"{meta.get('current', '')}/{meta.get('total', '')}", each.get("error")))
    lf.out.table(("TASK", "STATE", "FILES", "ERROR"), rows)
