"""Extraction, first generation: agents, jobs, results and runs."""

from typing import Annotated, Any

from anyio import to_thread
from fastapi import Depends, Query, Request, status

from server.llamacloud.deps import CloudDep, OfficialDep, ScopeDep
from server.llamacloud.schemas.extraction import (
    AgentCreate,
    AgentDeleted,
    AgentPage,
    AgentUpdate,
    AgentView,
    BatchCreate,
    JobCreate,
    JobView,
    ResultView,
    RunPage,
    RunView,
    SchemaCheck,
    SchemaView,
    SchemaWish,
    StatelessRun,
)
from server.llamacloud.scope import require_project_id
from server.llamacloud.services.extract_agents import AgentService
from server.llamacloud.services.extract_jobs import checked_schema
from server.llamacloud.services.extract_schemas import SchemaService
from server.llamacloud.services.extraction import ExtractionService
from server.llamacloud.services.extraction_views import agent_view, job_view, result_view, run_view
from server.llamacloud.services.stateless import start_stateless, start_upload
from server.llamacloud.services.uploading import Body
from server.routing import Router
from server.schemas.errors import TOO_LARGE_RESPONSES

router = Router(prefix="/api", tags=["extraction"])
ROOT = "/v1/extraction"
AGENTS = f"{ROOT}/extraction-agents"
JOBS = f"{ROOT}/jobs"
RUNS = f"{ROOT}/runs"
TEXT = {"type": "string"}
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "extraction_agent_id"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "extraction_agent_id": TEXT,
                        "data_schema_override": {**TEXT, "description": "A JSON Schema as JSON text."},
                        "config_override": {**TEXT, "description": "Options as JSON text."},
                    },
                }
            }
        },
    }
}


async def get_agents(cloud: CloudDep, scope: ScopeDep) -> AgentService:
    return AgentService(cloud, scope)


async def get_service(cloud: CloudDep, scope: ScopeDep) -> ExtractionService:
    return ExtractionService(cloud, scope)


async def get_asked_project(request: Request) -> str | None:
    return request.query_params.get("project_id") or request.headers.get("project-id")


Asked = Annotated[str | None, Depends(get_asked_project)]
AgentsDep = Annotated[AgentService, Depends(get_agents)]
ServiceDep = Annotated[ExtractionService, Depends(get_service)]
AgentIdQuery = Annotated[str, Query(description="Of which agent.")]
FromUi = Annotated[bool, Query(description="Marks the run for GET …/runs/latest-from-ui.")]


@router.get(AGENTS, operation_id="cloud_extraction_agents_list")
def list_agents(
    agents: AgentsDep,
    include_default: Annotated[bool, Query(description="Whether to list the agent behind extraction without one.")] = (
        False
    ),
) -> list[AgentView]:
    """List the extraction agents of a project, oldest first."""
    return [agent_view(each) for each in agents.all(with_default=include_default)]


@router.post(AGENTS, operation_id="cloud_extraction_agents_create", status_code=status.HTTP_201_CREATED)
def create_agent(
    body: AgentCreate, cloud: CloudDep, scope: ScopeDep, is_official: OfficialDep, asked: Asked
) -> AgentView:
    """Create an agent. Without a schema, one is made from the prompt, or from the documents of the first job."""
    if not is_official and body.config is None:  # clients name the project in the query, or leave it out
        require_project_id(body.project_id or asked)
    agents = AgentService(cloud, scope.within(body.project_id))
    return agent_view(agents.create(body.name, body.model_dump(exclude={"name", "project_id"})))


@router.get(f"{AGENTS}/default", operation_id="cloud_extraction_agents_default")
def get_default_agent(agents: AgentsDep) -> AgentView:
    """The agent behind extraction that names none; made when it is first asked for."""
    return agent_view(agents.default())


@router.get(f"{AGENTS}/by-name/{{name}}", operation_id="cloud_extraction_agents_by_name")
def get_agent_by_name(name: str, agents: AgentsDep) -> AgentView:
    """The agent of this name; of several, the newest."""
    return agent_view(agents.by_name(name))


@router.post(f"{AGENTS}/schema/validation", operation_id="cloud_extraction_schema_validate")
def validate_schema(body: SchemaCheck) -> SchemaView:
    """Check a JSON Schema and give it back as it will be used."""
    return SchemaView(data_schema=checked_schema(body.data_schema) or {})


@router.post(f"{AGENTS}/schema/generate", operation_id="cloud_extraction_schema_generate")
def generate_schema(body: SchemaWish, cloud: CloudDep, scope: ScopeDep) -> SchemaView:
    """Make a schema of a wish in words, an example document, a draft, or several of them. Needs a model that writes."""
    service = SchemaService(cloud, scope)
    return SchemaView(data_schema=service.generate(prompt=body.prompt, file_id=body.file_id, draft=body.data_schema))


@router.get(f"{AGENTS}/{{agent_id}}", operation_id="cloud_extraction_agents_get")
def get_agent(agent_id: str, agents: AgentsDep) -> AgentView:
    """An agent with its schema and options."""
    return agent_view(agents.get(agent_id))


@router.put(f"{AGENTS}/{{agent_id}}", operation_id="cloud_extraction_agents_update")
def update_agent(agent_id: str, body: AgentUpdate, agents: AgentsDep) -> AgentView:
    """Change what is given and leave the rest. Jobs that were begun go on with what they began with."""
    return agent_view(agents.update(agent_id, body.model_dump()))


@router.delete(f"{AGENTS}/{{agent_id}}", operation_id="cloud_extraction_agents_delete")
def delete_agent(agent_id: str, agents: AgentsDep) -> AgentDeleted:
    """Delete an agent. Its jobs and their results stay."""
    agents.delete(agent_id)
    return AgentDeleted(id=agent_id)


