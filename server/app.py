"""Builds the app. Importing this does nothing; what lives as long as the process is opened in the lifespan."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from importlib.metadata import version
from typing import Any

import structlog
from anyio import to_thread
from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute

from config.settings import LOOPBACK_HOSTS, Settings
from server.access import KeyRing
from server.errors import install_error_handlers
from server.llamacloud import app as llamacloud
from server.mcp.endpoint import PATHS as MCP_PATHS
from server.mcp.endpoint import McpEndpoint
from server.middleware import ApiKey, BodyGuard, HostGuard, RequestLog
from server.parts import Engine, OpenEngine, open_engine, open_services
from server.routers import (
    chat,
    databases,
    datasets,
    designer,
    evaluation,
    event_logs,
    examples,
    health,
    maintenance,
    model_cache,
    models,
    openai,
    projects,
    rag,
    schema,
    sessions,
    system,
    tasks,
    upkeep,
)
from server.routers.designer import DesignerPages
from server.routers.reference_page import ASSETS_PATH, page_files, show_reference
from server.routers.reference_page import PATH as REFERENCE_PATH
from server.schemas.errors import GUARD_RESPONSES
from server.services.designer import Designer
from state.keys import ApiKeys

log = structlog.get_logger(__name__)

THREADS = 64
"""For synchronous routes: they wait for disks and databases, not for the processor."""
ROUTERS = (
    health.router,
    projects.router,
    datasets.router,
    tasks.router,
    rag.router,
    evaluation.router,
    databases.router,
    upkeep.router,
    maintenance.router,
    chat.router,
    sessions.router,
    event_logs.router,
    models.router,
    openai.router,
    model_cache.router,
    system.router,
    designer.router,
    examples.router,
    schema.router,
)

KEY_SCHEME = {"type": "http", "scheme": "bearer", "description": "LF_API_KEY, or a key of `lf keys create`."}

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class _Paddock(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """A server without keys gets its first one while it runs: the reference always has a box for it."""
        document = super().openapi()
        document["components"]["securitySchemes"] = {"LF_API_KEY": KEY_SCHEME}
        document["security"] = [{"LF_API_KEY": []}, {}]
        return document


def create_app(settings: Settings, *, engine: OpenEngine = open_engine) -> FastAPI:
    """The API of one process.

    Args:
        engine: opens what the services stand on; tests give one with fakes in it.
    """
    app = _Paddock(
        title="Paddock",
        version=version("paddock"),
        summary="From a folder of files to a cited answer.",
        lifespan=_lifespan(settings, engine),
        redirect_slashes=False,
        docs_url=None,  # FastAPI's own pages load their scripts from elsewhere
        redoc_url=None,
    )
    app.router.routes.extend(_routes())
    app.add_route(REFERENCE_PATH, show_reference, include_in_schema=False)
    app.mount(ASSETS_PATH, page_files())
    app.state.mcp = McpEndpoint(app, settings)
    for path in MCP_PATHS:
        app.add_route(path, app.state.mcp, include_in_schema=False)
    app.state.designer = _designer(app, settings)
    app.router.default = app.state.designer
    install_error_handlers(app)
    _add_middleware(app, settings)
    return app


@cache
def _routes() -> tuple[BaseRoute, ...]:
    """Those of all routers, shared by the apps of a process: FastAPI makes ready what a route needs when it is first
    looked at, which takes a second for all of them."""
    whole = APIRouter(responses=GUARD_RESPONSES)
    for router in ROUTERS:
        whole.include_router(router)
    llamacloud.include_in(whole)
    return tuple(whole.routes)


def _designer(app: FastAPI, settings: Settings) -> DesignerPages:
    """Behind every route, also those that are added later: it answers what none of them does."""
    found = Designer(settings.designer_dist_path, settings.designer_variables)
    routes = [route for router in (app.router, *ROUTERS, *llamacloud.ROUTERS) for route in router.routes]
    return DesignerPages(found, routes, app.router.default)


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """Added innermost first: CORS stands outside of all, so that a browser can read every refusal too."""
    app.add_middleware(BodyGuard, max_body_bytes=settings.max_body_bytes)
    app.add_middleware(ApiKey, is_page=app.state.designer.is_page)
    if settings.api_key is None and settings.host in LOOPBACK_HOSTS:
        app.add_middleware(HostGuard, names=settings.allowed_host_names)
    app.add_middleware(RequestLog)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["*"],
    )


def _keys(engine: Engine) -> KeyRing:
    master = engine.settings.api_key
    return KeyRing(None if master is None else master.get_secret_value(), ApiKeys(engine.database))


def _lifespan(settings: Settings, engine: OpenEngine) -> Lifespan:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        async with engine(settings) as opened, open_services(opened) as services, app.state.mcp.run():
            app.state.services = services
            app.state.keys = _keys(opened)
            log.info("server.started", data_dir=str(settings.data_dir))
            yield
        log.info("server.stopped")

    return lifespan
