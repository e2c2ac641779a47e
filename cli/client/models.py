"""What `lf models` does."""

from collections.abc import Iterator
from typing import Any

from cli.client.caller import Caller
from cli.client.output import Output, clean, human_size
from cli.client.project_file import ProjectName
from cli.errors import ApiError


def print_models(lf: Caller, project: ProjectName) -> None:
    with lf.api() as api:
        found = api.get(f"{project.path}/models")
    entries = found.get("models") or []

    def show() -> None:
        if not entries:
            lf.out.note("No models configured")
            return
        rows = [
            (
                f"{each.get('name')} *" if each.get("default") else each.get("name"),
                each.get("provider"),
                each.get("model"),
                each.get("description"),
            )
            for each in entries
        ]
        lf.out.table(("NAME", "PROVIDER", "MODEL", "DESCRIPTION"), rows)
        lf.out.note("* answers when a chat names no model")

    lf.out.result(found, show)


def print_cached(lf: Caller, provider: str) -> None:
    with lf.api() as api:
        found = api.get("/v1/models", provider=provider)
    entries = found.get("data") or []
    rows = [(_id(each), each.get("size_human") or human_size(each.get("size"))) for each in entries]
    lf.out.result(found, lambda: lf.out.table(("MODEL", "SIZE"), rows))


def find_cached(lf: Caller, model: str, provider: str) -> dict[str, Any] | None:
    """By id, with and without the quantization behind the colon (which belongs to the name in Ollama)."""
    with lf.api() as api:
        found = api.get("/v1/models", provider=provider)
    wanted = {model} if provider == "ollama" else {model, model.partition(":")[0]}
    return next((dict(each) for each in found.get("data") or [] if _id(each) in wanted), None)


def _id(entry: dict[str, Any]) -> str:
    return str(entry.get("id") or entry.get("model_id") or entry.get("name"))


def pull_model(lf: Caller, model: str, provider: str) -> None:
    """Raises ApiError: the download failed, or its stream ended before it was done."""
    last: dict[str, Any] = {}
    with lf.api() as api:
        body = {"provider": provider, "model_name": model}
        with api.events("POST", "/v1/models/download", json=body) as events:
            for last in _shown(lf.out, events):
                _raise_failure(last)
    if last.get("event") != "done":
        raise ApiError(f"the download of {model} broke off before it was done; start it again to go on")
    document = {"model": model, **last}
    lf.out.result(document, lambda: lf.out.text(f"{model} is on the server"))


def _raise_failure(event: dict[str, Any]) -> None:
    if event.get("event") == "error":
        raise ApiError(str(event.get("message") or event.get("error") or "the download failed"), body=event)


def _shown(out: Output, events: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Passes the events on and draws them."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.table import Column

    columns = (
        (0, TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, max_width=40))),
        (80, BarColumn()),
        (60, DownloadColumn()),
        (100, TransferSpeedColumn()),
        (90, TimeRemainingColumn()),
    )
    with out.progress(*columns) as progress:
        bar = progress.add_task("waiting", total=None)
        for event in events:
            if event.get("event") == "warning":
                out.warning(event.get("message"))
            if event.get("event") in ("start", "progress"):
                name = clean(event.get("file") or "downloading")
                progress.update(
                    bar, description=name, completed=event.get("downloaded") or 0, total=event.get("total") or None
                )
            if not event.get("keepalive"):
                yield event
