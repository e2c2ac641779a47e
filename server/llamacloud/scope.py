"""Which project a request is about, and what its sender may see."""

from dataclasses import dataclass

from rag.errors import BadRequestError, NotFoundError
from state.cloud.ids import DEFAULT_PROJECT_ID, NAMESPACE
from state.cloud.projects import check_project_id


@dataclass(frozen=True, slots=True)
class KeyScope:
    """What a key is good for; a part that is None is everything."""

    namespace: str | None = None
    project: str | None = None

    def allows(self, namespace: str, project: str | None) -> bool:
        return self.namespace in (None, namespace) and (self.project is None or self.project == project)


EVERYTHING = KeyScope()


@dataclass(frozen=True, slots=True)
class Scope:
    """
    Args:
        project_id: where new objects go, and whose are listed.
        visible: the one project of which objects are found by id; None: all.
    """

    project_id: str
    visible: str | None

    def within(self, project_id: str | None) -> "Scope":
        """The same for a project that stands in the body: one outside of what may be seen is not found."""
        if project_id is None or project_id == self.project_id:
            return self
        check_project_id(project_id)
        if self.visible is not None and self.visible != project_id:
            raise NotFoundError(f"Project {project_id[:100]!r} not found", code="ProjectNotFound")
        return Scope(project_id, project_id)


def scope_of(wanted: str | None, header: str | None, key: KeyScope) -> Scope:
    """
    Args:
        wanted: `project_id` of the query; `header`: what some clients send instead.

    Raises:
        BadRequestError: it cannot name a project.
        NotFoundError: the key is for another one.
    """
    project_id = wanted or header
    if key.namespace is not None and key.namespace != NAMESPACE:
        raise NotFoundError("this key is for LlamaFarm's projects of another namespace, not for the LlamaCloud API")
    if project_id is None:
        return Scope(key.project or DEFAULT_PROJECT_ID, key.project)
    check_project_id(project_id)
    if key.project is not None and key.project != project_id:
        raise NotFoundError(f"Project {project_id[:100]!r} not found", code="ProjectNotFound")
    return Scope(project_id, project_id)


def require_project_id(project_id: str | None) -> None:
    """For operations that name it as required."""
    if not project_id:
        raise BadRequestError(
            "project_id is missing: give the id of a project, such as GET /api/v1/projects lists; "
            f"the default one is {DEFAULT_PROJECT_ID}"
        )
