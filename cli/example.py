"""An example project on disk: its configuration, its manifest, its files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from cli.errors import QuickstartError
from config.settings import Settings

BUNDLED = Path(__file__).parent.parent / "examples"
NAMESPACE = "examples"


@dataclass(frozen=True, slots=True)
class ExampleDataset:
    name: str
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """`config` is the content of llamafarm.yaml under the example's own name and namespace."""

    name: str
    config: dict[str, Any]
    question: str | None
    datasets: tuple[ExampleDataset, ...]

    @property
    def model(self) -> str:
        """The name of the model that answers when a request names none."""
        runtime = self.config.get("runtime") or {}
        models = runtime.get("models") or [{}]
        return str(runtime.get("default_model") or models[0].get("name") or "default")


def read_example(settings: Settings, name: str) -> Example:
    """Raises QuickstartError: no such example (names those there are), or one of its files cannot be read."""
    root = settings.examples_dir or BUNDLED
    folder = root / name
    if Path(name).name != name or not (folder / "llamafarm.yaml").is_file():
        known = ", ".join(sorted(path.parent.name for path in root.glob("*/llamafarm.yaml"))) or "none"
        raise QuickstartError(f"no example {name!r} in {root}: there are {known}")
    config = _load(folder / "llamafarm.yaml")
    manifest_path = folder / "example.yaml"
    manifest = _load(manifest_path) if manifest_path.is_file() else {}
    return Example(
        name=name,
        config={**config, "name": name, "namespace": NAMESPACE},
        question=manifest.get("question"),
        datasets=tuple(_datasets(folder, config, manifest)),
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        content = YAML(typ="safe").load(path)
    except (OSError, YAMLError) as error:
        raise QuickstartError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise QuickstartError(f"{path} does not hold a mapping")
    return content


def _datasets(folder: Path, config: dict[str, Any], manifest: dict[str, Any]) -> Iterator[ExampleDataset]:
    """The manifest's globs (`ingest`, or `files`) where it lists some, else everything in `files/<dataset>/`."""
    globs = {entry["name"]: entry.get("ingest") or entry.get("files") for entry in manifest.get("datasets") or []}
    for entry in config.get("datasets") or []:
        name = entry["name"]
        patterns = globs.get(name) or [f"files/{name}/**/*"]
        found = {path.resolve() for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
        if found:
            yield ExampleDataset(name, tuple(sorted(found)))
