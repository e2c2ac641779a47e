"""What the hosted service has and this server does not: answered with 501 and a sentence, whatever the method."""

from fastapi import Request, Response

from server.errors import error_response
from server.routing import Router

router = Router(prefix="/api", tags=["out of scope"], include_in_schema=False)

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
NO_RETRIEVERS = "retrievers over several pipelines are not built; retrieve from each pipeline, or chat over indexes"
NO_SINKS = "data sinks are not built: vectors stay in this server's own store"
NO_REGISTRY = "the registry of webhooks is not built; give webhook_url with a job instead"
NO_PICTURES = "pictures of pages are not made; parse the file for its text"
NO_PDFS = "PDFs are not made of a parsed file; download the file itself by its id"
NO_IMAGES = "pictures of a file are not kept; download the file itself by its id"
NO_METERS = "usage is not metered here"
INSTEAD = {
    "/v1/retrievers": NO_RETRIEVERS,
    "/v1/beta/retrievers": NO_RETRIEVERS,
    "/v1/data-sinks": NO_SINKS,
    "/v1/beta/data-sinks": NO_SINKS,
    "/v1/beta/webhook-configs": NO_REGISTRY,
    "/v2/webhook-configs": NO_REGISTRY,
    "/v1/files/{file_id}/page_screenshots": NO_PICTURES,
    "/v1/files/{file_id}/page-figures": NO_PICTURES,
    "/v1/beta/usage-metrics": NO_METERS,
    "/v1/organizations/{organization_id}/usage": NO_METERS,
    "/alpha": "what the vendor calls alpha, such as verify, is not built",
    "/v1/embedding-model-configs": "the embedding model of a pipeline stands in its embedding_config",
    "/v1/beta/parse-configurations": "configurations of parsing are saved by POST /api/v1/beta/configurations",
    **{
        f"{prefix}/parsing/job/{{job_id}}/result/{rest}": reason
        for prefix in ("", "/v1")
        for rest, reason in (("pdf", NO_PDFS), ("raw/pdf", NO_PDFS), ("image", NO_IMAGES), ("images", NO_IMAGES))
    },
    "/v1/beta/directory-sync-jobs": "directories have no sources to be synced with; sync the index instead",
}
"""Path below /api, and all below it → what to do instead."""


async def _refuse(request: Request) -> Response:
    route = request.scope["route"].path.removeprefix("/api").removesuffix("/{rest:path}")
    return error_response(501, "NotImplemented", f"{INSTEAD[route]} (docs/llamacloud.md says what there is)")


for each in INSTEAD:
    router.add_api_route(each, _refuse, methods=METHODS)
    router.add_api_route(f"{each}/{{rest:path}}", _refuse, methods=METHODS)
