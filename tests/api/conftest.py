import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from config.logging import configure_logging
from config.settings import Settings
from server.app import create_app
from server.parts import Engine
from tests.api.fakes import fake_engine

MakeClient = Callable[..., TestClient]

PROJECT: dict[str, Any] = {
    "version": "v1",
    "name": "bot",
    "namespace": "org",
    "runtime": {"models": [{"name": "default", "provider": "extractive", "model": "extractive"}]},
    "rag": {
        "default_database": "main_db",
        "databases": [
            {
                "name": "main_db",
                "type": "ChromaStore",
                "config": {"distance_function": "cosine"},
                "embedding_strategies": [
                    {
                        "name": "remote",
                        "type": "OpenAIEmbedder",
                        "config": {"model": "text-embedding-3-small", "api_key": "sk-secret-value"},
                    }
                ],
                "retrieval_strategies": [
                    {"name": "basic", "type": "BasicSimilarityStrategy", "config": {"top_k": 10}, "default": True},
                    {"name": "other", "type": "BasicSimilarityStrategy"},
                ],
            },
            {"name": "second_db", "type": "ChromaStore"},
        ],
        "data_processing_strategies": [{"name": "plain", "parsers": [{"type": "TextParser_Python"}]}],
    },
    "datasets": [{"name": "docs", "database": "main_db", "data_processing_strategy": "plain"}],
}


@pytest.fixture(autouse=True, scope="session")
def _quiet_log() -> None:
    configure_logging(level="CRITICAL", as_json=True)


@pytest.fixture(autouse=True, scope="session")
def _no_cache_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Requests that delete models must not find those of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub")))
        yield


@pytest.fixture
def make_client(tmp_path: Path) -> Iterator[MakeClient]:
    """A client of an app with these settings; its engine is `client.app.state.services.engine`."""
    with ExitStack() as stack:

        def make(*, raise_crashes: bool = True, **settings: Any) -> TestClient:
            fixed = {"data_dir": tmp_path / "data", "log_level": "ERROR", "seed_project": False}
            # TestClient calls the server `testserver`.
            values = {**fixed, "allowed_host_names": ["testserver"], **settings}
            app = create_app(Settings(_env_file=None, **values), engine=fake_engine)
            return stack.enter_context(TestClient(app, raise_server_exceptions=raise_crashes))

        yield make


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    return make_client()


@pytest.fixture
def engine(client: TestClient) -> Engine:
    found = client.app.state.services.engine
    assert isinstance(found, Engine)
    return found


@pytest.fixture
def project(client: TestClient, engine: Engine) -> str:
    """A project with two databases, a dataset and a strategy; the value is its URL."""
    folder = engine.settings.projects_dir / "org" / "bot"
    folder.mkdir(parents=True)
    (folder / "llamafarm.yaml").write_text(json.dumps(PROJECT), encoding="utf-8")
    return "/v1/projects/org/bot"
