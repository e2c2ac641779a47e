"""What a running supervisor tells the other commands (`run/server.json`), and the lock that proves it runs."""

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from cli.errors import AlreadyRunningError

LOCK_TRIES = 6
LOCK_RETRY_S = 0.05

RunState = Literal["starting", "running", "stopping", "stopped", "failed"]
PartState = Literal["starting", "ready", "restarting", "failing", "stopped", "external"]


@dataclass(frozen=True, slots=True)
class PartRecord:
    """`pid` is absent while the part is down; times are seconds since the epoch."""

    name: str
    state: PartState
    pid: int | None = None
    started_at: float | None = None
    port: int | None = None
    url: str | None = None
    restarts: int = 0
    last_exit: str | None = None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """`pid` is the supervisor's; `reason` says why a start failed, `tail` what its part wrote last."""

    pid: int
    state: RunState
    data_dir: str
    url: str
    started_at: float
    reason: str | None = None
    tail: list[str] = field(default_factory=list)
    parts: list[PartRecord] = field(default_factory=list)


def run_dir(data_dir: Path) -> Path:
    return data_dir / "run"


def log_dir(data_dir: Path) -> Path:
    return data_dir / "logs"


def write_record(data_dir: Path, record: RunRecord) -> None:
    path = run_dir(data_dir) / "server.json"
    temporary = path.with_suffix(".json.new")
    temporary.write_text(json.dumps(asdict(record), indent=1), encoding="utf-8")
    temporary.replace(path)


def read_record(data_dir: Path) -> RunRecord | None:
    """The last record written, of a supervisor that may be gone; None when there is none or it cannot be read."""
    try:
        raw: dict[str, Any] = json.loads((run_dir(data_dir) / "server.json").read_bytes())
        parts = [PartRecord(**_known(PartRecord, part)) for part in raw.pop("parts", [])]
        return RunRecord(**_known(RunRecord, raw), parts=parts)
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _known(kind: type, raw: dict[str, Any]) -> dict[str, Any]:
    """Another version may have written keys that this one does not know."""
    names = {each.name for each in fields(kind)}
    return {key: value for key, value in raw.items() if key in names}


class RunLock:
    """Held for as long as a supervisor lives; the kernel lets go of it however the process ends."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Raises AlreadyRunningError, naming the holder, when another process has it."""
        descriptor = os.open(_lock_path(self._data_dir), os.O_RDWR | os.O_CREAT, 0o600)
        for _ in range(LOCK_TRIES):
            if _try_lock(descriptor, fcntl.LOCK_EX):
                self._descriptor = descriptor
                return
            time.sleep(LOCK_RETRY_S)  # `lf server status` looks by taking the lock for a moment
        os.close(descriptor)
        record = read_record(self._data_dir)
        holder = f" (pid {record.pid})" if record else ""
        raise AlreadyRunningError(
            f"already running on {self._data_dir}{holder}: stop it with `lf server stop`, "
            "or choose another data directory with --data-dir"
        )

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _lock_path(data_dir: Path) -> Path:
    return run_dir(data_dir) / "server.lock"


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_running(data_dir: Path) -> bool:
    try:
        descriptor = os.open(_lock_path(data_dir), os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def running_record(data_dir: Path) -> RunRecord | None:
    """The record of the supervisor that runs now; None when none does."""
    if not is_running(data_dir):
        return None
    return read_record(data_dir)


def wait_until_gone(data_dir: Path, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if not is_running(data_dir):
            return True
        time.sleep(0.1)
    return not is_running(data_dir)
