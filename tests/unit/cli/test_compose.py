"""docker-compose.yml runs the parts of the supervisor, and opens nothing that it should not."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from cli.environment import load_settings, prepare_data_dir
from cli.parts import make_plan
from config.settings import Settings

ROOT = Path(__file__).parents[3]
SERVICE_OF = {"worker-parse": "worker-parse", "worker-embed": "worker-embed", "worker-default": "beat"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return dict(YAML(typ="safe").load(ROOT / "docker-compose.yml")["services"])


def test_the_services_are_the_parts(services: dict[str, Any]) -> None:
    assert set(services) == {"api", "worker-parse", "worker-embed", "beat", "redis", "chroma", "ollama"}


def test_the_workers_run_as_under_the_supervisor(services: dict[str, Any], tmp_path: Path) -> None:
    prepare_data_dir(tmp_path)
    parts = {part.name: part for part in make_plan(load_settings(data_dir=tmp_path)).stages[1]}
    for name, service in SERVICE_OF.items():
        command = services[service]["command"]
        options = [option for option in parts[name].command if re.match(r"--(pool|without)|-B$|workers", option)]
        assert options
        assert all(option in command for option in options)
        assert f"-Q {name.removeprefix('worker-')} " in command


def test_only_the_api_is_published_and_only_on_this_machine(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if "ports" in service] == ["api"]
    assert services["api"]["ports"] == ["${LF_PUBLISH:-127.0.0.1:8000}:8000"]


def test_without_a_key_nothing_starts(services: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """`docker compose config` passes as it is; what Compose then gives the API is refused by the API itself."""
    environment = services["api"]["environment"]
    assert environment["LF_API_KEY"] == "${LF_API_KEY:-}"
    monkeypatch.setenv("LF_HOST", environment["LF_HOST"])
    monkeypatch.setenv("LF_API_KEY", "")
    with pytest.raises(ValidationError, match="set LF_API_KEY"):
        Settings()


def test_every_service_has_a_healthcheck(services: dict[str, Any]) -> None:
    assert all("healthcheck" in service for service in services.values())


def test_every_variable_is_a_setting(services: dict[str, Any]) -> None:
    known = {f"LF_{name.upper()}" for name in Settings.model_fields} | {"LF_READY_FILE"}
    given = {name for name in services["api"]["environment"] if name.startswith("LF_")}
    assert given <= known
