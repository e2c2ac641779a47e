"""Extraction jobs of the first generation: a job gathers a run for each of its files, in their order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from rag.errors import BadRequestError, ConflictError, NotFoundError
from rag.extraction.wishes import read_wish
from server.llamacloud.engine import CloudEngine
from server.llamacloud.scope import Scope
from server.llamacloud.services.extract_agents import AgentService, config_of
from server.llamacloud.services.extract_jobs import checked_schema, file_job, files_of
from state.cloud.ids import new_id
from state.cloud.job_lists import JobLists
from state.cloud.jobs import CloudJob, JobFilter, NewJob
from state.cloud.objects import CloudObject

JOB, RUN = "extract_run", "extraction"
"""Kinds of job: the one that gathers, and one file's."""
Dialect: TypeAlias = Literal["seed", "client"]
FROM_UI = "from_ui"
"""Marks the runs that were begun from a screen, where an index finds them."""
SEED_WORDS = {
    "waiting": "pending",
    "running": "processing",
    "completed": "completed",
    "partial": "completed",
    "failed": "failed",
    "skipped": "failed",
    "cancelled": "failed",
}
RUN_WORDS = {"waiting": "CREATED", "running": "PENDING", "completed": "SUCCESS", "partial": "SUCCESS"}


@dataclass(frozen=True, slots=True)
class JobWithRuns:
    """`runs` are missing in lists, unless there is one alone; `has_failed`: whether one of them failed."""

    job: CloudJob
    runs: Sequence[CloudJob]
    has_failed: bool = False

    def word(self, *, is_client: bool) -> str:
        """The state, in the words of the published reference or in those of the vendor's clients."""
        if not (is_client or self.job.request["dialect"] == "client"):
            return SEED_WORDS[self.job.state]
        if self.job.state == "completed":
            has_failed = self.has_failed or any(run.state == "failed" for run in self.runs)
            return "PARTIAL_SUCCESS" if has_failed else "SUCCESS"
        return {"failed": "ERROR", "cancelled": "CANCELLED"}.get(self.job.state, "PENDING")

    @property
    def error(self) -> str | None:
        """Of the only run, or how many failed."""
        if self.runs and len(self.job.request["file_ids"]) == 1:
            return self.runs[0].error if self.runs[0].is_final else None
        return self.job.error


