"""One part as a process: started, watched, restarted with back-off, stopped with its whole group."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

from cli.guard import Guard
from cli.logs import rotate
from cli.parts import Part
from cli.probe import Probe
from cli.state_file import PartRecord, PartState

EXEC_CHILD = str(Path(__file__).with_name("exec_child.py"))


class Backoff:
    """How long to wait before the next start, and whether a part has become hopeless."""

    FIRST_S = 0.2
    MAX_S = 10.0
    HEALTHY_S = 30.0
    FAILING_COUNT = 10
    FAILING_WINDOW_S = 120.0

    def __init__(self) -> None:
        self._streak = 0
        self._deaths: deque[float] = deque(maxlen=self.FAILING_COUNT)

    def died(self, now: float, uptime_s: float) -> float:
        """Note a death; returns the seconds to wait."""
        if uptime_s >= self.HEALTHY_S:
            self._streak = 0
        self._deaths.append(now)
        delay = min(self.FIRST_S * 2.0**self._streak, self.MAX_S)
        self._streak += 1
        return delay

    @property
    def death_count(self) -> int:
        return len(self._deaths)

    def is_failing(self, now: float) -> bool:
        return len(self._deaths) == self.FAILING_COUNT and now - self._deaths[0] < self.FAILING_WINDOW_S


class Child:
    """The process of a part. All methods are called from one thread: the parent-death signal is bound to it."""

    def __init__(self, part: Part, log_path: Path, working_dir: Path, guard: Guard) -> None:
        self.part = part
        self.log_path = log_path
        self.state: PartState = "stopped"
        self.restarts = 0
        self.last_exit: str | None = None
        self.retry_at: float | None = None
        self.backoff = Backoff()
        self._working_dir = working_dir
        self._guard = guard
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at: float | None = None
        self._spawned_at = 0.0
        self._log_offset = 0
        self._probe: Probe | None = None

    @property
    def is_alive(self) -> bool:
        return self._process is not None

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._spawned_at

    def ask_ready(self) -> str | None:
        """The check's remark once the part is ready, without waiting for it; without a check, at once."""
        if self.part.check is None:
            return ""
        if self._probe is None:
            self._probe = Probe(self.part.check)
        if not self._probe.is_done:
            return None
        answer, self._probe = self._probe.answer, None
        return answer

    def spawn(self) -> None:
        """Start the process in a session of its own, so that a terminal's Ctrl-C reaches only the supervisor."""
        if self.part.ready_file is not None:
            self.part.ready_file.unlink(missing_ok=True)
        rotate(self.log_path)
        with self.log_path.open("ab") as log:
            self._log_offset = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", EXEC_CHILD, str(os.getpid()), *self.part.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.part.environment),
                cwd=self._working_dir,
                start_new_session=True,
            )
        self._guard.add(self._process.pid)
        self.state = "starting"
        self.retry_at = None
        self._spawned_at = time.monotonic()
        self._probe = None
        self._started_at = time.time()

    def reap(self) -> int | None:
        """The exit code once the process has ended, told only once; what it forked is killed then."""
        if self._process is None:
            return None
        code = self._process.poll()
        if code is None:
            return None
        self.kill()
        self._guard.discard(self._process.pid)
        self._process = None
        self.last_exit = describe_exit(code)
        self.state = "stopped"
        return code

    def signal(self, number: signal.Signals) -> None:
        """To the part's main process alone: it knows how to end its own children."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def schedule_restart(self) -> float:
        """Returns the seconds until the restart."""
        now = time.monotonic()
        delay = self.backoff.died(now, self.age_s)
        self.state = "failing" if self.backoff.is_failing(now) else "restarting"
        self.retry_at = now + delay
        return delay

    def log_tail(self, count: int) -> list[str]:
        """The last lines that the present or last process wrote."""
        with self.log_path.open("rb") as log:
            log.seek(self._log_offset)
            lines = log.read().decode(errors="replace").splitlines()
        return [line for line in lines if line.strip()][-count:]

    def record(self) -> PartRecord:
        return PartRecord(
            name=self.part.name,
            state=self.state,
            pid=self._process.pid if self._process else None,
            started_at=self._started_at,
            port=self.part.port,
            restarts=self.restarts,
            last_exit=self.last_exit,
        )


def describe_exit(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
