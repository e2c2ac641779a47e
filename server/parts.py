"""The long-lived objects of an API process: opened in one place, closed in the opposite order."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import httpx
from anyio import to_thread
from huggingface_hub import constants as hub_constants

from config.assemble import Assembly
from config.loader import ProjectStore
from config.settings import Settings
from rag.model_cache import ModelCache
from rag.model_hub import Hub
from server.services.chat import ChatService
from server.services.chat_sessions import SessionTurns
from server.services.chat_trace import TraceMaker
from server.services.database_access import DatabaseAccess
from server.services.database_edits import DatabaseEditor
from server.services.databases import DatabaseService
from server.services.datasets import DatasetService
from server.services.documents import DocumentService
from server.services.embeddings import EmbeddingService
from server.services.evaluation import EvaluationService
from server.services.event_writer import EventWriter
from server.services.events import EventLogService, ProjectRecords
from server.services.examples import ExampleService
from server.services.file_import import FileImport
from server.services.health import CHECK_TIMEOUT_S, HealthService
from server.services.hub_models import HubModels
from server.services.maintenance import REINDEX_WAIT_S, MaintenanceService
from server.services.model_cache import ModelCacheService
from server.services.ollama_models import OllamaModels
from server.services.openai_models import OpenAIModels
from server.services.preview import PreviewService
from server.services.projects import ProjectEraser, ProjectService
from server.services.pruning import PruningService
from server.services.rag import RagService, Searcher
from server.services.rag_health import RagHealthService
from server.services.releases import ReleaseService
from server.services.seed import SeedProject, SeedSearcher
from server.services.sessions import SessionService
from server.services.tasks import TaskService
from server.services.transfer import TransferService
from server.services.upkeep import UpkeepService
from server.services.warm_up import WarmUp
from state.contents import DatabaseContents
from state.database import StateDatabase
from state.events import EventStore
from state.generations import GenerationStore
from state.incoming import sweep_projects
from state.migrate import migrate
from state.project_rows import ProjectRows
from state.session_files import SessionFiles
from state.sessions import SessionStore
from state.tasks import TaskStore
from workers.dispatch import Dispatcher

MAX_WARM_UP_S = 90.0


@dataclass(frozen=True, slots=True)
class Engine:
    """What the services stand on."""

    settings: Settings
    database: StateDatabase
    projects: ProjectStore
    generations: GenerationStore
    assembly: Assembly
    dispatcher: Dispatcher
    warm_up: WarmUp


@dataclass(frozen=True, slots=True)
class Services:
    """What the routers call, one per resource."""

    engine: Engine
    projects: ProjectService
    datasets: DatasetService
    tasks: TaskService
    databases: DatabaseService
    database_editor: DatabaseEditor
    documents: DocumentService
    previews: PreviewService
    maintenance: MaintenanceService
    pruning: PruningService
    transfers: TransferService
    upkeep: UpkeepService
    searcher: Searcher
    rag: RagService
    rag_health: RagHealthService
    evaluations: EvaluationService
    chat: ChatService
    sessions: SessionService
    event_logs: EventLogService
    health: HealthService
    model_cache: ModelCacheService
    openai_models: OpenAIModels
    embeddings: EmbeddingService
    releases: ReleaseService
    examples: ExampleService


OpenEngine = Callable[[Settings], AbstractAsyncContextManager[Engine]]


@asynccontextmanager
async def open_engine(settings: Settings) -> AsyncIterator[Engine]:
    """Open the state (bringing it to this version), the projects, the components and the way to the workers."""
    async with AsyncExitStack() as stack:
        database = await to_thread.run_sync(_open_state, settings)
        stack.callback(database.close)
        generations = GenerationStore(database)
        assembly = Assembly(settings, generations.live_check)
        stack.push_async_callback(assembly.aclose)
        await to_thread.run_sync(sweep_projects, settings.projects_dir)
        warm_up = WarmUp(assembly.warm_up)
        warm_up.start()
        if settings.api_processes > 1:
            # Clients cannot tell the processes apart: one that takes requests is as ready as the others.
            await to_thread.run_sync(warm_up.wait, MAX_WARM_UP_S)
        yield Engine(
            settings=settings,
            database=database,
            projects=ProjectStore(settings),
            generations=generations,
            assembly=assembly,
            dispatcher=Dispatcher(settings, database, assembly),
            warm_up=warm_up,
        )


@asynccontextmanager
async def open_services(engine: Engine) -> AsyncIterator[Services]:
    settings, projects, dispatcher = engine.settings, engine.projects, engine.dispatcher
    sessions = SessionStore(engine.database, SessionFiles(settings.projects_dir))
    events = EventStore(engine.database)
    records = ProjectRecords(sessions, events)
    leftovers = ProjectEraser(dispatcher, records, ProjectRows(engine.database))
    projects.erase_leftovers = leftovers.erase
    access = DatabaseAccess(
        projects,
        engine.assembly,
        DatabaseContents(engine.database),
        TaskStore(engine.database, lease_s=settings.lease_s),
    )
    maintenance = MaintenanceService(projects, access, dispatcher, reindex_wait_s=REINDEX_WAIT_S)
    files = FileImport(projects, engine.generations, dispatcher, max_upload_bytes=settings.max_upload_bytes)
    seed = SeedProject(projects, files, engine.generations, dispatcher)
    if settings.seed_project:
        await to_thread.run_sync(seed.install)
    searcher = SeedSearcher(seed, engine.assembly, deadline_s=settings.query_deadline_s)
    # The environment's proxies are for the outside; what is checked here stands beside this server.
    async with (
        httpx.AsyncClient(timeout=CHECK_TIMEOUT_S, trust_env=False) as client,
        _event_log(EventWriter(events, projects.has_since)) as log,
    ):
        cache, model_cache = _model_cache(settings, client)
        openai_models = OpenAIModels(projects, model_cache)
        yield Services(
            engine=engine,
            projects=ProjectService(projects, leftovers),
            datasets=DatasetService(
                projects, dispatcher, engine.generations, max_upload_bytes=settings.max_upload_bytes
            ),
            tasks=TaskService(dispatcher),
            databases=DatabaseService(projects),
            database_editor=DatabaseEditor(projects, access, settings.project_variables),
            documents=DocumentService(access),
            previews=PreviewService(projects, settings, engine.assembly.embedder),
            maintenance=maintenance,
            pruning=PruningService(projects, access, maintenance),
            transfers=TransferService(access, settings),
            upkeep=UpkeepService(projects, access, dispatcher, settings.project_variables),
            searcher=searcher,
            rag=RagService(projects, searcher),
            rag_health=RagHealthService(access),
            evaluations=EvaluationService(projects, access.contents, dispatcher, settings),
            chat=ChatService(
                SessionTurns(sessions, wait_s=settings.session_wait_s),
                searcher,
                engine.assembly.llm,
                load_project=projects.load,
                tool_source_for=engine.assembly.tool_source,
                trace_for=TraceMaker(log.submit, has_content=settings.event_log_content),
            ),
            sessions=SessionService(sessions, idle_s=settings.session_idle_s),
            event_logs=EventLogService(events, log),
            examples=ExampleService(settings, projects, files),
            health=HealthService(
                settings,
                engine.database,
                projects,
                dispatcher,
                client,
                engine.warm_up,
                open_circuits=engine.assembly.open_circuits,
            ),
            model_cache=model_cache,
            openai_models=openai_models,
            embeddings=EmbeddingService(openai_models.project, engine.assembly, cache, warm_model=settings.warm_model),
            releases=ReleaseService(settings.releases_url, settings.data_dir / "cache", version("paddock")),
        )


@asynccontextmanager
async def _event_log(writer: EventWriter) -> AsyncIterator[EventWriter]:
    writer.start()
    try:
        yield writer
    finally:
        await to_thread.run_sync(writer.close)


def _model_cache(settings: Settings, client: httpx.AsyncClient) -> tuple[ModelCache, ModelCacheService]:
    """On the folder and the hub that `huggingface_hub` was told of by the environment (HF_HOME, HF_ENDPOINT)."""
    cache = ModelCache(Path(hub_constants.HF_HUB_CACHE))
    token = settings.hf_token.get_secret_value() if settings.hf_token else None
    hub = HubModels(cache, Hub(endpoint=hub_constants.ENDPOINT, token=token), system_path=settings.data_dir)
    return cache, ModelCacheService(hub, OllamaModels(settings.ollama_host, client, hub.disks))


def _open_state(settings: Settings) -> StateDatabase:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = StateDatabase(settings.state_url)
    migrate(database)
    return database
