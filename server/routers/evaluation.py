"""Evaluations: which way to search and to cut finds most, measured on a project's own files."""

from typing import Any

from fastapi import Request

from server.deps import EvaluationServiceDep, RequestIdDep
from server.routing import Router
from server.schemas.errors import CONFLICT_RESPONSES, ERROR_RESPONSES, TOO_LARGE_RESPONSES
from server.schemas.evaluation import EvaluationRequest, EvaluationStarted

BUSY_RESPONSES: dict[int | str, dict[str, Any]] = {429: CONFLICT_RESPONSES[429], 413: TOO_LARGE_RESPONSES[413]}

router = Router(prefix="/v1/projects/{namespace}/{project}/rag", tags=["rag"], responses=ERROR_RESPONSES)


@router.post("/evaluate", operation_id="rag_evaluate", status_code=202, responses=BUSY_RESPONSES)
def evaluate(
    namespace: str,
    project: str,
    body: EvaluationRequest,
    request: Request,
    request_id: RequestIdDep,
    evaluations: EvaluationServiceDep,
) -> EvaluationStarted:
    """Ask questions whose answers are known of several strategies and chunkings, and recommend one of them.

    A task does it: poll `task_uri` until `state` is `SUCCESS`; `result` then has a line per configuration with nDCG@10,
    recall, hit rate, MRR and latency, the questions that went worst, and a recommendation as YAML. Nothing that is
    stored is changed.
    """
    task_id, questions, configurations = evaluations.start(namespace, project, body, request_id)
    return EvaluationStarted(
        task_uri=f"{request.base_url}v1/projects/{namespace}/{project}/tasks/{task_id}",
        task_id=task_id,
        question_count=questions,
        configuration_count=configurations,
    )
