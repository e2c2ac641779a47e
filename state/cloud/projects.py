"""Projects of the LlamaCloud API as LlamaFarm projects of the namespace `llamacloud`.

A project is made with the first thing that is written to it; one that nobody wrote to is empty, not missing. Each index
and each pipeline is a database and a dataset of the same name, so that both sides see one world.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

import config
from config.layout import is_accepted_name
from config.loader import ProjectStore
from config.project import ProjectConfig
from config.reading import parse_config
from rag.errors import BadRequestError, ConflictError
from state.cloud.ids import DEFAULT_PROJECT_ID, NAMESPACE

TEMPLATE = Path(config.__file__).parent / "cloud_project.yaml"
STRATEGY = "every_format"
STORE = "ChromaStore"


class CloudProjects:
    def __init__(self, projects: ProjectStore) -> None:
        self.store = projects

    def ids(self) -> list[str]:
        """Of those that hold anything; the default project always exists."""
        found = [each.name for each in self.store.list(NAMESPACE)]
        return [DEFAULT_PROJECT_ID, *(each for each in found if each != DEFAULT_PROJECT_ID)]

    def exists(self, project_id: str) -> bool:
        return self.store.paths(NAMESPACE, project_id).existing_config_file is not None

    def times(self, project_id: str) -> tuple[float, float] | None:
        """When it was made, and when its settings were last changed; None for one that nobody wrote to."""
        path = self.store.paths(NAMESPACE, project_id).existing_config_file
        if path is None:
            return None
        changed = path.stat().st_mtime
        return min(self.store.began_at(NAMESPACE, project_id) or changed, changed), changed

    def ensure(self, project_id: str) -> ProjectConfig:
        """The project's configuration, from the template if it has none yet."""
        check_project_id(project_id)
        if not self.exists(project_id):
            content = TEMPLATE.read_bytes()
            with suppress(ConflictError):  # another request was quicker
                self.store.create_with(NAMESPACE, project_id, parse_config(content, TEMPLATE.name), content)
        return self.store.load(NAMESPACE, project_id)

    def load(self, project_id: str) -> ProjectConfig:
        """As `ensure`: reading a project that nobody wrote to must not differ from one that is empty."""
        return self.ensure(project_id)

    def add_database(self, project_id: str, name: str, **options: Any) -> ProjectConfig:
        """A database and a dataset of this name; what is there already stays as it is.

        Args:
            options: keys of the database's entry, such as `embedding_strategies`; `strategy` is the whole entry of a
                processing strategy for its dataset alone.
        """
        self.ensure(project_id)
        strategy = options.pop("strategy", None)

        def add(raw: dict[str, Any]) -> None:
            rag = raw.setdefault("rag", {})
            _append(rag, "databases", {"name": name, "type": STORE, **options})
            if strategy is not None:
                _append(rag, "data_processing_strategies", strategy)
            chosen = STRATEGY if strategy is None else strategy["name"]
            _append(raw, "datasets", {"name": name, "database": name, "data_processing_strategy": chosen})

        return self._edit(project_id, add)

    def set_strategy(self, project_id: str, name: str, strategy: dict[str, Any]) -> ProjectConfig:
        """How the files of a dataset become chunks from now on; nothing happens where there is no such dataset."""

        def put(raw: dict[str, Any]) -> None:
            for entry in raw.get("datasets") or []:
                if entry.get("name") == name:
                    entry["data_processing_strategy"] = strategy["name"]
                    rag = raw.setdefault("rag", {})
                    known = rag.get("data_processing_strategies") or []
                    others = [each for each in known if each.get("name") != strategy["name"]]
                    rag["data_processing_strategies"] = [*others, strategy]

        return self._edit(project_id, put)

    def remove_database(self, project_id: str, name: str) -> None:
        """Take database, dataset and a strategy of the same name out of the file; chunks are the dispatcher's."""
        if not self.exists(project_id):
            return

        def remove(raw: dict[str, Any]) -> None:
            for holder, key in (
                (raw, "datasets"),
                (raw.get("rag") or {}, "databases"),
                (raw.get("rag") or {}, "data_processing_strategies"),
            ):
                holder[key] = [each for each in holder.get(key) or [] if each.get("name") != name]

        self._edit(project_id, remove)

    def _edit(self, project_id: str, change: Any) -> ProjectConfig:
        self.store.edit(NAMESPACE, project_id, change)
        return self.store.load(NAMESPACE, project_id)


def check_project_id(project_id: str) -> str:
    """Raises BadRequestError for what cannot name a project."""
    if not is_accepted_name(project_id):
        raise BadRequestError(
            f"project_id {project_id[:100]!r}: expected a UUID, or 1 to 100 letters, digits, '_', '-' and '.'"
        )
    return project_id


def _append(holder: dict[str, Any], key: str, entry: dict[str, Any]) -> None:
    known = holder.get(key) or []
    if all(each.get("name") != entry["name"] for each in known):
        holder[key] = [*known, entry]
