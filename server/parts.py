"""The long-lived objects of an API process: opened in one place, closed in the opposite order."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx
from anyio import to_thread

from config.assemble import Assembly
from config.loader import ProjectStore
from config.settings import Settings
from server.services.chat import ChatService
from server.services.databases import DatabaseService
from server.services.datasets import DatasetService
from server.services.health import CHECK_TIMEOUT_S, HealthService
from server.services.projects import ProjectService
from server.services.rag import RagService, Searcher
from server.services.rag_health import RagHealthService
from server.services.tasks import TaskService
from server.services.warm_up import WarmUp
from state.database import StateDatabase
from state.generations import GenerationStore
from state.incoming import sweep_projects
from state.migrate import migrate
from state.sessions import SessionStore
from workers.dispatch import Dispatcher


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
    searcher: Searcher
    rag: RagService
    rag_health: RagHealthService
    chat: ChatService
    health: HealthService


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
    sessions = SessionStore(engine.database)
    searcher = Searcher(engine.assembly, deadline_s=settings.query_deadline_s)
    # The environment's proxies are for the outside; what is checked here stands beside this server.
    async with httpx.AsyncClient(timeout=CHECK_TIMEOUT_S, trust_env=False) as client:
        yield Services(
            engine=engine,
            projects=ProjectService(projects, dispatcher, sessions),
            datasets=DatasetService(
                projects, dispatcher, engine.generations, max_upload_bytes=settings.max_upload_bytes
            ),
            tasks=TaskService(dispatcher),
            databases=DatabaseService(projects),
            searcher=searcher,
            rag=RagService(projects, searcher),
            rag_health=RagHealthService(projects, engine.assembly),
            chat=ChatService(sessions, searcher, engine.assembly.llm, load_project=projects.load),
            health=HealthService(settings, engine.database, projects, dispatcher, client, engine.warm_up),
        )


def _open_state(settings: Settings) -> StateDatabase:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = StateDatabase(settings.state_url)
    migrate(database)
    return database
