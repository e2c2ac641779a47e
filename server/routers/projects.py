"""Projects: one configuration each, in a namespace."""

from typing import Annotated

from fastapi import Header, Response

from server.access import refuse_programs
from server.deps import KeyScopeDep, ProjectServiceDep, SettingsDep
from server.routing import Router
from server.schemas.errors import CONFLICT_RESPONSES, ERROR_RESPONSES, STALE_RESPONSES
from server.schemas.projects import ProjectAnswer, ProjectCreate, ProjectList, ProjectUpdate

router = Router(prefix="/v1/projects", tags=["projects", "mcp"], responses=ERROR_RESPONSES)


@router.get("/{namespace}", operation_id="projects_list", response_model=ProjectList)
@router.get("/{namespace}/", include_in_schema=False)
def list_projects(namespace: str, projects: ProjectServiceDep, key: KeyScopeDep) -> Response:
    """List the projects of a namespace, with their configurations.

    A namespace that does not exist has none. A key of one project sees that one alone. A project whose file is invalid
    is listed with `validation_error`.
    """
    # Written here: of a thousand projects, checking what is known to be right would take most of the time.
    return Response(projects.list(namespace, only=key.project).model_dump_json(), media_type="application/json")


@router.post("/{namespace}", operation_id="project_create", responses=CONFLICT_RESPONSES)
@router.post("/{namespace}/", include_in_schema=False)
def create_project(
    namespace: str, body: ProjectCreate, projects: ProjectServiceDep, response: Response
) -> ProjectAnswer:
    """Create a project from a template.

    Templates: `default`, `rag`, `server`, `advanced`. 409 when the project exists already.
    """
    project, etag = projects.create(namespace, body.name, body.config_template)
    response.headers["ETag"] = f'"{etag}"'
    return ProjectAnswer(project=project)


@router.get("/{namespace}/{project}", operation_id="project_get")
@router.get("/{namespace}/{project}/", include_in_schema=False)
def get_project(namespace: str, project: str, projects: ProjectServiceDep, response: Response) -> ProjectAnswer:
    """Read one project with its configuration.

    The `ETag` of the answer names this version; send it as `If-Match` when replacing.
    """
    view, etag = projects.get(namespace, project)
    response.headers["ETag"] = f'"{etag}"'
    return ProjectAnswer(project=view)


@router.put(
    "/{namespace}/{project}", operation_id="project_update", responses={**CONFLICT_RESPONSES, **STALE_RESPONSES}
)
@router.put("/{namespace}/{project}/", include_in_schema=False)
def update_project(
    namespace: str,
    project: str,
    body: ProjectUpdate,
    projects: ProjectServiceDep,
    response: Response,
    key: KeyScopeDep,
    settings: SettingsDep,
    if_match: Annotated[str | None, Header(description="Replace only this version; 412 otherwise.")] = None,
) -> ProjectAnswer:
    """Replace a project's whole configuration.

    `config` is the new llamafarm.yaml as JSON: what it leaves out is gone. With `If-Match`, only if nobody changed it
    meanwhile (412). A broken project can be repaired so.
    """
    refuse_programs(key, body.config, settings)
    view, etag = projects.replace(namespace, project, body.config, if_match)
    response.headers["ETag"] = f'"{etag}"'
    return ProjectAnswer(project=view)


@router.delete("/{namespace}/{project}", operation_id="project_delete", responses=CONFLICT_RESPONSES)
@router.delete("/{namespace}/{project}/", include_in_schema=False)
def delete_project(namespace: str, project: str, projects: ProjectServiceDep) -> ProjectAnswer:
    """Delete a project for good: configuration, files, chunks, tasks, events and sessions.

    What is left of a project whose folder was removed by hand can be deleted so, too.
    """
    return ProjectAnswer(project=projects.delete(namespace, project))