class ExtractionService:
    def __init__(self, cloud: CloudEngine, scope: Scope) -> None:
        self._cloud = cloud
        self._scope = scope
        self._agents = AgentService(cloud, scope)
        self._lists = JobLists(cloud.engine.database)

    def start(
        self,
        agent: CloudObject,
        file_ids: Sequence[str],
        dialect: Dialect,
        *,
        schema: Any = None,
        config: Mapping[str, Any] | None = None,
        priority: str | None = None,
        from_ui: bool = False,
        ignored: Sequence[str] = (),
    ) -> JobWithRuns:
        """
        Args:
            schema, config: in the place of the agent's.
            ignored: what was sent besides and has no effect; the results say so.

        Raises:
            BadRequestError: an unknown file, or no file.
            InvalidInputError: the schema or an option is not good.
            UpstreamError: the broker does not answer; nothing was made.
        """
        if not file_ids:
            raise BadRequestError("file_ids is empty: name at least one uploaded file")
        used_schema = checked_schema(schema) or checked_schema(agent.body.get("data_schema"))
        used_config = {key: value for key, value in (config or config_of(agent)).items() if value is not None}
        facts: dict[str, Any] = {"agent_id": agent.id, "from_ui": from_ui, "ignored_options": list(ignored)}
        job_id = new_id(JOB)
        runs = [
            file_job(
                RUN,
                file,
                schema=used_schema,
                config=used_config,
                item_key=agent.id,
                params_hash=FROM_UI if from_ui else None,
                priority=priority,
                **facts,
                job_id=job_id,
            )
            for file in files_of(self._cloud, file_ids, agent.project_id)
        ]
        request = {**facts, "agent": _snapshot(agent), "file_ids": list(file_ids), "dialect": dialect}
        job = self._cloud.start(NewJob(job_id, JOB, agent.project_id, request, item_key=agent.id), runs)
        return JobWithRuns(job, self._cloud.jobs.items(job.id))

    def start_each(
        self,
        agent_id: str,
        file_ids: Sequence[str],
        *,
        schema: Any,
        config: Mapping[str, Any] | None,
        from_ui: bool,
        ignored: Sequence[str] = (),
    ) -> list[JobWithRuns]:
        """A job for each file; none is begun unless every file is there."""
        agent = self.agent(agent_id)
        files_of(self._cloud, file_ids, agent.project_id)
        return [
            self.start(agent, [each], "client", schema=schema, config=config, from_ui=from_ui, ignored=ignored)
            for each in file_ids
        ]

    def agent(self, agent_id: str) -> CloudObject:
        """Raises BadRequestError for one that is not there: it stands in a body."""
        try:
            return self._agents.get(agent_id)
        except NotFoundError as error:
            raise BadRequestError(error.message) from error

    @staticmethod
    def check(config: Mapping[str, Any] | None) -> None:
        """Raises InvalidInputError for an option with an unknown value."""
        read_wish(config or {})

    def job(self, job_id: str) -> JobWithRuns:
        job = self._cloud.jobs.get(JOB, job_id, self._scope.visible)
        return JobWithRuns(job, self._cloud.jobs.items(job.id))

    def jobs(self, agent_id: str, *, skip: int, limit: int) -> list[JobWithRuns]:
        """The newest ones, oldest first."""
        found = self._lists.newest(JOB, self._of(agent_id), limit=limit, skip=skip)
        alone = self._lists.items_of([each.id for each in found if len(each.request["file_ids"]) == 1])
        counts = self._cloud.jobs.counts([each.id for each in found if each.id not in alone])
        return [
            JobWithRuns(each, alone.get(each.id, ()), bool(counts.get(each.id, {}).get("failed"))) for each in found
        ]

    def result(self, job_id: str) -> JobWithRuns:
        """Raises NotFoundError also while the job is under way."""
        found = self.job(job_id)
        if not found.job.is_final:
            raise NotFoundError(f"extraction job {job_id!r} is {SEED_WORDS[found.job.state]}: it has no result yet")
        if not found.runs:
            raise NotFoundError(f"the results of extraction job {job_id!r} were deleted")
        return found

    def run(self, run_id: str) -> CloudJob:
        return self._cloud.jobs.get(RUN, run_id, self._scope.visible)

    def run_of(self, job_id: str) -> CloudJob:
        """Of the first file of a job."""
        found = self.job(job_id)
        if not found.runs:
            raise NotFoundError(f"the runs of extraction job {job_id!r} were deleted")
        return found.runs[0]

    def runs(self, agent_id: str, *, skip: int, limit: int) -> tuple[list[CloudJob], int]:
        return self._cloud.jobs.slice(RUN, self._of(agent_id), limit=limit, offset=skip)

    def latest_from_ui(self, agent_id: str) -> CloudJob | None:
        found = self._lists.newest(RUN, replace(self._of(agent_id), params_hash=FROM_UI), limit=1)
        return found[0] if found else None

    def _of(self, agent_id: str) -> JobFilter:
        agent = self._agents.get(agent_id)
        return JobFilter(project_id=agent.project_id, item_key=agent.id)

    def delete_run(self, run_id: str) -> None:
        """With its job, when it is the only one.

        Raises:
            ConflictError: it is under way.
        """
        run = self.run(run_id)
        if not run.is_final:
            raise ConflictError(f"extraction run {run_id!r} is under way: delete it when it has ended")
        siblings = self._cloud.jobs.items(run.parent_id or "")
        self._cloud.jobs.delete(run.parent_id if run.parent_id and len(siblings) == 1 else run.id)


def _snapshot(agent: CloudObject) -> dict[str, Any]:
    """As it was when the job was made: it may be changed or deleted since."""
    return {
        "id": agent.id,
        "name": agent.name,
        "project_id": agent.project_id,
        "body": agent.body,
        "created_at": agent.created_at,
        "updated_at": agent.updated_at,
    }


def agent_of(job: CloudJob) -> CloudObject:
    held = job.request["agent"]
    return CloudObject(kind="extraction_agent", **held)


def schema_of(run: CloudJob) -> dict[str, Any]:
    """That which was used, or is going to be."""
    return dict((run.result or {}).get("data_schema") or run.request.get("data_schema") or {})


def metadata_of(run: CloudJob) -> dict[str, Any]:
    return dict((run.result or {}).get("metadata") or {"field_metadata": {}})
