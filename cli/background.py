"""`lf server start --detach` and `lf server stop`."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

from cli.environment import prepare_data_dir
from cli.errors import AlreadyRunningError, CliError, StartFailedError
from cli.example import read_example
from cli.foreground import summary
from cli.leftovers import kill_leftovers
from cli.logs import tail
from cli.ports import base_url, require_listenable
from cli.state_file import RunRecord, is_running, log_dir, read_record, wait_until_gone
from cli.supervisor import START_TIMEOUT_S
from config.settings import Settings

POLL_S = 0.1
TAIL_LINES = 15


def start_in_background(settings: Settings, example: str | None, *, is_silent: bool = False) -> None:
    """Start a supervisor that outlives this command, and wait until it is ready.

    Args:
        is_silent: say nothing when it is.

    Raises:
        StartFailedError: it ended before; with its reason and the last lines of its log.
    """
    if example is not None:
        read_example(settings, example)  # a name that does not exist is told before anything is started
    prepare_data_dir(settings.data_dir)
    if is_running(settings.data_dir):
        raise already_running(settings.data_dir)
    require_listenable(settings.host, settings.port)
    process = _spawn_supervisor(settings)
    try:
        _wait_until_ready(process, settings.data_dir)
    except KeyboardInterrupt:
        process.terminate()
        raise
    if is_silent:
        return
    console = Console()
    url = base_url(settings.host, settings.port)
    console.print(summary(settings, url, stop_hint="lf server stop"), highlight=False, soft_wrap=True)
    if example is not None:
        from cli.quickstart import run_example

        run_example(console, settings, url, example)


def already_running(data_dir: Path) -> AlreadyRunningError:
    record = read_record(data_dir)
    holder = f" (pid {record.pid})" if record else ""
    return AlreadyRunningError(
        f"already running on {data_dir}{holder}: stop it with `lf server stop`, "
        "or choose another data directory with --data-dir"
    )


def _spawn_supervisor(settings: Settings) -> subprocess.Popen[bytes]:
    options = ["--host", settings.host, "--port", str(settings.port), "--data-dir", str(settings.data_dir)]
    with (log_dir(settings.data_dir) / "supervisor.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "cli.main", "server", "start", "--background", *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_until_ready(process: subprocess.Popen[bytes], data_dir: Path) -> None:
    deadline = time.monotonic() + 2 * START_TIMEOUT_S
    while time.monotonic() < deadline:
        record = _record_of(process.pid, data_dir)
        if process.poll() is not None:
            raise _start_error(record, data_dir)
        if record is not None and record.state == "running":
            return
        time.sleep(POLL_S)
    process.terminate()
    raise StartFailedError("the server was not ready in time", tail(log_dir(data_dir) / "supervisor.log", TAIL_LINES))


def _record_of(pid: int, data_dir: Path) -> RunRecord | None:
    record = read_record(data_dir)
    return record if record is not None and record.pid == pid else None


def _start_error(record: RunRecord | None, data_dir: Path) -> StartFailedError:
    if record is not None and record.reason:
        return StartFailedError(record.reason, record.tail)
    log_path = log_dir(data_dir) / "supervisor.log"
    return StartFailedError(f"the server ended while it started; its log is {log_path}", tail(log_path, TAIL_LINES))


def stop_supervisor(data_dir: Path, timeout_s: float) -> str:
    """Ask the supervisor to stop and wait; kill it and its parts when it does not. Returns what was done."""
    record = read_record(data_dir)
    if not is_running(data_dir):
        return f"not running on {data_dir}"
    if record is None:
        raise CliError(f"running on {data_dir}, but {data_dir / 'run' / 'server.json'} cannot be read: stop it by hand")
    _send(record.pid, signal.SIGTERM)
    if wait_until_gone(data_dir, timeout_s):
        return f"stopped (pid {record.pid})"
    _send(record.pid, signal.SIGKILL)
    wait_until_gone(data_dir, timeout_s)
    kill_leftovers(data_dir)
    return f"killed (pid {record.pid}): it had not stopped after {timeout_s:.0f} s"


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise CliError(f"pid {pid} belongs to another user: stop it as that user") from error
