"""Starts the parts in order, keeps them running, stops them in order."""

import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from cli.child import Child
from cli.errors import StartFailedError
from cli.guard import Guard
from cli.logs import rotate
from cli.parts import Part, Plan
from cli.report import Reporter
from cli.state_file import PartRecord, RunRecord, RunState, log_dir, run_dir, write_record
from cli.stopping import stop_children
from cli.wakeup import Wakeup

POLL_S = 0.05
IDLE_S = 5.0
START_TIMEOUT_S = 120.0
START_TRIES = 3
LOG_CHECK_S = 60.0
TAIL_LINES = 8
# A terminal or a process manager may deliver one wish twice.
SAME_WISH_S = 0.3


class StopRequestedError(Exception):
    """A signal arrived while the parts were being started."""


class Supervisor:
    """Runs in the main thread: children are bound to the thread that starts them, and signals arrive there."""

    def __init__(
        self,
        plan: Plan,
        data_dir: Path,
        reporter: Reporter,
        *,
        is_background: bool = False,
        start_timeout_s: float = START_TIMEOUT_S,
    ) -> None:
        self._plan = plan
        self._data_dir = data_dir
        self._reporter = reporter
        self._is_background = is_background
        self._start_timeout_s = start_timeout_s
        self._guard = Guard()
        self._wakeup = Wakeup()
        self._children: list[Child] = []
        self._state: RunState = "starting"
        self._failure: StartFailedError | None = None
        self._started_at = time.time()
        self._logs_checked_at = time.monotonic()
        self._stop_count = 0
        self._stop_asked_at = 0.0

    def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Start, watch and stop. Returns after a requested stop.

        Args:
            on_ready: called once every part is ready; must not block.

        Raises:
            StartFailedError: a part did not become ready; everything has been stopped again.
        """
        self._install_signals()
        try:
            self._start()
            on_ready()
            self._watch()
        except StopRequestedError:
            pass
        except StartFailedError as error:
            self._failure = error
            raise
        finally:
            self._stop()

    def _install_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_stop_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN if self._is_background else self._on_stop_signal)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # its arrival ends the sleep
        self._wakeup.install()

    def _on_stop_signal(self, *_: object) -> None:
        now = time.monotonic()
        if now - self._stop_asked_at > SAME_WISH_S:
            self._stop_count += 1
        self._stop_asked_at = now

    def _start(self) -> None:
        for stage in self._plan.stages:
            self._start_stage(stage)
        self._state = "running"
        self._publish()

    def _start_stage(self, parts: Iterable[Part]) -> None:
        begun = time.monotonic()
        started = list(self._children)
        waiting = [self._child(part) for part in parts]
        self._children += waiting
        for child in waiting:
            child.spawn()
        self._publish()
        while waiting:
            if self._stop_count:
                raise StopRequestedError
            if time.monotonic() - begun > self._start_timeout_s:
                raise self._start_error(waiting[0], f"was not ready after {self._start_timeout_s:.0f} s")
            for child in started:
                self._advance(child)
            waiting = [child for child in waiting if not self._has_started(child)]
            self._wakeup.wait(POLL_S if waiting else 0)

    def _child(self, part: Part) -> Child:
        return Child(part, log_dir(self._data_dir) / f"{part.name}.log", run_dir(self._data_dir), self._guard)

    def _has_started(self, child: Child) -> bool:
        """Takes one step towards readiness; raises when there is no hope."""
        if child.part.is_oneshot:
            return self._has_finished(child)
        self._advance(child)
        if child.state != "ready" and child.backoff.death_count >= START_TRIES:
            raise self._start_error(child, f"ended {child.backoff.death_count} times ({child.last_exit})")
        return child.state == "ready"

    def _has_finished(self, child: Child) -> bool:
        code = child.reap()
        if code is None:
            return False
        self._children.remove(child)
        if code != 0:
            raise self._start_error(child, f"failed ({child.last_exit})")
        self._reporter.line(f"{child.part.name:<15} done         {child.age_s:5.1f} s")
        return True

    def _start_error(self, child: Child, what: str) -> StartFailedError:
        return StartFailedError(f"{child.part.name} {what}; its log is {child.log_path}", child.log_tail(TAIL_LINES))

    def _watch(self) -> None:
        while not self._stop_count:
            for child in self._children:
                self._advance(child)
            self._guard.ensure()
            self._bound_logs()
            self._wakeup.wait(self._next_look_s())

    def _advance(self, child: Child) -> None:
        """One step of one part: notice its death, start it again, notice its readiness."""
        if child.is_alive:
            if child.reap() is not None:
                self._on_death(child)
            elif child.state == "starting":
                self._look_for_readiness(child)
        elif child.retry_at is not None and time.monotonic() >= child.retry_at:
            child.restarts += 1
            child.spawn()
            self._publish()

    def _on_death(self, child: Child) -> None:
        delay_s = child.schedule_restart()
        self._reporter.warning(f"{child.part.name} ended ({child.last_exit}), starting it again in {delay_s:.1f} s")
        self._publish()

    def _look_for_readiness(self, child: Child) -> None:
        remark = child.ask_ready()
        if remark is None:
            return
        child.state = "ready"
        again = "ready again" if child.restarts else "ready"
        self._reporter.line(f"{child.part.name:<15} {again:<12} {child.age_s:5.1f} s")
        if remark:
            self._reporter.warning(f"{child.part.name} {remark}")
        self._publish()

    def _next_look_s(self) -> float:
        if any(child.state == "starting" for child in self._children):
            return POLL_S
        retries = [child.retry_at for child in self._children if child.retry_at is not None]
        if not retries:
            return IDLE_S
        return max(0.0, min(min(retries) - time.monotonic(), IDLE_S))

    def _bound_logs(self) -> None:
        if time.monotonic() - self._logs_checked_at > LOG_CHECK_S:
            self._logs_checked_at = time.monotonic()
            for path in log_dir(self._data_dir).glob("*.log"):
                rotate(path)

    def _stop(self) -> None:
        self._state = "stopping"
        self._publish()
        begun = time.monotonic()
        asked = self._stop_count
        stop_children(self._children, self._wakeup.wait, lambda: self._stop_count > asked)
        self._guard.close()
        self._wakeup.close()
        self._state = "failed" if self._failure else "stopped"
        self._publish()
        self._reporter.line(f"stopped in {time.monotonic() - begun:.1f} s")

    def _publish(self) -> None:
        external = [PartRecord(name, "external", url=url) for name, url in self._plan.external.items()]
        record = RunRecord(
            pid=os.getpid(),
            state=self._state,
            data_dir=str(self._data_dir),
            url=self._plan.url,
            started_at=self._started_at,
            reason=str(self._failure) if self._failure else None,
            tail=self._failure.tail if self._failure else [],
            parts=[*external, *(child.record() for child in self._children)],
        )
        try:
            write_record(self._data_dir, record)
        except OSError as error:  # a full disk must not stop the supervisor
            self._reporter.warning(f"the run file cannot be written ({error.strerror})")
