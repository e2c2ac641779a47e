"""`lf server status | stop | logs`, over a supervisor of small parts and where none runs."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from tests.unit.cli.conftest import StartSupervisor


def lf(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["server", *arguments])


def test_status_tells_every_part(start_supervisor: StartSupervisor, tmp_path: Path) -> None:
    supervisor = start_supervisor("one", "two")
    supervisor.wait_until_running()
    result = lf("status", "--json", "--data-dir", str(tmp_path))
    assert result.exit_code == 0
    status = json.loads(result.stdout)
    assert status["state"] == "running"
    assert status["pid"] == supervisor.process.pid
    assert [part["name"] for part in status["parts"]] == ["one", "two"]
    for part in status["parts"]:
        assert part["state"] == "ready"
        assert part["rss_bytes"] > 1_000_000
        assert part["uptime_s"] >= 0
        assert part["restarts"] == 0
    assert status["rss_bytes"] > sum(part["rss_bytes"] for part in status["parts"])
    assert "ready" in lf("status", "--data-dir", str(tmp_path)).stdout


def test_status_of_nothing_ends_with_three(tmp_path: Path) -> None:
    result = lf("status", "--json", "--data-dir", str(tmp_path))
    assert result.exit_code == 3
    assert json.loads(result.stdout)["state"] == "not running"


def test_status_after_a_failed_start_says_why(start_supervisor: StartSupervisor, tmp_path: Path) -> None:
    start_supervisor("migrate:fails").process.wait(timeout=15)
    result = lf("status", "--data-dir", str(tmp_path))
    assert result.exit_code == 3
    assert "the last start failed: migrate failed" in result.stdout


def test_stop_ends_it_and_says_so_again(start_supervisor: StartSupervisor, tmp_path: Path) -> None:
    supervisor = start_supervisor("one")
    supervisor.wait_until_running()
    result = lf("stop", "--data-dir", str(tmp_path))
    assert (result.exit_code, result.stdout) == (0, f"stopped (pid {supervisor.process.pid})\n")
    assert supervisor.process.wait(timeout=2) == 0
    result = lf("stop", "--data-dir", str(tmp_path))
    assert (result.exit_code, result.stdout) == (0, f"not running on {tmp_path}\n")


def test_logs_of_one_part_and_of_all(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "api.log").write_text("a\nb\nc\n")
    (tmp_path / "logs" / "redis.log").write_text("r\n")
    assert lf("logs", "api", "-n", "2", "--data-dir", str(tmp_path)).stdout == "b\nc\n"
    everything = lf("logs", "--data-dir", str(tmp_path)).stdout
    assert everything.splitlines()[-1].split() == ["redis", "|", "r"]


def test_an_unknown_log_names_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "api.log").touch()
    result = lf("logs", "apo", "--data-dir", str(tmp_path))
    assert "there are api" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--version"], 0, "paddock "),
        (["server", "start", "--port", "70000"], 2, "port: "),
    ],
)
def test_the_command_itself(arguments: list[str], code: int, says: str) -> None:
    done = subprocess.run([sys.executable, "-m", "cli.main", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert says in (done.stdout + done.stderr).lower()
    assert "Traceback" not in done.stderr


def test_help_needs_little() -> None:
    code = "import sys, cli.main; sys.exit(any(m in sys.modules for m in ('psutil', 'httpx', 'pydantic', 'celery')))"
    begun = time.monotonic()
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert time.monotonic() - begun < 5
