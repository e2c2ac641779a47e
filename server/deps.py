"""What routes take as arguments: the services of this process, and what a request carries."""

from typing import Annotated

from fastapi import Depends, Request

from config.project import ProjectConfig
from config.settings import Settings
from rag.errors import NotFoundError
from server.parts import Services
from server.services.chat import ChatService
from server.services.databases import DatabaseService
from server.services.datasets import DatasetService
from server.services.health import HealthService
from server.services.projects import ProjectService
from server.services.rag import RagService
from server.services.rag_health import RagHealthService
from server.services.tasks import TaskService


def get_services(request: Request) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


ServicesDep = Annotated[Services, Depends(get_services)]


def get_settings(services: ServicesDep) -> Settings:
    return services.engine.settings


def get_request_id(request: Request) -> str | None:
    return getattr(request.state, "request_id", None)


def get_projects(services: ServicesDep) -> ProjectService:
    return services.projects


def get_datasets(services: ServicesDep) -> DatasetService:
    return services.datasets


def get_tasks(services: ServicesDep) -> TaskService:
    return services.tasks


def get_databases(services: ServicesDep) -> DatabaseService:
    return services.databases


def get_rag(services: ServicesDep) -> RagService:
    return services.rag


def get_rag_health(services: ServicesDep) -> RagHealthService:
    return services.rag_health


def get_chat(services: ServicesDep) -> ChatService:
    return services.chat


def get_health(services: ServicesDep) -> HealthService:
    return services.health


def load_project_config(namespace: str, project: str, services: ServicesDep) -> ProjectConfig:
    """The project that the path names, read anew when its file changed; 404 and 422 by themselves."""
    return services.engine.projects.load(namespace, project)


def require_project(namespace: str, project: str, services: ServicesDep) -> None:
    """404 for a project that does not exist; one whose file is broken does."""
    if not services.engine.projects.paths(namespace, project).exists:
        raise NotFoundError(f"Project {namespace}/{project} not found", code="ProjectNotFound")


SettingsDep = Annotated[Settings, Depends(get_settings)]
RequestIdDep = Annotated[str | None, Depends(get_request_id)]
ProjectServiceDep = Annotated[ProjectService, Depends(get_projects)]
DatasetServiceDep = Annotated[DatasetService, Depends(get_datasets)]
TaskServiceDep = Annotated[TaskService, Depends(get_tasks)]
DatabaseServiceDep = Annotated[DatabaseService, Depends(get_databases)]
RagServiceDep = Annotated[RagService, Depends(get_rag)]
RagHealthServiceDep = Annotated[RagHealthService, Depends(get_rag_health)]
ChatServiceDep = Annotated[ChatService, Depends(get_chat)]
HealthServiceDep = Annotated[HealthService, Depends(get_health)]
ProjectConfigDep = Annotated[ProjectConfig, Depends(load_project_config)]
