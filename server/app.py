"""Builds the app. Importing this does nothing; what lives as long as the process is opened in the lifespan."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version

import structlog
from anyio import to_thread
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from config.settings import Settings
from server.errors import install_error_handlers
from server.middleware import ApiKey, BodyGuard, RequestLog
from server.parts import OpenEngine, open_engine, open_services
from server.routers import chat, datasets, health, models, projects, rag, tasks

log = structlog.get_logger(__name__)

THREADS = 64
"""For synchronous routes: they wait for disks and databases, not for the processor."""
ROUTERS = (health.router, projects.router, datasets.router, tasks.router, rag.router, chat.router, models.router)

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(settings: Settings, *, engine: OpenEngine = open_engine) -> FastAPI:
    """The API of one process.

    Args:
        engine: opens what the services stand on; tests give one with fakes in it.
    """
    app = FastAPI(
        title="Paddock",
        version=version("paddock"),
        summary="From a folder of files to a cited answer.",
        lifespan=_lifespan(settings, engine),
        redirect_slashes=False,
    )
    for router in ROUTERS:
        app.include_router(router)
    install_error_handlers(app)
    _add_middleware(app, settings)
    return app


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """Added innermost first: CORS stands outside of all, so that a browser can read every refusal too."""
    app.add_middleware(BodyGuard, max_body_bytes=settings.max_body_bytes)
    if settings.api_key is not None:
        app.add_middleware(ApiKey, key=settings.api_key.get_secret_value())
    app.add_middleware(RequestLog)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["*"],
    )


def _lifespan(settings: Settings, engine: OpenEngine) -> Lifespan:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        async with engine(settings) as opened, open_services(opened) as services:
            app.state.services = services
            log.info("server.started", data_dir=str(settings.data_dir))
            yield
        log.info("server.stopped")

    return lifespan
