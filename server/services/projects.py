"""What the project routes do."""

from typing import Any, Protocol

from config.loader import LoadedProject, ProjectStore
from config.project import ProjectConfig
from config.public import public_config
from rag.errors import ConfigError
from server.schemas.projects import ProjectList, ProjectView


class ProjectEraser(Protocol):
    """Removes what a project has outside its folder: pending work, chunks, rows."""

    def remove_project(self, namespace: str, project: str, config: ProjectConfig | None) -> None: ...


class SessionEraser(Protocol):
    def delete_all(self, namespace: str, project: str) -> int: ...


class ProjectService:
    def __init__(self, store: ProjectStore, eraser: ProjectEraser, sessions: SessionEraser) -> None:
        self._store = store
        self._eraser = eraser
        self._sessions = sessions

    def list(self, namespace: str) -> ProjectList:
        """Of an unknown namespace: none. Folders whose file cannot be read at all are passed over."""
        projects = [_view(each) for each in self._store.list(namespace) if each.is_readable]
        return ProjectList(total=len(projects), projects=projects)

    def create(self, namespace: str, name: str, template: str | None) -> tuple[ProjectView, str]:
        """The project and its etag, as for the two below."""
        return _tagged(self._store.create(namespace, name, template))

    def get(self, namespace: str, project: str) -> tuple[ProjectView, str]:
        return _tagged(self._store.get(namespace, project))

    def replace(
        self, namespace: str, project: str, config: dict[str, Any], if_match: str | None
    ) -> tuple[ProjectView, str]:
        return _tagged(self._store.replace(namespace, project, config, if_match))

    def delete(self, namespace: str, project: str) -> ProjectView:
        """Remove the project with everything that belongs to it; returns what it was."""
        self._eraser.remove_project(namespace, project, self._known_config(namespace, project))
        deleted = self._store.delete(namespace, project)
        self._sessions.delete_all(namespace, project)
        return _view(deleted)

    def _known_config(self, namespace: str, project: str) -> ProjectConfig | None:
        """None for a broken configuration: what cannot be read must still be removable."""
        try:
            return self._store.get(namespace, project).config
        except ConfigError:
            return None


def _view(loaded: LoadedProject) -> ProjectView:
    return ProjectView(
        namespace=loaded.namespace,
        name=loaded.name,
        config=public_config(loaded.raw),
        validation_error=loaded.validation_error,
        last_modified=loaded.last_modified,
    )


def _tagged(loaded: LoadedProject) -> tuple[ProjectView, str]:
    return _view(loaded), loaded.etag
