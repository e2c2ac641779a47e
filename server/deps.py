"""What routes take as arguments: the services of this process, and what a request carries.

What only looks something up is `async`, as FastAPI sends every other dependency through a thread.
"""

from typing import Annotated

from fastapi import Depends, Request

from config.project import ProjectConfig
from config.settings import Settings
from rag.errors import NotFoundError
from server.llamacloud.scope import EVERYTHING, KeyScope
from server.parts import Services
from server.services.chat import ChatService
from server.services.database_edits import DatabaseEditor
from server.services.databases import DatabaseService
from server.services.datasets import DatasetService
from server.services.documents import DocumentService
from server.services.embeddings import EmbeddingService
from server.services.evaluation import EvaluationService
from server.services.events import EventLogService
from server.services.examples import ExampleService
from server.services.health import HealthService
from server.services.maintenance import MaintenanceService
from server.services.model_cache import ModelCacheService
from server.services.openai_models import OpenAIModels
from server.services.preview import PreviewService
from server.services.projects import ProjectService
from server.services.pruning import PruningService
from server.services.rag import RagService
from server.services.rag_health import RagHealthService
from server.services.releases import ReleaseService
from server.services.sessions import SessionService
from server.services.tasks import TaskService
from server.services.transfer import TransferService
from server.services.upkeep import UpkeepService


async def get_services(request: Request) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


ServicesDep = Annotated[Services, Depends(get_services)]


async def get_settings(services: ServicesDep) -> Settings:
    return services.engine.settings


async def get_request_id(request: Request) -> str | None:
    return getattr(request.state, "request_id", None)


async def get_key_scope(request: Request) -> KeyScope:
    """Left by the middleware that checked the key; everything where none is needed."""
    found = getattr(request.state, "key_scope", EVERYTHING)
    return found if isinstance(found, KeyScope) else EVERYTHING


async def get_projects(services: ServicesDep) -> ProjectService:
    return services.projects


async def get_datasets(services: ServicesDep) -> DatasetService:
    return services.datasets


async def get_examples(services: ServicesDep) -> ExampleService:
    return services.examples


async def get_tasks(services: ServicesDep) -> TaskService:
    return services.tasks


async def get_databases(services: ServicesDep) -> DatabaseService:
    return services.databases


async def get_database_editor(services: ServicesDep) -> DatabaseEditor:
    return services.database_editor


async def get_documents(services: ServicesDep) -> DocumentService:
    return services.documents


async def get_previews(services: ServicesDep) -> PreviewService:
    return services.previews


async def get_maintenance(services: ServicesDep) -> MaintenanceService:
    return services.maintenance


async def get_pruning(services: ServicesDep) -> PruningService:
    return services.pruning


async def get_transfers(services: ServicesDep) -> TransferService:
    return services.transfers


async def get_rag(services: ServicesDep) -> RagService:
    return services.rag


async def get_upkeep(services: ServicesDep) -> UpkeepService:
    return services.upkeep


async def get_rag_health(services: ServicesDep) -> RagHealthService:
    return services.rag_health


async def get_evaluations(services: ServicesDep) -> EvaluationService:
    return services.evaluations


async def get_sessions(services: ServicesDep) -> SessionService:
    return services.sessions


async def get_event_logs(services: ServicesDep) -> EventLogService:
    return services.event_logs


async def get_chat(services: ServicesDep) -> ChatService:
    return services.chat


async def get_health(services: ServicesDep) -> HealthService:
    return services.health


async def get_model_cache(services: ServicesDep) -> ModelCacheService:
    return services.model_cache


async def get_openai_models(services: ServicesDep) -> OpenAIModels:
    return services.openai_models


async def get_embeddings(services: ServicesDep) -> EmbeddingService:
    return services.embeddings


async def get_releases(services: ServicesDep) -> ReleaseService:
    return services.releases


def load_project_config(namespace: str, project: str, services: ServicesDep) -> ProjectConfig:
    """The project that the path names, read anew when its file changed; 404 and 422 by themselves."""
    return services.engine.projects.load(namespace, project)


def require_project(namespace: str, project: str, services: ServicesDep) -> None:
    """404 for a project that does not exist; one whose file is broken does."""
    if not services.engine.projects.paths(namespace, project).exists:
        raise NotFoundError(f"Project {namespace}/{project} not found", code="ProjectNotFound")


SettingsDep = Annotated[Settings, Depends(get_settings)]
KeyScopeDep = Annotated[KeyScope, Depends(get_key_scope)]
RequestIdDep = Annotated[str | None, Depends(get_request_id)]
ProjectServiceDep = Annotated[ProjectService, Depends(get_projects)]
DatasetServiceDep = Annotated[DatasetService, Depends(get_datasets)]
ExampleServiceDep = Annotated[ExampleService, Depends(get_examples)]
TaskServiceDep = Annotated[TaskService, Depends(get_tasks)]
DatabaseServiceDep = Annotated[DatabaseService, Depends(get_databases)]
DatabaseEditorDep = Annotated[DatabaseEditor, Depends(get_database_editor)]
DocumentServiceDep = Annotated[DocumentService, Depends(get_documents)]
PreviewServiceDep = Annotated[PreviewService, Depends(get_previews)]
MaintenanceServiceDep = Annotated[MaintenanceService, Depends(get_maintenance)]
PruningServiceDep = Annotated[PruningService, Depends(get_pruning)]
TransferServiceDep = Annotated[TransferService, Depends(get_transfers)]
UpkeepServiceDep = Annotated[UpkeepService, Depends(get_upkeep)]
RagServiceDep = Annotated[RagService, Depends(get_rag)]
RagHealthServiceDep = Annotated[RagHealthService, Depends(get_rag_health)]
EvaluationServiceDep = Annotated[EvaluationService, Depends(get_evaluations)]
SessionServiceDep = Annotated[SessionService, Depends(get_sessions)]
EventLogServiceDep = Annotated[EventLogService, Depends(get_event_logs)]
ChatServiceDep = Annotated[ChatService, Depends(get_chat)]
HealthServiceDep = Annotated[HealthService, Depends(get_health)]
ProjectConfigDep = Annotated[ProjectConfig, Depends(load_project_config)]
ModelCacheDep = Annotated[ModelCacheService, Depends(get_model_cache)]
OpenAIServiceDep = Annotated[OpenAIModels, Depends(get_openai_models)]
EmbeddingServiceDep = Annotated[EmbeddingService, Depends(get_embeddings)]
ReleaseServiceDep = Annotated[ReleaseService, Depends(get_releases)]
