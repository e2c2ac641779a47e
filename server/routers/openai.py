"""OpenAI's API at the root, for clients that know a base URL and a model, and nothing of projects."""

from typing import Annotated

from fastapi import Header, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from server.access import require_model
from server.deps import ChatServiceDep, EmbeddingServiceDep, KeyScopeDep, OpenAIServiceDep
from server.routers.chat import CHAT_RESPONSES, CLIENT_LEFT, complete_chat, unless_left
from server.routing import Router
from server.schemas.chat import ChatRequest
from server.schemas.embeddings import EmbeddingAnswer, EmbeddingRequest
from server.schemas.errors import ERROR_RESPONSES

router = Router(prefix="/v1", tags=["openai"], responses=ERROR_RESPONSES)


@router.post(
    "/chat/completions", operation_id="openai_chat_completions", response_class=JSONResponse, responses=CHAT_RESPONSES
)
async def complete_openai_chat(
    body: ChatRequest,
    request: Request,
    chat: ChatServiceDep,
    openai: OpenAIServiceDep,
    key: KeyScopeDep,
    x_session_id: Annotated[str | None, Header(description="Continue, or begin, this session.")] = None,
    x_no_session: Annotated[str | None, Header(description="Present, whatever its value: remember nothing.")] = None,
    x_active_project: Annotated[str | None, Header(description="namespace/project; for the assistant's chat.")] = None,
) -> Response:
    """Answer a conversation with a project, named as `model`: `namespace/project` or `namespace/project/model`.

    All else is as in the chat of that project.
    """
    require_model(key, body.model)
    project, model = await run_in_threadpool(openai.chat_target, body.model, key.allows)
    asked = body.model_copy(update={"model": model})
    return await complete_chat(
        body=asked,
        request=request,
        project=project,
        chat=chat,
        x_session_id=x_session_id,
        x_no_session=x_no_session,
        x_active_project=x_active_project,
    )


@router.post(
    "/embeddings",
    operation_id="openai_embeddings",
    response_class=JSONResponse,
    responses={200: {"model": EmbeddingAnswer}},
)
async def create_embeddings(
    body: EmbeddingRequest, request: Request, embeddings: EmbeddingServiceDep, key: KeyScopeDep
) -> Response:
    """Turn texts into vectors: with a project's embedder, or with an embedding model on this machine."""
    require_model(key, body.model)
    content = await unless_left(request, embeddings.embed(body))
    if content is None:
        return Response(status_code=CLIENT_LEFT)
    return Response(content, media_type="application/json")
