"""The file that a job is about: named by its own id, or by that of a parse job which read it."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from rag.errors import InvalidInputError, NotFoundError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.scope import Scope
from state.cloud.objects import CloudObject


@dataclass(frozen=True, slots=True)
class JobInput:
    """`kind` is file_id or parse_job_id."""

    given: str
    kind: str
    file: CloudObject

    @property
    def request(self) -> dict[str, Any]:
        return {
            "file_id": self.file.id,
            "file_hash": self.file.ref,
            "file_name": self.file.name or self.file.id,
            "file_input": self.given,
            "document_input_type": self.kind,
        }


def job_input(cloud: CloudEngine, scope: Scope, given: str) -> JobInput:
    """
    Raises:
        NotFoundError: it is neither a file nor a parse job that may be seen.
        InvalidInputError: the bytes of the file have not arrived.
    """
    with suppress(NotFoundError):
        job = cloud.jobs.get("parse", given, scope.visible)
        file = cloud.objects.get("file", str(job.request.get("file_id")), job.project_id)
        return _whole(JobInput(given, "parse_job_id", file))
    return _whole(JobInput(given, "file_id", cloud.objects.get("file", given, scope.visible)))


def _whole(found: JobInput) -> JobInput:
    if found.file.ref is None:
        raise InvalidInputError(
            f"the bytes of file {found.file.id!r} have not arrived yet; send them to its link first"
        )
    return found
