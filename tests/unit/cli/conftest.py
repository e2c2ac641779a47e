import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil
import pytest

from cli.state_file import PartRecord, RunRecord, read_record
from tests.unit.cli.client_run import COMMAND, Lf, make_lf

STUBS = Path(__file__).with_name("stubs.py")


@dataclass
class RunningSupervisor:
    """A supervisor in a process of its own, over parts of stubs.py."""

    process: subprocess.Popen[str]
    data_dir: Path

    def record(self) -> RunRecord:
        record = read_record(self.data_dir)
        assert record is not None
        return record

    def part(self, name: str) -> PartRecord:
        return next(part for part in self.record().parts if part.name == name)

    def wait_until_running(self) -> None:
        eventually(lambda: (record := read_record(self.data_dir)) is not None and record.state == "running")

    def notes(self) -> list[str]:
        """What the parts have noted, without the pids."""
        return [" ".join(line.split()[:2]) for line in (self.data_dir / "notes").read_text().splitlines()]

    def noted_pid(self, what: str) -> int:
        lines = (self.data_dir / "notes").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(what)).split()[-1])


class StartSupervisor(Protocol):
    def __call__(self, *specs: str) -> RunningSupervisor: ...


def eventually(is_true: Callable[[], bool], timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def start_supervisor(tmp_path: Path) -> Iterator[StartSupervisor]:
    started: list[subprocess.Popen[str]] = []

    def start(*specs: str) -> RunningSupervisor:
        command = [sys.executable, str(STUBS), str(tmp_path), *specs]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return RunningSupervisor(process, tmp_path)

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=20)


@pytest.fixture
def lf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lf]:
    """The commands of a client, in a folder with a project, against a server that the test scripts."""
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr("typer.testing._get_command", lambda _: COMMAND)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for variable in ("LF_SERVER_URL", "LF_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    yield from make_lf(folder)
