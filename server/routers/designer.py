"""Serves a built web app at the root, behind everything else; without one, the root greets as the API does."""

from collections.abc import Iterable
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from server.routing import Router
from server.schemas.health import Hello
from server.services.designer import Designer, is_hidden

ASSETS = "/assets/"
FOREVER = "public, max-age=31536000, immutable"
"""For files with a hash of their content in their name."""
NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}
PAGE_RESPONSES: dict[int | str, dict[str, Any]] = {200: {"content": {"text/html": {"schema": {"type": "string"}}}}}

router = Router(tags=["health"])


@router.head("/", include_in_schema=False)
@router.get("/", operation_id="hello", response_model=Hello, responses=PAGE_RESPONSES)
def say_hello(request: Request) -> Response:
    """Greet; a browser gets the web app, where one is installed."""
    pages: DesignerPages = request.app.state.designer
    return pages.page_for(request.scope) or JSONResponse(Hello().model_dump())


class DesignerPages:
    """What answers where no route does: files of the app, and its page for every path that a browser asks for.

    Args:
        otherwise: answers what is no page: 404.
    """

    def __init__(self, designer: Designer, routes: Iterable[BaseRoute], otherwise: ASGIApp) -> None:
        self._designer = designer
        self._otherwise = otherwise
        self._api_roots = {_root(path) for route in routes if (path := getattr(route, "path", ""))} - {""}
        self._files = None if designer.folder is None else StaticFiles(directory=designer.folder, check_dir=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._response(scope) if self.is_page(scope) else None
        await (response or self._otherwise)(scope, receive, send)

    def is_page(self, scope: Scope) -> bool:
        """Whether this is asked of the app and not of the API: nothing of a project can be behind it."""
        is_reading = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        return is_reading and self._files is not None and _root(_path(scope)) not in self._api_roots

    def page_for(self, scope: Scope) -> Response | None:
        """The page, for a client that reads HTML; None for programs, and when there is no page."""
        if "text/html" not in dict(scope["headers"]).get(b"accept", b"").decode("latin-1").lower():
            return None
        page = self._designer.page()
        if page is None:
            return None
        return Response(page, media_type="text/html", headers={"Cache-Control": "no-cache", **NO_SNIFFING})

    async def _response(self, scope: Scope) -> Response | None:
        path = _path(scope)
        if is_hidden(path):
            return None
        found = await self._file(path, scope)
        if found is None and not path.startswith(ASSETS):
            return self.page_for(scope)
        return found

    async def _file(self, path: str, scope: Scope) -> Response | None:
        if self._files is None or path.rstrip("/") in ("", "/index.html"):  # the page is never sent without its script
            return None
        try:
            response = await self._files.get_response(self._files.get_path(scope), scope)
        except (HTTPException, OSError):
            return None
        response.headers["Cache-Control"] = FOREVER if path.startswith(ASSETS) else "no-cache"
        response.headers.update(NO_SNIFFING)
        return response


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _root(path: str) -> str:
    return path.lstrip("/").partition("/")[0].lower()
