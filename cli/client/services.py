"""What `lf services` and `lf logs` do."""

import time
from pathlib import Path
from typing import Any

from cli.client.caller import Caller
from cli.errors import CliError, UsageError

LOGS = {"server": ("api",), "rag": ("worker-",), "universal-runtime": ("worker-embed",)}
"""LlamaFarm's service → how the names of our logs begin that hold what it would log."""


def print_status(lf: Caller) -> None:
    """Raises CliError when the server is not healthy, after all parts were shown; some it can do without."""
    with lf.api() as api:
        found = api.get("/health")
    parts = found.get("components") or []
    document = {
        "status": found.get("status"),
        "services": [_service(each) for each in parts],
        "orchestration": "",
        "timestamp": found.get("timestamp") or int(time.time()),
    }
    rows = [
        (each.get("name"), each.get("status"), f"{each.get('latency_ms', 0)} ms", each.get("message")) for each in parts
    ]
    lf.out.result(document, lambda: lf.out.table(("PART", "STATUS", "LATENCY", "MESSAGE"), rows))
    if str(found.get("status")).lower() != "healthy":
        raise CliError(f"the server is {found.get('status')}: {found.get('summary') or 'it says no more'}")
    without = [str(each.get("name")) for each in parts if str(each.get("status")).lower() != "healthy"]
    lf.out.note(f"healthy, but without {', '.join(without)}" if without else "all healthy")


def _service(part: dict[str, Any]) -> dict[str, Any]:
    details = part.get("details") or {}
    service = {"name": part.get("name"), "state": "running", "health": part}
    return service | {key: details[key] for key in ("pid", "log_file") if key in details}


def _data_dir(lf: Caller, given: Path | None) -> Path:
    if lf.options.server_url is not None:
        raise UsageError("this works on this machine, whatever --server-url or LF_SERVER_URL says: leave it out")
    if given is not None:
        return given.expanduser().absolute()
    from cli.environment import load_settings

    return load_settings().data_dir


def start_services(lf: Caller, given: Path | None) -> None:
    from cli.background import start_in_background
    from cli.environment import load_settings
    from cli.state_file import is_running

    data_dir = _data_dir(lf, given)
    was_running = is_running(data_dir)
    if not was_running:
        start_in_background(load_settings(data_dir=data_dir), None, is_silent=lf.out.as_json)
    _tell(lf, data_dir, "already running" if was_running else "started", has_said=not was_running)


def stop_services(lf: Caller, given: Path | None) -> None:
    from cli.background import stop_supervisor

    data_dir = _data_dir(lf, given)
    said = stop_supervisor(data_dir, timeout_s=15.0)
    lf.out.result({"message": said, "data_dir": str(data_dir)}, lambda: lf.out.text(said))


def _tell(lf: Caller, data_dir: Path, what: str, *, has_said: bool) -> None:
    from cli.state_file import running_record

    record = running_record(data_dir)
    url = record.url if record is not None else None
    document = {"message": what, "url": url, "pid": record.pid if record is not None else None}
    if lf.out.as_json or not has_said:
        lf.out.result(document, lambda: lf.out.text(f"{what}: {url}"))


def print_logs(lf: Caller, name: str | None, count: int, *, is_following: bool, data_dir: Path | None) -> None:
    from cli.logs import tail
    from cli.show_logs import show_logs
    from cli.state_file import log_dir

    folder = _data_dir(lf, data_dir)
    known = [path.stem for path in sorted(log_dir(folder).glob("*.log"))]
    parts = [part for part in known if part.startswith(LOGS[name])] if name in LOGS and name not in known else None
    if lf.out.as_json:
        if is_following:
            raise UsageError("--follow never ends, and --json prints one document: leave one of them out")
        wanted = parts or ([name] if name else known)
        missing = next((part for part in wanted if part not in known), None)
        if missing is not None:
            raise CliError(f"no log of {missing!r} in {log_dir(folder)}: there are {', '.join(known) or 'none'}")
        lf.out.document({part: tail(log_dir(folder) / f"{part}.log", count) for part in wanted})
        return
    show_logs(folder, name if parts is None else parts, count, is_following=is_following)
