"""What the project routes do."""

from typing import Any, Protocol

from config.loader import LoadedProject, ProjectStore
from config.project import ProjectConfig
from config.public import public_config
from config.warnings import project_warnings
from rag.errors import ConfigError
from server.schemas.projects import ProjectList, ProjectView

KEPT_VIEWS = 4096


class Dispatcher(Protocol):
    """Removes what a project has outside its folder: pending work, chunks, rows."""

    def remove_project(self, namespace: str, project: str, config: ProjectConfig | None) -> None: ...

    def forget_project(self, namespace: str, project: str) -> None: ...


class SessionEraser(Protocol):
    def delete_all(self, namespace: str, project: str) -> int: ...


class KnownProjects(Protocol):
    def exist(self, namespace: str, project: str) -> bool: ...

    def forget_cloud(self, namespace: str, project: str) -> None: ...


class ProjectEraser:
    """What the state and the databases hold of a project, whether its folder is there or was removed by hand."""

    def __init__(self, dispatcher: Dispatcher, sessions: SessionEraser, rows: KnownProjects) -> None:
        self._dispatcher = dispatcher
        self._sessions = sessions
        self._rows = rows

    def knows(self, namespace: str, project: str) -> bool:
        return self._rows.exist(namespace, project)

    def erase(self, namespace: str, project: str) -> None:
        """What was made of the files of a project without a folder."""
        if self.knows(namespace, project):
            self.remove_databases(namespace, project, None)
            self.forget(namespace, project)

    def remove_databases(self, namespace: str, project: str, config: ProjectConfig | None) -> None:
        self._dispatcher.remove_project(namespace, project, config)

    def forget_cloud(self, namespace: str, project: str) -> None:
        self._rows.forget_cloud(namespace, project)

    def forget(self, namespace: str, project: str) -> None:
        """The rows, when the folder is gone: also those of requests that were under way."""
        self._dispatcher.forget_project(namespace, project)
        self._sessions.delete_all(namespace, project)


class ProjectService:
    def __init__(self, store: ProjectStore, eraser: ProjectEraser) -> None:
        self._store = store
        self._eraser = eraser
        self._views: dict[tuple[str, str], tuple[LoadedProject, ProjectView]] = {}

    def list(self, namespace: str, *, only: str | None = None) -> ProjectList:
        """Of an unknown namespace: none. One whose file cannot be read at all is told with an empty configuration:
        who misses it has to learn why.

        Args:
            only: leave out all but the project of this name.
        """
        projects = [self._view(each) for each in self._store.list(namespace) if only in (None, each.name)]
        return ProjectList(total=len(projects), projects=projects)

    def create(self, namespace: str, name: str, template: str | None) -> tuple[ProjectView, str]:
        """The project and its etag, as for the two below."""
        return self._tagged(self._store.create(namespace, name, template))

    def get(self, namespace: str, project: str) -> tuple[ProjectView, str]:
        return self._tagged(self._store.get(namespace, project))

    def replace(
        self, namespace: str, project: str, config: dict[str, Any], if_match: str | None
    ) -> tuple[ProjectView, str]:
        return self._tagged(self._store.replace(namespace, project, config, if_match))

    def delete(self, namespace: str, project: str) -> ProjectView:
        """Remove the project with everything that belongs to it; returns what it was.

        One whose folder was removed by hand is known as long as the state holds anything of it.
        """
        if not self._store.paths(namespace, project).exists and self._eraser.knows(namespace, project):
            self._store.erase_missing(namespace, project)
            self._eraser.forget_cloud(namespace, project)
            problem = "the project's folder was not there; what was left of it elsewhere is deleted"
            return ProjectView(namespace=namespace, name=project, config={}, validation_error=problem)
        self._eraser.remove_databases(namespace, project, self._known_config(namespace, project))
        deleted = self._store.delete(namespace, project)
        # Last, as nobody can make it again: a database that could not be removed has ended this before.
        self._eraser.forget_cloud(namespace, project)
        self._eraser.forget(namespace, project)
        return self._view(deleted)

    def _known_config(self, namespace: str, project: str) -> ProjectConfig | None:
        """None for a broken configuration: what cannot be read must still be removable."""
        try:
            return self._store.get(namespace, project).config
        except ConfigError:
            return None

    def _view(self, loaded: LoadedProject) -> ProjectView:
        """Kept as long as the file is what it was: a namespace of a thousand projects is listed from these."""
        key = (loaded.namespace, loaded.name)
        kept = self._views.get(key)
        if kept is not None and kept[0] is loaded:
            return kept[1]
        if len(self._views) >= KEPT_VIEWS:
            self._views.clear()
        view = ProjectView(
            namespace=loaded.namespace,
            name=loaded.name,
            config=public_config(loaded.raw),
            validation_error=loaded.validation_error,
            warnings=[] if loaded.config is None else [*loaded.file_warnings, *project_warnings(loaded.config)],
            last_modified=loaded.last_modified,
        )
        self._views[key] = (loaded, view)
        return view

    def _tagged(self, loaded: LoadedProject) -> tuple[ProjectView, str]:
        return self._view(loaded), loaded.etag
