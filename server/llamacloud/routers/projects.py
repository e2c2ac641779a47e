"""Projects, and the one organization that they are of."""

from typing import Annotated

from fastapi import Depends, Query

from server.deps import KeyScopeDep
from server.llamacloud.deps import CloudDep
from server.llamacloud.schemas.projects import OrganizationView, ProjectPage, ProjectView
from server.llamacloud.schemas.text import Plain
from server.llamacloud.services.projects import ProjectService
from server.routing import Router

router = Router(prefix="/api", tags=["projects"])


async def get_service(cloud: CloudDep) -> ProjectService:
    return ProjectService(cloud)


ProjectsDep = Annotated[ProjectService, Depends(get_service)]
NameQuery = Annotated[Plain | None, Query(description="`Default`, or the id of a project.")]


@router.get("/v1/projects", operation_id="cloud_projects_list")
def list_projects(projects: ProjectsDep, key: KeyScopeDep, project_name: NameQuery = None) -> list[ProjectView]:
    """List the projects that hold something, the default one first."""
    return projects.all(key, project_name)


@router.get("/v2/projects", operation_id="cloud_projects_page")
def list_page(
    projects: ProjectsDep,
    key: KeyScopeDep,
    name: NameQuery = None,
    page_size: Annotated[int | None, Query(ge=1)] = None,
    page_token: str | None = None,
) -> ProjectPage:
    """List the projects that hold something, by pages."""
    return projects.page(key, name, page_token, page_size)


@router.get("/v1/projects/{project_id}", operation_id="cloud_projects_get")
@router.get("/v2/projects/{project_id}", operation_id="cloud_projects_get_v2")
def get_project(project_id: str, projects: ProjectsDep, key: KeyScopeDep) -> ProjectView:
    """Look at one project. Any well-formed id is one: it is made with the first thing that is written to it."""
    return projects.get(project_id, key)


@router.get("/v1/organizations", operation_id="cloud_organizations_list")
def list_organizations(projects: ProjectsDep) -> list[OrganizationView]:
    """List the organizations: there is one, which has all projects."""
    return projects.organizations()


@router.get("/v1/organizations/{organization_id}", operation_id="cloud_organizations_get")
def get_organization(organization_id: str, projects: ProjectsDep) -> OrganizationView:
    """Look at the organization by its id."""
    return projects.organization(organization_id)
