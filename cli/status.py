"""`lf server status`: what runs, and what it takes."""

import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from cli.state_file import PartRecord, RunRecord, log_dir, read_record, running_record

STYLES = {"ready": "green", "external": "cyan", "starting": "yellow", "restarting": "yellow", "failing": "red"}


@dataclass(frozen=True, slots=True)
class PartStatus:
    name: str
    state: str
    pid: int | None = None
    uptime_s: float | None = None
    rss_bytes: int | None = None
    restarts: int = 0
    last_exit: str | None = None
    port: int | None = None
    url: str | None = None
    log_file: str | None = None


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """`state` is the supervisor's; `rss_bytes` adds up all parts and the supervisor."""

    state: str
    data_dir: str
    pid: int | None = None
    url: str | None = None
    uptime_s: float | None = None
    rss_bytes: int | None = None
    reason: str | None = None
    parts: list[PartStatus] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        return self.state == "running" and all(part.state in ("ready", "external") for part in self.parts)


def make_status(data_dir: Path) -> ServerStatus:
    record = running_record(data_dir)
    if record is None:
        last = read_record(data_dir)
        reason = last.reason if last is not None and last.state == "failed" else None
        return ServerStatus("not running", str(data_dir), reason=reason)
    parts = [_part_status(part, data_dir) for part in record.parts]
    own_bytes = _rss_bytes(record.pid, with_children=False) or 0
    return ServerStatus(
        state=record.state,
        data_dir=str(data_dir),
        pid=record.pid,
        url=record.url,
        uptime_s=_uptime_s(record),
        rss_bytes=own_bytes + sum(part.rss_bytes or 0 for part in parts),
        parts=parts,
    )


def _uptime_s(record: RunRecord | PartRecord) -> float | None:
    return None if record.started_at is None else round(max(0.0, time.time() - record.started_at), 1)


def _part_status(part: PartRecord, data_dir: Path) -> PartStatus:
    is_external = part.state == "external"
    return PartStatus(
        name=part.name,
        state=part.state,
        pid=part.pid,
        uptime_s=_uptime_s(part) if part.pid else None,
        rss_bytes=_rss_bytes(part.pid) if part.pid else None,
        restarts=part.restarts,
        last_exit=part.last_exit,
        port=part.port,
        url=part.url,
        log_file=None if is_external else str(log_dir(data_dir) / f"{part.name}.log"),
    )


def _rss_bytes(pid: int, *, with_children: bool = True) -> int | None:
    try:
        process = psutil.Process(pid)
        family = [process, *(process.children(recursive=True) if with_children else [])]
    except psutil.Error:
        return None
    total = 0
    for each in family:
        try:
            total += each.memory_info().rss
        except psutil.Error:  # it ended in between
            continue
    return total


def print_status(status: ServerStatus, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(asdict(status), indent=2) + "\n")
        return
    console = Console()
    if status.state == "not running":
        console.print(f"not running on {status.data_dir}", highlight=False, soft_wrap=True)
        if status.reason:
            console.print(f"the last start failed: {status.reason}", highlight=False, soft_wrap=True, markup=False)
        return
    console.print(_table(status))
    console.print(
        f"{status.state} (pid {status.pid}) on {status.url}, {_megabytes(status.rss_bytes)}, data in {status.data_dir}",
        highlight=False,
        soft_wrap=True,
    )


def _table(status: ServerStatus) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("PART", "STATE", "PID", "PORT", "UPTIME", "MEMORY", "RESTARTS", "LAST EXIT"):
        table.add_column(
            heading, justify="right" if heading in ("PID", "PORT", "UPTIME", "MEMORY", "RESTARTS") else "left"
        )
    for part in status.parts:
        style = STYLES.get(part.state, "")
        state = f"[{style}]{part.state}[/{style}]" if style else part.state
        place = str(part.port or "")
        cells = (str(part.pid or ""), place, _duration(part.uptime_s), _megabytes(part.rss_bytes))
        table.add_row(part.name, state, *cells, str(part.restarts), part.last_exit or part.url or "")
    return table


def _megabytes(size_bytes: int | None) -> str:
    return "" if size_bytes is None else f"{size_bytes / 1e6:.0f} MB"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
