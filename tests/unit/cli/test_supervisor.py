"""The supervisor over small real processes: start, restart, stop, and what is left when it is killed."""

import os
import signal
import time
from pathlib import Path

from cli.leftovers import find_leftovers, kill_leftovers
from cli.supervisor import SAME_WISH_S
from tests.unit.cli.conftest import StartSupervisor, eventually, is_gone


def test_a_killed_part_is_started_again(start_supervisor: StartSupervisor) -> None:
    supervisor = start_supervisor("one", "two")
    supervisor.wait_until_running()
    first = supervisor.part("one").pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    eventually(lambda: supervisor.part("one").restarts == 1 and supervisor.part("one").state == "ready")
    assert supervisor.part("one").pid != first
    assert supervisor.part("one").last_exit == "SIGKILL"
    assert supervisor.part("two").restarts == 0


def test_what_a_part_forked_goes_with_it(start_supervisor: StartSupervisor) -> None:
    supervisor = start_supervisor("one:forks")
    supervisor.wait_until_running()
    forked = supervisor.noted_pid("one forked")
    os.kill(supervisor.noted_pid("one up"), signal.SIGKILL)
    eventually(lambda: is_gone(forked))
    eventually(lambda: supervisor.part("one").restarts == 1)


def test_parts_are_stopped_in_order_of_their_rank(start_supervisor: StartSupervisor) -> None:
    supervisor = start_supervisor("store:rank2", "worker:rank1", "api:rank0")
    supervisor.wait_until_running()
    supervisor.process.send_signal(signal.SIGTERM)
    assert supervisor.process.wait(timeout=10) == 0
    assert [line for line in supervisor.notes() if "SIGTERM" in line] == [
        "api SIGTERM",
        "worker SIGTERM",
        "store SIGTERM",
    ]
    assert supervisor.record().state == "stopped"


def test_a_part_that_ignores_its_signal_is_killed_in_time(start_supervisor: StartSupervisor) -> None:
    supervisor = start_supervisor("deaf:stubborn:forks", "other:rank1")
    supervisor.wait_until_running()
    pids = [supervisor.noted_pid("deaf up"), supervisor.noted_pid("deaf forked"), supervisor.noted_pid("other up")]
    begun = time.monotonic()
    supervisor.process.send_signal(signal.SIGINT)
    assert supervisor.process.wait(timeout=10) == 0
    assert time.monotonic() - begun < 5
    assert all(is_gone(pid) for pid in pids)


def test_nothing_survives_the_kill_of_the_supervisor(start_supervisor: StartSupervisor, tmp_path: Path) -> None:
    supervisor = start_supervisor("one:forks", "two:stubborn")
    supervisor.wait_until_running()
    pids = [supervisor.noted_pid(what) for what in ("one up", "one forked", "two up")]
    supervisor.process.kill()
    eventually(lambda: all(is_gone(pid) for pid in pids), timeout_s=5)
    assert find_leftovers(tmp_path) == []


def test_a_leftover_is_ended_before_the_next_start(start_supervisor: StartSupervisor, tmp_path: Path) -> None:
    supervisor = start_supervisor("one")
    supervisor.wait_until_running()
    pid = supervisor.noted_pid("one up")
    assert [process.pid for process in find_leftovers(tmp_path)] == [pid]
    assert kill_leftovers(tmp_path) == 1
    eventually(lambda: is_gone(pid))


def test_a_second_start_on_one_data_directory_is_refused(start_supervisor: StartSupervisor, tmp_path: Path) -> None:
    first = start_supervisor("one")
    first.wait_until_running()
    second = start_supervisor("one")
    _, errors = second.process.communicate(timeout=10)
    assert second.process.returncode == 1
    assert f"already running on {tmp_path} (pid {first.process.pid})" in errors
    assert first.part("one").state == "ready"


def test_a_part_that_never_starts_ends_the_start_with_its_last_words(start_supervisor: StartSupervisor) -> None:
    supervisor = start_supervisor("good", "bad:dies")
    _, errors = supervisor.process.communicate(timeout=15)
    assert supervisor.process.returncode == 1
    assert "bad ended 3 times (exit code 7)" in errors
    assert supervisor.record().state == "failed"
    assert is_gone(supervisor.noted_pid("good up"))


def test_a_failed_one_shot_ends_the_start(start_supervisor: StartSupervisor) -> None:
    supervisor = start_supervisor("good", "migrate:fails")
    _, errors = supervisor.process.communicate(timeout=15)
    assert supervisor.process.returncode == 1
    assert "migrate failed" in errors


def test_a_one_shot_is_no_part_of_what_runs(start_supervisor: StartSupervisor) -> None:
    supervisor = start_supervisor("good", "migrate:once")
    supervisor.wait_until_running()
    assert [part.name for part in supervisor.record().parts] == ["good"]


def test_a_part_that_dies_while_later_ones_start_is_started_again(start_supervisor: StartSupervisor) -> None:
    supervisor = start_supervisor("store", "/", "worker:slow")
    eventually(lambda: (supervisor.data_dir / "notes").exists() and "worker up" in supervisor.notes())
    os.kill(supervisor.noted_pid("store up"), signal.SIGKILL)
    supervisor.wait_until_running()
    eventually(lambda: supervisor.part("store").restarts == 1)


def test_a_second_wish_to_stop_kills_at_once(start_supervisor: StartSupervisor) -> None:
    supervisor = start_supervisor("deaf:stubborn:patient")
    supervisor.wait_until_running()
    supervisor.process.send_signal(signal.SIGINT)
    eventually(lambda: "deaf SIGTERM" in supervisor.notes())
    time.sleep(SAME_WISH_S)
    supervisor.process.send_signal(signal.SIGINT)
    assert supervisor.process.wait(timeout=5) == 0
    assert is_gone(supervisor.noted_pid("deaf up"))
