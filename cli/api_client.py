"""The few calls of the HTTP API that the command line makes."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from cli.errors import QuickstartError
from config.settings import Settings

POLL_S = 0.3


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that the server has; `chunk_count` 0 means that it has not been processed."""

    name: str
    chunk_count: int


class ApiClient:
    """Speaks for one project; every failure is a QuickstartError that says what the server said."""

    def __init__(self, settings: Settings, base_url: str, namespace: str, project: str) -> None:
        headers = {"X-No-Session": "1"}
        if settings.api_key is not None:
            headers["Authorization"] = f"Bearer {settings.api_key.get_secret_value()}"
        timeout = httpx.Timeout(settings.llm_timeout_s, connect=5.0)
        # trust_env off: a proxy of the environment must not stand between this machine and itself
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout, trust_env=False)
        self._projects = f"/v1/projects/{namespace}"
        self._name = project
        self._project = f"{self._projects}/{project}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def project_config(self) -> dict[str, Any] | None:
        """None when there is no such project."""
        answer = self._send("GET", self._project, missing_ok=True)
        return None if answer is None else dict(answer["project"]["config"] or {})

    def create_project(self) -> None:
        self._send("POST", self._projects, json={"name": self._name})

    def put_config(self, config: dict[str, Any]) -> None:
        self._send("PUT", self._project, json={"config": config})

    def dataset_files(self, dataset: str) -> dict[str, StoredFile]:
        """By file hash."""
        answer = self._send("GET", f"{self._project}/datasets/") or {}
        for entry in answer["datasets"]:
            if entry["name"] == dataset:
                metadata = entry["details"]["files_metadata"]
                return {
                    file["hash"]: StoredFile(file["original_file_name"], file.get("chunk_count") or 0)
                    for file in metadata
                }
        return {}

    def remove(self, dataset: str, file_hash: str) -> None:
        self._send("DELETE", f"{self._project}/datasets/{dataset}/data/{file_hash}?remove_from_disk=true")

    def upload(self, dataset: str, path: Path) -> None:
        with path.open("rb") as file:
            self._send("POST", f"{self._project}/datasets/{dataset}/data", files={"file": (path.name, file)})

    def process(self, dataset: str) -> Iterator[dict[str, Any]]:
        """Start the processing of a dataset; yields the task each time it is looked at, the finished one last."""
        body = {"action_type": "process"}
        started = self._send("POST", f"{self._project}/datasets/{dataset}/actions", json=body) or {}
        while True:
            task = self._send("GET", f"{self._project}/tasks/{started['task_id']}") or {}
            yield task
            if task["state"] in ("SUCCESS", "FAILURE"):
                return
            time.sleep(POLL_S)

    def ask(self, question: str) -> dict[str, Any]:
        body = {"messages": [{"role": "user", "content": question}], "include_sources": True, "stream": False}
        return self._send("POST", f"{self._project}/chat/completions", json=body) or {}

    def _send(self, method: str, path: str, *, missing_ok: bool = False, **content: Any) -> dict[str, Any] | None:
        try:
            answer = self._http.request(method, path, **content)
            if answer.status_code == 404 and missing_ok:
                return None
            if answer.is_error:
                raise QuickstartError(f"{method} {path} was answered with {answer.status_code}: {_detail(answer)}")
            return dict(answer.json())
        except (httpx.HTTPError, ValueError) as error:
            raise QuickstartError(f"{method} {path} failed: {type(error).__name__} {error}") from error


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:300]
