"""Schemas that are made of a wish, a draft or an example document."""

import time
from collections.abc import Callable

from rag.errors import BadRequestError, UpstreamError
from rag.extraction.schemas import Schema
from server.llamacloud.engine import CloudEngine
from server.llamacloud.scope import Scope
from server.llamacloud.services.extract_agents import AgentService
from server.llamacloud.services.extract_jobs import checked_schema, file_job, files_of

KIND = "extract_schema"
WAIT_S = 50.0
POLL_S = 0.2


class SchemaService:
    def __init__(self, cloud: CloudEngine, scope: Scope, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._cloud = cloud
        self._scope = scope
        self._sleep = sleep

    def generate(self, *, prompt: str | None, file_id: str | None, draft: object) -> Schema:
        """
        Raises:
            BadRequestError: nothing to go by, no such file, or no model that writes.
            UpstreamError: the model's server failed, or the work takes longer than a client waits.
        """
        checked = checked_schema(draft)
        if file_id is not None:
            return self._from_file(file_id, prompt, checked)
        if not prompt:
            if checked is None:
                raise BadRequestError("give a prompt, a file_id or a data_schema that a schema can be made from")
            return checked
        return AgentService(self._cloud, self._scope).suggest(prompt=prompt, draft=checked)

    def _from_file(self, file_id: str, prompt: str | None, draft: Schema | None) -> Schema:
        """Files are opened by the workers alone, so this is a job that is waited for."""
        (file,) = files_of(self._cloud, [file_id], self._scope.project_id)
        new = file_job(KIND, file, schema=draft, config={}, item_key=file.id, priority="high", prompt=prompt)
        job = self._cloud.start(new)
        ends_at = time.monotonic() + WAIT_S
        while not job.is_final:
            if time.monotonic() > ends_at:
                raise UpstreamError("the schema takes longer than a request may; try again, the text is kept")
            self._sleep(POLL_S)
            job = self._cloud.jobs.get(KIND, job.id)
        if job.result is None:
            raise BadRequestError(f"no schema could be made: {job.error}")
        return dict(job.result["data_schema"])
