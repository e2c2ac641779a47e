"""Starts the whole system with `lf server start`, in a data directory of its own, and talks to it like a client."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import psutil

from tests.fixtures.answers import assert_error as assert_error

LF = Path(sys.executable).parent / "lf"
START_TIMEOUT_S = 120.0
TASK_TIMEOUT_S = 240.0
API_PROCESSES = 4
"""Of the system that the whole suite shares."""

CompletedText: TypeAlias = "subprocess.CompletedProcess[str]"


@dataclass
class System:
    url: str
    data_dir: Path
    process: subprocess.Popen[bytes]
    client: httpx.Client

    def project(self, namespace: str, name: str, template: str = "rag") -> "ProjectClient":
        response = self.client.post(f"/v1/projects/{namespace}", json={"name": name, "config_template": template})
        assert response.status_code == 200, response.text
        return ProjectClient(self.client, f"/v1/projects/{namespace}/{name}")

    def parts(self) -> dict[str, dict[str, Any]]:
        """What `lf server status --json` says: part name → pid, state, restarts …"""
        output = subprocess.run(
            [LF, "server", "status", "--json"], env=environment(self.data_dir), capture_output=True, check=False
        )
        return {part["name"]: part for part in json.loads(output.stdout)["parts"]}

    def kill(self, part: str, *, children_only: bool = False) -> int:
        """SIGKILL to one process of this system, by pid."""
        pid = int(self.parts()[part]["pid"])
        if children_only:
            pid = psutil.Process(pid).children()[0].pid
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_healthy(self, timeout_s: float = 60.0) -> None:
        try:
            wait_for(self._is_healthy, timeout_s, "the system is healthy")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.client.get('/health').text}") from None

    def health(self) -> tuple[str, dict[str, dict[str, Any]]]:
        """The overall status, and each component by its name."""
        body = self.client.get("/health").json()
        return body["status"], {each["name"]: each for each in body["components"]}

    def _is_healthy(self) -> bool:
        try:
            return bool(self.client.get("/health").json()["status"] == "healthy")
        except (httpx.HTTPError, ValueError):
            return False


@dataclass
class ProjectClient:
    client: httpx.Client
    path: str

    def create_dataset(self, name: str) -> None:
        config = self.client.get(self.path).json()["project"]["config"]
        body = {
            "name": name,
            "database": config["rag"]["databases"][0]["name"],
            "data_processing_strategy": config["rag"]["data_processing_strategies"][0]["name"],
        }
        response = self.client.post(f"{self.path}/datasets", json=body)
        assert response.status_code == 200, response.text

    def upload(self, dataset: str, name: str, content: bytes) -> str:
        response = self.client.post(f"{self.path}/datasets/{dataset}/data", files={"file": (name, content)})
        assert response.status_code == 200, response.text
        return str(response.json()["hash"])

    def start(self, dataset: str) -> str:
        response = self.client.post(f"{self.path}/datasets/{dataset}/actions", json={"action_type": "process"})
        assert response.status_code == 200, response.text
        return str(response.json()["task_id"])

    def task(self, task_id: str) -> dict[str, Any]:
        response = self.client.get(f"{self.path}/tasks/{task_id}")
        assert response.status_code == 200, response.text
        return dict(response.json())

    def wait(self, task_id: str, timeout_s: float = TASK_TIMEOUT_S) -> dict[str, Any]:
        def ended() -> bool:
            try:
                return bool(self.task(task_id)["state"] in ("SUCCESS", "FAILURE"))
            except httpx.TransportError:
                return False  # the API was killed and comes back

        wait_for(ended, timeout_s, f"task {task_id} has ended")
        return self.task(task_id)

    def process(self, dataset: str) -> dict[str, Any]:
        return self.wait(self.start(dataset))

    def files(self, dataset: str) -> list[dict[str, Any]]:
        """What the listing says about every file of a dataset."""
        datasets = self.client.get(f"{self.path}/datasets").json()["datasets"]
        (found,) = [each for each in datasets if each["name"] == dataset]
        return list(found["details"]["files_metadata"])

    def query(self, text: str, **options: Any) -> list[dict[str, Any]]:
        response = self.client.post(f"{self.path}/rag/query", json={"query": text, **options})
        assert response.status_code == 200, response.text
        return list(response.json()["results"])


def outcomes(task: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """File name → what became of it, of a task that has ended."""
    return {info["filename"]: info for _, info in task["result"]["details"]}


def wait_for(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
        time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(data_dir: Path, **extra: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LF_")}
    home = data_dir.parent / "home"
    home.mkdir(exist_ok=True)
    return {**kept, "HOME": str(home), "LF_DATA_DIR": str(data_dir), "HF_HUB_OFFLINE": "1", **extra}


def lf(data_dir: Path, *arguments: str, timeout_s: float = START_TIMEOUT_S, **extra: str) -> CompletedText:
    """Run one `lf` command to its end."""
    return subprocess.run(
        [LF, *arguments],
        env=environment(data_dir, **extra),
        capture_output=True,
        check=False,
        text=True,
        timeout=timeout_s,
    )


def family_of(pid: int) -> list[psutil.Process]:
    """A process and everything below it."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def wait_until_gone(family: list[psutil.Process], timeout_s: float) -> None:
    wait_for(lambda: not any(is_alive(each) for each in family), timeout_s, f"all of {family} have ended")


def is_alive(process: psutil.Process) -> bool:
    """Whether it still runs; one that ended and that nobody has waited for does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def running_system(folder: Path, **extra: str) -> Iterator[System]:
    """`lf server start` in the foreground, as a person would run it; ended with Ctrl-C."""
    data_dir, port = folder / "data", free_port()
    output = (folder / "server.out").open("ab")
    process = subprocess.Popen(
        [LF, "server", "start", "--port", str(port)],
        env=environment(data_dir, **extra),
        stdout=output,
        stderr=subprocess.STDOUT,
    )
    url = f"http://127.0.0.1:{port}"
    # A connection that is kept would lead every request to the same process.
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=url, timeout=60, limits=limits) as client:
        system = System(url, data_dir, process, client)
        try:
            wait_for(lambda: process.poll() is not None or system._is_healthy(), START_TIMEOUT_S, "the system is up")
            assert process.poll() is None, (folder / "server.out").read_text()
            yield system
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            finally:
                process.kill()
                output.close()