@router.post(JOBS, operation_id="cloud_extraction_jobs_create")
def create_job(body: JobCreate, service: ServiceDep, is_official: OfficialDep, from_ui: FromUi = False) -> JobView:
    """Read one file or several with an agent, in the background."""
    found = service.start(
        service.agent(body.extraction_agent_id),
        [body.file_id] if body.file_id is not None else body.file_ids or [],
        "seed" if body.file_id is None else "client",
        schema=body.data_schema_override,
        config=body.config_override,
        priority=body.priority,
        from_ui=from_ui,
        ignored=body.ignored(),
    )
    return job_view(found, is_client=is_official)


@router.get(JOBS, operation_id="cloud_extraction_jobs_list")
def list_jobs(
    extraction_agent_id: AgentIdQuery,
    service: ServiceDep,
    is_official: OfficialDep,
    skip: Annotated[int, Query(ge=0, le=10**9, description="How many of the newest to leave out.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 1_000,
) -> list[JobView]:
    """The newest jobs of an agent, oldest first."""
    found = service.jobs(extraction_agent_id, skip=skip, limit=limit)
    return [job_view(each, is_client=is_official) for each in found]


@router.post(f"{JOBS}/batch", operation_id="cloud_extraction_jobs_batch")
def create_jobs(
    body: BatchCreate, service: ServiceDep, is_official: OfficialDep, from_ui: FromUi = False
) -> list[JobView]:
    """One job for each file, in their order."""
    made = service.start_each(
        body.extraction_agent_id,
        body.file_ids,
        schema=body.data_schema_override,
        config=body.config_override,
        from_ui=from_ui,
        ignored=body.ignored(),
    )
    return [job_view(each, is_client=is_official) for each in made]


@router.post(
    f"{JOBS}/file", operation_id="cloud_extraction_jobs_file", openapi_extra=FORM, responses=TOO_LARGE_RESPONSES
)
async def create_job_of_upload(
    request: Request, cloud: CloudDep, scope: ScopeDep, is_official: OfficialDep, from_ui: FromUi = False
) -> JobView:
    """Upload a file in the part `file` of a form and read it; the form names the agent in `extraction_agent_id`."""
    body = Body.of(request.headers, request.stream())
    found = await start_upload(cloud, scope, body, from_ui=from_ui)
    return await to_thread.run_sync(lambda: job_view(found, is_client=is_official))


@router.get(f"{JOBS}/{{job_id}}", operation_id="cloud_extraction_jobs_get")
def get_job(job_id: str, service: ServiceDep, is_official: OfficialDep) -> JobView:
    """How far a job is, in the words that its maker reads."""
    return job_view(service.job(job_id), is_client=is_official)


@router.get(f"{JOBS}/{{job_id}}/result", operation_id="cloud_extraction_jobs_result")
def get_job_result(job_id: str, service: ServiceDep) -> ResultView:
    """What a job read out of each file, or why it could not. 404 until the job has ended."""
    return result_view(service.result(job_id))


@router.post(f"{ROOT}/run", operation_id="cloud_extraction_run")
def run_stateless(body: StatelessRun, cloud: CloudDep, scope: ScopeDep, is_official: OfficialDep) -> JobView:
    """Read a file, a text or bytes by a schema, without an agent of one's own."""
    return job_view(start_stateless(cloud, scope, body), is_client=is_official)


@router.get(RUNS, operation_id="cloud_extraction_runs_list")
def list_runs(
    extraction_agent_id: AgentIdQuery,
    service: ServiceDep,
    skip: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> RunPage:
    """The runs of an agent, one for each file of each job, oldest first."""
    runs, total = service.runs(extraction_agent_id, skip=skip, limit=limit)
    return RunPage(items=[run_view(each) for each in runs], total=total, skip=skip, limit=limit)


@router.get(f"{RUNS}/latest-from-ui", operation_id="cloud_extraction_runs_latest_from_ui")
def get_latest_run_from_ui(extraction_agent_id: AgentIdQuery, service: ServiceDep) -> RunView | None:
    """The newest run that was begun with from_ui=true; null when there is none."""
    found = service.latest_from_ui(extraction_agent_id)
    return None if found is None else run_view(found)


@router.get(f"{RUNS}/by-job/{{job_id}}", operation_id="cloud_extraction_runs_by_job")
def get_run_by_job(job_id: str, service: ServiceDep) -> RunView:
    """The run of a job; of one for several files, that of the first."""
    return run_view(service.run_of(job_id))


@router.get(f"{RUNS}/{{run_id}}", operation_id="cloud_extraction_runs_get")
def get_run(run_id: str, service: ServiceDep) -> RunView:
    """A run with what it read, and where each value stands."""
    return run_view(service.run(run_id))


@router.delete(f"{RUNS}/{{run_id}}", operation_id="cloud_extraction_runs_delete")
def delete_run(run_id: str, service: ServiceDep) -> AgentDeleted:
    """Delete a run that has ended, with what it read."""
    service.delete_run(run_id)
    return AgentDeleted(id=run_id)


@router.get("/v1/beta/extraction-agents", operation_id="cloud_beta_extraction_agents_list")
def page_agents(
    agents: AgentsDep,
    include_default: Annotated[bool, Query(description="Whether to list the agent behind extraction without one.")] = (
        False
    ),
    page_size: Annotated[int | None, Query(ge=1)] = None,
    page_token: str | None = None,
) -> AgentPage:
    """List the extraction agents of a project page by page."""
    page = agents.page(page_token, page_size, with_default=include_default)
    items = [agent_view(each) for each in page.items]
    return AgentPage(items=items, next_page_token=page.next_page_token, total_size=page.total_size or 0)
