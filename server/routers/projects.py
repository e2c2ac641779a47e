"""Projects: one configuration each, in a namespace."""

from typing import Annotated

from fastapi import APIRouter, Header, Response

from server.deps import ProjectServiceDep
from server.schemas.errors import ERROR_RESPONSES
from server.schemas.projects import ProjectAnswer, ProjectCreate, ProjectList, ProjectUpdate

router = APIRouter(prefix="/v1/projects", tags=["projects", "mcp"], responses=ERROR_RESPONSES)


@router.get("/{namespace}", operation_id="projects_list")
@router.get("/{namespace}/", include_in_schema=False)
def list_projects(namespace: str, projects: ProjectServiceDep) -> ProjectList:
    return projects.list(namespace)


@router.post("/{namespace}", operation_id="project_create")
@router.post("/{namespace}/", include_in_schema=False)
def create_project(
    namespace: str, body: ProjectCreate, projects: ProjectServiceDep, response: Response
) -> ProjectAnswer:
    project, etag = projects.create(namespace, body.name, body.config_template)
    response.headers["ETag"] = f'"{etag}"'
    return ProjectAnswer(project=project)


@router.get("/{namespace}/{project}", operation_id="project_get")
@router.get("/{namespace}/{project}/", include_in_schema=False)
def get_project(namespace: str, project: str, projects: ProjectServiceDep, response: Response) -> ProjectAnswer:
    view, etag = projects.get(namespace, project)
    response.headers["ETag"] = f'"{etag}"'
    return ProjectAnswer(project=view)


@router.put("/{namespace}/{project}", operation_id="project_update")
@router.put("/{namespace}/{project}/", include_in_schema=False)
def update_project(
    namespace: str,
    project: str,
    body: ProjectUpdate,
    projects: ProjectServiceDep,
    response: Response,
    if_match: Annotated[str | None, Header(description="Replace only this version; 412 otherwise.")] = None,
) -> ProjectAnswer:
    view, etag = projects.replace(namespace, project, body.config, if_match)
    response.headers["ETag"] = f'"{etag}"'
    return ProjectAnswer(project=view)


@router.delete("/{namespace}/{project}", operation_id="project_delete")
@router.delete("/{namespace}/{project}/", include_in_schema=False)
def delete_project(namespace: str, project: str, projects: ProjectServiceDep) -> ProjectAnswer:
    return ProjectAnswer(project=projects.delete(namespace, project))
