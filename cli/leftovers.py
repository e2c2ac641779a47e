"""Processes that a supervisor left behind: found by the mark in their environment, ended before the next start.

A Chroma directory that two processes have open is damaged without an error, so nothing starts while one lives.
"""

import os
from pathlib import Path

import psutil

from cli.environment import supervision_mark
from cli.errors import CliError

KILL_WAIT_S = 5.0


def find_leftovers(data_dir: Path) -> list[psutil.Process]:
    mark = supervision_mark(data_dir)
    own = {os.getpid(), os.getppid()}
    return [process for process in psutil.process_iter() if process.pid not in own and _mark_of(process) == mark]


def kill_leftovers(data_dir: Path) -> int:
    """Kill them and wait until they are gone; the caller holds the lock, so they belong to nobody.

    Raises:
        CliError: one does not go away.
    """
    processes = find_leftovers(data_dir)
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied as error:
            raise CliError(f"pid {process.pid} of an earlier run belongs to another user: stop it first") from error
    _, alive = psutil.wait_procs(processes, timeout=KILL_WAIT_S)
    if alive:
        raise CliError(f"pid {alive[0].pid} of an earlier run does not end: stop it first")
    return len(processes)


def _mark_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("LF_SUPERVISED")
    except (psutil.Error, OSError, UnicodeDecodeError):
        return None
