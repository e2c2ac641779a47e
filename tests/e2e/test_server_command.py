"""`lf server`: starting, looking, refusing and stopping, as a person does it in a terminal."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests.e2e.system import (
    LF,
    START_TIMEOUT_S,
    ProjectClient,
    System,
    environment,
    family_of,
    free_port,
    lf,
    wait_for,
    wait_until_gone,
)

PARTS = {"redis", "chroma", "worker-parse", "worker-embed", "worker-default", "api"}
STOP_TIMEOUT_S = 10.0
FACT = "The clock tower of Horsens strikes thirteen."


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory on which nothing runs afterwards, whatever the test did."""
    yield tmp_path / "data"
    lf(tmp_path / "data", "server", "stop", "--data-dir", str(tmp_path / "data"))


@contextmanager
def client_of(data_dir: Path) -> Iterator[httpx.Client]:
    url = str(status_of(data_dir)["url"])
    with httpx.Client(base_url=url, timeout=30) as client:
        yield client


def status_of(data_dir: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(lf(data_dir, "server", "status", "--json").stdout)
    return found


def start_detached(data_dir: Path, port: int) -> list[psutil.Process]:
    """Returns the supervisor and everything below it."""
    started = lf(data_dir, "server", "start", "--detach", "--port", str(port))
    assert started.returncode == 0, started.stderr
    assert f"http://127.0.0.1:{port}" in started.stdout
    assert "lf server stop" in started.stdout
    return family_of(int(str(status_of(data_dir)["pid"])))


@contextmanager
def foreground(data_dir: Path, port: int, *, until: str = "running") -> Iterator[subprocess.Popen[bytes]]:
    """A start that holds its terminal, once it is in the state `until`."""
    with (data_dir.parent / "foreground.out").open("ab") as output:
        command = [LF, "server", "start", "--port", str(port)]
        process = subprocess.Popen(
            command, env=environment(data_dir), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_for(
            lambda: process.poll() is not None or status_of(data_dir)["state"] == until,
            START_TIMEOUT_S,
            f"the server is {until}",
        )
        assert process.poll() is None, (data_dir.parent / "foreground.out").read_text()
        yield process
    finally:
        process.kill()
        process.wait()


def assert_one_sentence(done: "subprocess.CompletedProcess[str]", *words: str, exit_code: int = 1) -> None:
    assert done.returncode == exit_code, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("lf: ")
    assert [word for word in words if word not in line] == [], line
    assert done.stdout == ""


@dataclass(frozen=True)
class Killed:
    """What a server with one document leaves when its supervisor is killed; `family` is that and its children."""

    data_dir: Path
    family: list[psutil.Process]

    def assert_data_survived(self) -> None:
        with client_of(self.data_dir) as client:
            project = ProjectClient(client, "/v1/projects/acme/towers")
            assert project.query("How often does the clock tower of Horsens strike?")[0]["content"] == FACT


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killed]:
    data_dir = tmp_path_factory.mktemp("killed") / "data"
    try:
        family = start_detached(data_dir, free_port())
        with client_of(data_dir) as client:
            response = client.post("/v1/projects/acme", json={"name": "towers", "config_template": "rag"})
            assert response.status_code == 200, response.text
            project = ProjectClient(client, "/v1/projects/acme/towers")
            project.create_dataset("facts")
            project.upload("facts", "tower.txt", FACT.encode())
            assert project.process("facts")["state"] == "SUCCESS"
        os.kill(family[0].pid, signal.SIGKILL)
        yield Killed(data_dir, family)
    finally:
        lf(data_dir, "server", "stop")


def test_a_supervisor_that_is_killed_leaves_no_process(killed: Killed) -> None:
    wait_until_gone(killed.family, 5)


def test_a_detached_server_shows_its_parts_and_stops_within_ten_seconds(killed: Killed) -> None:
    wait_until_gone(killed.family, 5)
    assert lf(killed.data_dir, "server", "status").returncode == 3
    family = start_detached(killed.data_dir, port := free_port())
    shown = lf(killed.data_dir, "server", "status", "--json")
    assert shown.returncode == 0
    status = json.loads(shown.stdout)
    assert (status["state"], status["url"]) == ("running", f"http://127.0.0.1:{port}")
    assert {part["name"] for part in status["parts"]} == PARTS
    assert {part["state"] for part in status["parts"]} == {"ready"}
    assert {part["pid"] for part in status["parts"]} < {each.pid for each in family}
    killed.assert_data_survived()

    started_at = time.monotonic()
    stopped = lf(killed.data_dir, "server", "stop")
    assert time.monotonic() - started_at < STOP_TIMEOUT_S
    assert (stopped.returncode, stopped.stdout.split(" (")[0]) == (0, "stopped"), stopped
    wait_until_gone(family, 1)
    assert lf(killed.data_dir, "server", "status").returncode == 3
    assert lf(killed.data_dir, "server", "stop").stdout.startswith("not running on ")


def test_ctrl_c_ends_a_server_in_the_foreground_within_ten_seconds(killed: Killed) -> None:
    wait_until_gone(killed.family, 5)
    with foreground(killed.data_dir, free_port()) as process:
        killed.assert_data_survived()
        family = family_of(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(STOP_TIMEOUT_S) == 0
        wait_until_gone(family, 1)
    assert "Traceback" not in (killed.data_dir.parent / "foreground.out").read_text()


def test_ctrl_c_during_the_start_ends_it_too(data_dir: Path) -> None:
    with foreground(data_dir, free_port(), until="starting") as process:
        wait_for(lambda: len(family_of(process.pid)) > 2, 10, "the first parts were started")
        family = family_of(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(STOP_TIMEOUT_S) == 0
        wait_until_gone(family, 1)
    assert "Traceback" not in (data_dir.parent / "foreground.out").read_text()


@pytest.mark.parametrize("options", [[], ["--detach"]], ids=["foreground", "detached"])
def test_a_second_start_on_the_same_data_is_refused(options: list[str], system: System) -> None:
    done = lf(system.data_dir, "server", "start", "--port", str(free_port()), *options, timeout_s=15)
    pid = str(system.process.pid)
    assert_one_sentence(done, "already running", str(system.data_dir), f"pid {pid}", "lf server stop", "--data-dir")
    assert system.health()[0] == "healthy"


@pytest.mark.parametrize("options", [[], ["--detach"]], ids=["foreground", "detached"])
def test_a_busy_port_is_named_with_its_holder(options: list[str], system: System, data_dir: Path) -> None:
    port = str(httpx.URL(system.url).port)
    done = lf(data_dir, "server", "start", "--port", port, *options, timeout_s=15)
    assert_one_sentence(done, f"port {port} is in use", "pid", "--port")
    assert lf(data_dir, "server", "status").returncode == 3
    assert system.health()[0] == "healthy"


@pytest.mark.parametrize("options", [[], ["--detach"]], ids=["foreground", "detached"])
def test_a_data_directory_that_cannot_be_one_is_named(options: list[str], tmp_path: Path) -> None:
    (tmp_path / "data").write_text("I am a file.")
    for place in (tmp_path / "data", tmp_path / "data" / "below"):
        done = lf(tmp_path / "elsewhere", "server", "start", "--data-dir", str(place), *options, timeout_s=15)
        assert_one_sentence(done, f"data directory {place} cannot be written", "--data-dir")
    assert (tmp_path / "data").read_text() == "I am a file."


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"LF_PORT": "eighty"}, ("LF_PORT", "'eighty'")),
        ({"LF_PORT": "70000"}, ("LF_PORT", "65535")),
        ({"LF_LEASE_S": "0"}, ("LF_LEASE_S", "greater than 0")),
        ({"LF_HOST": "0.0.0.0"}, ("0.0.0.0", "LF_API_KEY")),
        ({"LF_CORS_ORIGINS": "not-a-list"}, ("cors_origins", "JSON")),
    ],
    ids=["no number", "out of range", "zero", "open to the network", "no list"],
)
def test_a_wrong_setting_is_one_sentence(settings: dict[str, str], words: tuple[str, ...], tmp_path: Path) -> None:
    done = lf(tmp_path / "data", "server", "start", timeout_s=15, **settings)
    assert_one_sentence(done, *words, exit_code=2)
    assert not (tmp_path / "data").exists()


def test_a_secret_in_a_wrong_setting_is_not_shown(tmp_path: Path) -> None:
    done = lf(tmp_path / "data", "server", "start", timeout_s=15, LF_API_KEY="s3cret-value", LF_PORT="eighty")
    assert done.returncode == 2
    assert "s3cret-value" not in done.stdout + done.stderr


def test_status_and_stop_of_what_never_ran_say_so(tmp_path: Path) -> None:
    assert lf(tmp_path / "data", "server", "status").returncode == 3
    assert status_of(tmp_path / "data")["state"] == "not running"
    stopped = lf(tmp_path / "data", "server", "stop")
    assert (stopped.returncode, stopped.stdout) == (0, f"not running on {tmp_path / 'data'}\n")
    assert not (tmp_path / "data").exists()


def test_a_host_that_is_not_of_this_machine_is_refused(data_dir: Path) -> None:
    done = lf(data_dir, "server", "start", "--host", "203.0.113.7", timeout_s=15, LF_API_KEY="k")
    assert_one_sentence(done, "203.0.113.7", "--host")
