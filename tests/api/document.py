"""The app's own OpenAPI document, as tests walk through it."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from config.settings import Settings
from server.app import create_app
from tests.api.fakes import fake_engine

METHODS = ("get", "put", "post", "delete", "patch", "options", "head")
NAMES = {
    "namespace": "org", "project": "bot", "dataset": "docs", "database": "main_db", "task_id": "no-such-task",
    "file_hash": "ab" * 32, "session_id": "s1", "event_id": "evt_20260101_000000_inference_abcdef",
    "model_name": "nobody/nothing", "model_id": "nobody/nothing", "example_id": "nothing",
}  # fmt: skip
"""A value for each path parameter: the project of `conftest.PROJECT`, and things that do not exist."""


@dataclass(frozen=True)
class Documented:
    method: str
    path: str
    operation: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.operation.get("operationId"))

    @property
    def path_parameters(self) -> list[str]:
        return [each["name"] for each in self.operation.get("parameters", ()) if each["in"] == "path"]

    def url(self, **values: str) -> str:
        return self.path.format(**{name: values.get(name, NAMES.get(name, "nothing")) for name in self.path_parameters})


@cache
def document() -> dict[str, Any]:
    settings = Settings(_env_file=None, data_dir=Path(tempfile.gettempdir()) / "paddock-never-made")
    return create_app(settings, engine=fake_engine).openapi()


def operations() -> list[Documented]:
    return list(_operations())


def _operations() -> Iterator[Documented]:
    for path, methods in document()["paths"].items():
        for method in METHODS:
            if method in methods:
                yield Documented(method.upper(), path, methods[method])
