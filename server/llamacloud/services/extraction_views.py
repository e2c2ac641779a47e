"""Agents, jobs, results and runs as they are answered."""

from typing import Any, Literal, cast

from server.llamacloud.schemas.extraction import (
    AgentView,
    ExtractedFile,
    FileResult,
    JobView,
    ResultView,
    RunView,
)
from server.llamacloud.services.extract_agents import config_of
from server.llamacloud.services.extraction import RUN_WORDS, JobWithRuns, agent_of, metadata_of, schema_of
from server.llamacloud.times import maybe_stamp, stamp
from state.cloud.jobs import CloudJob
from state.cloud.objects import CloudObject


def agent_view(agent: CloudObject) -> AgentView:
    body = agent.body
    return AgentView(
        id=agent.id,
        name=agent.name or agent.id,
        project_id=agent.project_id,
        data_schema=body.get("data_schema") or {},
        description=body.get("description"),
        prompt=body.get("prompt"),
        config=config_of(agent),
        custom_configuration=body.get("custom_configuration"),
        created_at=stamp(agent.created_at),
        updated_at=stamp(agent.updated_at),
    )


def job_view(found: JobWithRuns, *, is_client: bool) -> JobView:
    job, ids = found.job, list(found.job.request["file_ids"])
    only = found.runs[0] if len(ids) == 1 and found.runs else None
    return JobView(
        id=job.id,
        extraction_agent_id=job.request["agent_id"],
        status=cast("Any", found.word(is_client=is_client)),
        file_ids=ids,
        created_at=stamp(job.created_at),
        completed_at=maybe_stamp(job.finished_at),
        updated_at=stamp(job.updated_at),
        project_id=job.project_id,
        extraction_agent=agent_view(agent_of(job)),
        file=None if only is None else ExtractedFile(**only.request["file"]),
        file_id=ids[0] if len(ids) == 1 else None,
        error=found.error,
    )


def result_view(found: JobWithRuns) -> ResultView:
    runs, count = found.runs, len(found.job.request["file_ids"])
    about: dict[str, Any]
    if count == 1:
        about = metadata_of(runs[0])
    else:
        about = {
            "field_metadata": {},
            "files": [{"file_id": each.request["file_id"], **metadata_of(each)} for each in runs],
        }
    data: list[Any] = [None] * count
    for each in runs:
        data[each.position] = (each.result or {}).get("data")
    return ResultView(
        job_id=found.job.id,
        results=[_file_result(each) for each in runs],
        run_id=runs[0].id,
        extraction_agent_id=found.job.request["agent_id"],
        data=data[0] if count == 1 else data,
        extraction_metadata=about,
    )


def run_view(run: CloudJob) -> RunView:
    status = RUN_WORDS.get(run.state, "ERROR")
    return RunView(
        id=run.id,
        job_id=run.parent_id or run.request["job_id"],
        extraction_agent_id=run.request["agent_id"],
        project_id=run.project_id,
        data_schema=schema_of(run),
        config=run.request["config"],
        status=cast("Literal['CREATED', 'PENDING', 'SUCCESS', 'ERROR']", status),
        from_ui=run.request["from_ui"],
        data=(run.result or {}).get("data"),
        extraction_metadata=None if run.result is None else metadata_of(run),
        error=run.error if run.is_final else None,
        file=ExtractedFile(**run.request["file"]),
        file_id=run.request["file_id"],
        created_at=stamp(run.created_at),
        updated_at=stamp(run.updated_at),
    )


def _file_result(run: CloudJob) -> FileResult:
    is_good = run.state in ("completed", "partial")
    return FileResult(
        file_id=run.request["file_id"],
        file_name=run.request["file_name"],
        data=(run.result or {}).get("data") if is_good else {},
        status="success" if is_good else "error",
        error=None if is_good else run.error,
        extraction_metadata=metadata_of(run),
    )
