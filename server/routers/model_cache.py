"""The models on this machine, and those that OpenAI's clients may name."""

from typing import Annotated, Any

from fastapi import Path, Query, Request, Response

from server.deps import ModelCacheDep, OpenAIServiceDep
from server.routing import Router
from server.schemas.errors import ERROR_RESPONSES, ErrorBody
from server.schemas.model_cache import (
    DOWNLOAD_RESPONSES,
    MAX_NAME_CHARS,
    CachedModelEntry,
    DownloadCheck,
    DownloadRequest,
    ModelCatalog,
    ModelDeleted,
    Provider,
    QuantizationList,
    ValidateRequest,
)
from server.schemas.openai import ModelCard
from server.sse import EventStream

BUSY: dict[int | str, dict[str, Any]] = {429: {"model": ErrorBody, "description": "Too many downloads are under way."}}
ProviderQuery = Annotated[
    Provider, Query(description="Who keeps the models: `universal` is Hugging Face's cache on this machine.")
]
ModelName = Annotated[str, Path(max_length=MAX_NAME_CHARS, description="May hold slashes.")]

router = Router(prefix="/v1/models", tags=["model cache"], responses=ERROR_RESPONSES)


@router.get("", operation_id="cached_models_list")
@router.get("/", include_in_schema=False)
async def list_models(
    request: Request,
    cache: ModelCacheDep,
    openai: OpenAIServiceDep,
    provider: Annotated[Provider | None, Query(description="Default: `universal`.")] = None,
) -> ModelCatalog:
    """List the models on this machine.

    A client of OpenAI's API (it sends `Authorization`, `X-Stainless-…` or `OpenAI-…` headers, and no `provider`) gets
    the models that it can name first: `namespace/project` and `namespace/project/model`.
    """
    cards = await openai.cards() if provider is None and _is_openai_client(request) else []
    return ModelCatalog(data=[*cards, *await cache.list(provider or "universal")])


@router.post(
    "/download", operation_id="model_download", response_class=Response, responses={**DOWNLOAD_RESPONSES, **BUSY}
)
async def download_model(body: DownloadRequest, cache: ModelCacheDep) -> Response:
    """Download a model to this machine and tell how far it is, as server-sent events.

    Leaving stops the download. `ollama` pulls through Ollama.
    """
    return EventStream(await cache.download(body.provider, body.model_name))


@router.post("/validate-download", operation_id="model_validate_download")
async def validate_download(body: ValidateRequest, cache: ModelCacheDep) -> DownloadCheck:
    """Say whether a model from the hub would fit on the disk.

    With `ollama`, which tells no size before, what a pull would do.
    """
    return await cache.validate(body.provider, body.model_name)


@router.get("/{model_name:path}/quantizations", operation_id="model_quantizations")
async def list_quantizations(model_name: ModelName, cache: ModelCacheDep) -> QuantizationList:
    """List the GGUF variants that the hub has of a model, smallest first."""
    return await cache.quantizations(model_name)


@router.get("/{model_name:path}", operation_id="cached_model_get")
async def get_model(model_name: ModelName, openai: OpenAIServiceDep) -> CachedModelEntry | ModelCard:
    """Get one model by its id, as OpenAI's endpoint of that name does: a project's, or one on this machine."""
    return await openai.card(model_name)


@router.delete("/{model_name:path}", operation_id="cached_model_delete")
async def delete_model(
    model_name: ModelName, cache: ModelCacheDep, provider: ProviderQuery = "universal"
) -> ModelDeleted:
    """Delete a model from this machine, with all its revisions."""
    return await cache.delete(provider, model_name)


def _is_openai_client(request: Request) -> bool:
    return any(name == "authorization" or name.startswith(("x-stainless-", "openai-")) for name in request.headers)
