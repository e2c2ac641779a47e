"""The LlamaCloud API over a real engine in one process: real state, jobs, files, parsers and stores; the broker is a
list that `settle` empties, and vectors are made of words."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from starlette.testclient import TestClient

from config.settings import Settings
from server.app import create_app
from server.parts import Engine
from server.services.warm_up import WarmUp
from tests.workers.world import World

PROJECT_YAML = """
version: v1
name: cloud
namespace: llamacloud
runtime:
  default_model: quotes
  models:
    - {name: quotes, provider: extractive}
datasets: []
rag:
  databases: []
  data_processing_strategies:
    - {name: every_format, parsers: [{type: UniversalParser, config: {chunk_size: 200, chunk_overlap: 0}}]}
  components:
    embedding_strategies:
      - {name: words, type: HashEmbedder, config: {dimension: 64}}
    retrieval_strategies:
      - {name: hybrid, type: HybridUniversalStrategy, default: true, config: {final_k: 30}}
    defaults: {embedding_strategy: words, retrieval_strategy: hybrid}
"""
CLIENT_HEADERS = {"User-Agent": "LlamaCloud/Python 2.6.0", "X-Stainless-Lang": "python"}
"""What the vendor's generated clients send."""


class CloudWorld(World):
    """`http` is a client of the API; `settle` does what workers would do."""

    http: TestClient

    def upload(self, name: str, content: bytes | str, project_id: str | None = None) -> str:  # type: ignore[override]
        """The id of a file."""
        data = content.encode() if isinstance(content, str) else content
        query = {} if project_id is None else {"project_id": project_id}
        answer = self.http.post(
            "/api/v1/beta/files", params=query, files={"file": (name, data)}, data={"purpose": "user_data"}
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    @contextmanager
    def counted_statements(self) -> Iterator[list[str]]:
        """What the state database is asked meanwhile."""
        statements: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            statements.append(statement)

        event.listen(self.database.engine, "before_cursor_execute", note)
        try:
            yield statements
        finally:
            event.remove(self.database.engine, "before_cursor_execute", note)

    def use_model(self, project_id: str, **model: Any) -> None:
        """Put a model of a project in use, such as `provider="openai", model=…, base_url=…`."""
        from state.cloud.projects import CloudProjects

        projects = CloudProjects(self.projects)
        projects.ensure(project_id)

        def put(raw: dict[str, Any]) -> None:
            raw["runtime"] = {"default_model": "chosen", "models": [{"name": "chosen", **model}]}

        projects.store.edit("llamacloud", project_id, put)


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cloud_project.yaml"
    path.write_text(PROJECT_YAML, encoding="utf-8")
    monkeypatch.setattr("state.cloud.projects.TEMPLATE", path)
    monkeypatch.setattr("state.cloud.projects.STORE", "MemoryStore")
    return path


@pytest.fixture
def cloud(tmp_path: Path, template: Path, postgres_url: str | None) -> Iterator[CloudWorld]:
    world = CloudWorld(tmp_path, postgres_url)
    world.clock.now = time.time()

    @asynccontextmanager
    async def engine(settings: Settings) -> AsyncIterator[Engine]:
        warm_up = WarmUp(lambda: None)
        warm_up.state = "ready"
        yield Engine(
            settings=settings,
            database=world.database,
            projects=world.projects,
            generations=world.generations,
            assembly=world.assembly,
            dispatcher=world.dispatcher,
            warm_up=warm_up,
        )

    settings = world.settings.model_copy(update={"seed_project": False, "allowed_host_names": ["testserver"]})
    with TestClient(create_app(settings, engine=engine), raise_server_exceptions=False) as http:
        world.http = http
        yield world
    world.patches.undo()
    world.database.close()
