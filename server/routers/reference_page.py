"""`/docs`: the reference of the API as a page. All it loads comes from this server, so that it works offline."""

from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

PATH = "/docs"
ASSETS_PATH = f"{PATH}/assets"
POLICY = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
"""Whatever the page's scripts may try, the browser asks nobody else."""


def page_files() -> StaticFiles:
    """Swagger UI, out of a package that carries it; none of its code is imported."""
    return StaticFiles(packages=[("fastapi_offline", "static")])


async def show_reference(request: Request) -> Response:
    root = request.scope.get("root_path", "").rstrip("/")
    page = get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title=f"{request.app.title} – API reference",
        swagger_js_url=f"{root}{ASSETS_PATH}/swagger-ui-bundle.js",
        swagger_css_url=f"{root}{ASSETS_PATH}/swagger-ui.css",
        swagger_favicon_url="data:,",
        swagger_ui_parameters={"validatorUrl": None, "persistAuthorization": False},
    )
    page.headers["Content-Security-Policy"] = POLICY
    return page
