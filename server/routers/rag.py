"""Queries."""

from server.deps import RagServiceDep
from server.routing import Router
from server.schemas.errors import ERROR_RESPONSES
from server.schemas.rag import RagAnswer, RagQuery

router = Router(prefix="/v1/projects/{namespace}/{project}/rag", tags=["rag", "mcp"], responses=ERROR_RESPONSES)


@router.post("/query", operation_id="rag_query", response_model_exclude_none=True)
async def query(namespace: str, project: str, body: RagQuery, rag: RagServiceDep) -> RagAnswer:
    """Search a project's files: the passages that fit a question best, with source, page and score.

    Nothing is generated; `chat_completions` lets the project's model answer from such passages. `metadata_filters`
    narrows by what files carry, for example `{"filename": "handbook.md"}`.
    """
    return await rag.query(namespace, project, body)
