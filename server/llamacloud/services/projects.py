"""Projects: namespaces that are there when something is written to them. There is one organization."""

from rag.errors import NotFoundError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.schemas.projects import OrganizationView, ProjectPage, ProjectView
from server.llamacloud.scope import KeyScope, scope_of
from server.llamacloud.times import maybe_stamp
from state.cloud.ids import DEFAULT_ORGANIZATION_ID, DEFAULT_PROJECT_ID, NAMESPACE
from state.cloud.paging import make_token, page_size, read_token

DEFAULT_NAME = "Default"


class ProjectService:
    def __init__(self, cloud: CloudEngine) -> None:
        self._projects = cloud.projects

    def all(self, key: KeyScope, name: str | None) -> list[ProjectView]:
        """Those that hold something, the default one first; a key for one project sees that one."""
        ids = [key.project] if key.project is not None else self._projects.ids()
        found = [self._view(each) for each in ids if key.allows(NAMESPACE, each)]
        return [each for each in found if name is None or name in (each.name, each.id)]

    def page(self, key: KeyScope, name: str | None, token: str | None, size: int | None) -> ProjectPage:
        found, query = self.all(key, name), {"projects": name}
        after = read_token(token, query, "t")
        start = 0 if after is None else next((n + 1 for n, each in enumerate(found) if each.id == after[0]), len(found))
        limit = page_size(size)
        shown = found[start : start + limit]
        more = start + limit < len(found)
        next_token = make_token([shown[-1].id], query) if more else None
        return ProjectPage(items=shown, next_page_token=next_token, total_size=len(found))

    def get(self, project_id: str, key: KeyScope) -> ProjectView:
        """One that nobody has written to is empty, not missing.

        Raises:
            NotFoundError: the key is for another one.
            BadRequestError: it cannot name a project.
        """
        return self._view(scope_of(project_id, None, key).project_id)

    def organizations(self) -> list[OrganizationView]:
        return [OrganizationView(id=DEFAULT_ORGANIZATION_ID, name=DEFAULT_NAME)]

    def organization(self, organization_id: str) -> OrganizationView:
        found = next((each for each in self.organizations() if each.id == organization_id), None)
        if found is None:
            raise NotFoundError(
                f"Organization {organization_id[:100]!r} not found: there is one, {DEFAULT_ORGANIZATION_ID}"
            )
        return found

    def _view(self, project_id: str) -> ProjectView:
        made, changed = self._projects.times(project_id) or (None, None)
        is_default = project_id == DEFAULT_PROJECT_ID
        return ProjectView(
            id=project_id,
            name=DEFAULT_NAME if is_default else project_id,
            organization_id=DEFAULT_ORGANIZATION_ID,
            is_default=is_default,
            created_at=maybe_stamp(made),
            updated_at=maybe_stamp(changed),
        )
