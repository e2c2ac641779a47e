"""A minimal config, and a store of projects in a temporary directory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.loader import ProjectStore
from config.project import ProjectConfig
from config.settings import Settings


@pytest.fixture
def minimal() -> dict[str, Any]:
    return {"version": "v1", "name": "bot", "namespace": "org", "runtime": {}}


@pytest.fixture
def parse(minimal: dict[str, Any]) -> Callable[..., ProjectConfig]:
    """Parse the minimal config with sections added or replaced."""
    return lambda **sections: ProjectConfig.parse({**minimal, **sections})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def store(settings: Settings) -> ProjectStore:
    return ProjectStore(settings)


@pytest.fixture
def write_file(settings: Settings) -> Callable[..., Path]:
    """Put a config file where a person would."""

    def write(content: str | bytes, *, project: str = "bot", file_name: str = "llamafarm.yaml") -> Path:
        folder = settings.projects_dir / "org" / project
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / file_name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write
