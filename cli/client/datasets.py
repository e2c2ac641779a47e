"""What `lf datasets` does, but for the uploads."""

from typing import Any

from cli.client.api import Api, segment
from cli.client.caller import Caller
from cli.client.output import counted, human_size
from cli.client.project_file import ProjectName
from cli.client.watch import report, watch
from cli.errors import CliError, UsageError

BUILT_IN = "universal_rag"
"""A processing strategy that servers list for every project."""


def dataset_path(project: ProjectName, name: str) -> str:
    return f"{project.path}/datasets/{segment(name)}"


def print_list(lf: Caller) -> None:
    with lf.api() as api:
        found = api.get(f"{lf.project().path}/datasets/", include_extra_details=True)
    datasets = found.get("datasets") or []

    def show() -> None:
        if not datasets:
            lf.out.note("No datasets found.")
            return
        rows = [
            (
                each["name"],
                each.get("data_processing_strategy") or "auto",
                each.get("database") or "auto",
                len(_files(each)) or len(each.get("files") or []),
                human_size((each.get("details") or {}).get("total_size_bytes")),
            )
            for each in datasets
        ]
        lf.out.table(("NAME", "STRATEGY", "DATABASE", "FILES", "SIZE"), rows)

    lf.out.result(found, show)


def print_files(lf: Caller, name: str) -> None:
    project = lf.project()
    with lf.api() as api:
        found = api.get(f"{project.path}/datasets/", include_extra_details=True)
    dataset = next((each for each in found.get("datasets") or [] if each.get("name") == name), None)
    if dataset is None:
        known = ", ".join(each["name"] for each in found.get("datasets") or []) or "none"
        raise CliError(f"dataset {name!r} not found in project {project}: there are {known}")
    rows = [
        (file["hash"], file.get("original_file_name"), human_size(file.get("size")), file.get("chunk_count"))
        for file in _files(dataset)
    ]
    lf.out.result(dataset, lambda: lf.out.table(("HASH", "NAME", "SIZE", "CHUNKS"), rows))


def _files(dataset: dict[str, Any]) -> list[dict[str, Any]]:
    return list((dataset.get("details") or {}).get("files_metadata") or [])


def create_dataset(lf: Caller, name: str, strategy: str | None, database: str | None) -> Any:
    """What is not given is the project's own strategy, if it has one only, and its default database."""
    project = lf.project()
    with lf.api() as api:
        known = api.get(f"{project.path}/datasets/strategies")
        strategies, databases = known.get("data_processing_strategies") or [], known.get("databases") or []
        own = [each for each in strategies if each != BUILT_IN] or strategies
        default = None if database or len(databases) == 1 else _default_database(api, project)
        body = {
            "name": name,
            "data_processing_strategy": _choice("-s", strategy, strategies, own),
            "database": _choice("-b", database or default, databases, databases),
        }
        return api.post(f"{project.path}/datasets/", body)


def _default_database(api: Api, project: ProjectName) -> str | None:
    found = api.get(f"{project.path}/rag/databases").get("default_database")
    return found if isinstance(found, str) else None


def _choice(option: str, given: str | None, known: list[str], candidates: list[str]) -> str:
    """An empty list checks nothing: the server then says what it thinks."""
    shown = ", ".join(known) or "none"
    if given is None:
        if len(candidates) != 1:
            raise UsageError(f"{option}: give one of the project's: {shown}")
        return candidates[0]
    if known and given not in known:
        raise UsageError(f"{option} {given!r}: the project has {shown}")
    return given


def start_action(lf: Caller, name: str, body: dict[str, Any], *, waits: bool, cancels: bool) -> None:
    project = lf.project()
    with lf.api() as api:
        started = api.post(f"{dataset_path(project, name)}/actions", body)
        finish(lf, api, project, started, waits=waits, cancels=cancels)


def finish(
    lf: Caller, api: Api, project: ProjectName, started: dict[str, Any], *, waits: bool, cancels: bool = False
) -> None:
    """Follow what an action started, or say how."""
    task_id = started.get("task_id")
    if not task_id or not waits:
        hint = f"task {task_id}: `lf tasks watch {task_id}`" if task_id else started.get("message", "nothing to do")
        lf.out.result(started, lambda: lf.out.text(hint))
        return
    report(lf.out, watch(lf, api, project, str(task_id), cancels=cancels))


def delete_dataset(lf: Caller, name: str, *, is_sure: bool) -> None:
    project = lf.project()
    lf.out.confirm(f"Delete dataset {name!r} of {project} with its files and chunks?", is_sure=is_sure)
    with lf.api() as api:
        answer = api.delete(dataset_path(project, name))
    lf.out.result(answer, lambda: lf.out.text(f"deleted dataset {name!r}"))


def remove_file(lf: Caller, name: str, file_hash: str, *, is_sure: bool) -> None:
    project = lf.project()
    lf.out.confirm(f"Remove file {file_hash} from dataset {name!r}?", is_sure=is_sure)
    with lf.api() as api:
        answer = api.delete(f"{dataset_path(project, name)}/data/{segment(file_hash)}", remove_from_disk=True)
    lf.out.result(answer, lambda: lf.out.text(f"removed, with {counted(answer.get('deleted_chunks', 0), 'chunk')}"))


def clean_up_file(lf: Caller, name: str, file_hash: str, *, is_sure: bool) -> None:
    project = lf.project()
    lf.out.confirm(f"Delete the chunks of file {file_hash} in dataset {name!r}?", is_sure=is_sure)
    with lf.api() as api:
        answer = api.post(f"{dataset_path(project, name)}/cleanup/{segment(file_hash)}")
    lf.out.result(answer, lambda: lf.out.text(f"deleted {counted(answer.get('deleted_chunks', 0), 'chunk')}"))
