"""What every list of jobs is narrowed by: the project, the state in the product's own words, ids, and when it began."""

from collections.abc import Collection, Mapping
from datetime import datetime

from server.llamacloud.schemas.text import FirstStatus
from server.llamacloud.scope import Scope
from server.llamacloud.times import seconds_of
from state.cloud.jobs import JobFilter, JobState

FIRST_WORDS: Mapping[JobState, FirstStatus] = {
    "waiting": "PENDING",
    "running": "PENDING",
    "completed": "SUCCESS",
    "partial": "PARTIAL_SUCCESS",
    "failed": "ERROR",
    "skipped": "ERROR",
    "cancelled": "CANCELLED",
}
"""Of products of the first generation."""
Created = tuple[datetime | None, datetime | None]
"""Not before and not after."""


def jobs_of(
    scope: Scope,
    words: Mapping[JobState, str],
    status: str | None,
    *,
    job_ids: Collection[str] | None = None,
    created: Created = (None, None),
    item_key: str | None = None,
    params_hash: str | None = None,
) -> JobFilter:
    """
    Args:
        words: state → what the product calls it; `status` is one of those. None does not narrow, here and below.
        job_ids: of these alone.
        item_key, params_hash: as the jobs have them.
    """
    return JobFilter(
        project_id=scope.project_id,
        states=None if status is None else tuple(state for state, word in words.items() if word == status),
        ids=None if job_ids is None else tuple(job_ids),
        item_key=item_key,
        params_hash=params_hash,
        created_from=seconds_of(created[0]),
        created_to=seconds_of(created[1]),
    )
