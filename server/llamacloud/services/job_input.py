"""The file that a job is about, named by its own id or by that of a parse job which read it; and its pages."""

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from rag.errors import InvalidInputError, NotFoundError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.scope import Scope
from state.cloud.objects import CloudObject

_RANGE = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")
MAX_PAGES = 100_000
MAX_RANGE_PAGES = 10_000


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


def read_pages(text: str) -> list[int]:
    """`1,3-5` → 0, 2, 3, 4; raises InvalidInputError."""
    found: set[int] = set()
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= last <= MAX_PAGES or last - first >= MAX_RANGE_PAGES:
            raise InvalidInputError(f"target_pages {text[:60]!r}: expected pages and ranges such as '1,3-5', from 1")
        found.update(range(first - 1, last))
    return sorted(found)
