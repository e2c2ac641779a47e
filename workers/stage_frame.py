"""What every stage of a file does alike: lease the row, turn errors into its next state, announce the end of a task."""

import errno
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import structlog
from billiard.exceptions import SoftTimeLimitExceeded

from config.layout import DatasetPaths, ProjectPaths
from config.overrides import OVERRIDES, overridden
from config.processing import FORCED, ProcessingPlan, forced
from rag.errors import CancelledTaskError, EmbeddingError, RagError, StorageFullError, UpstreamError
from state.task_rows import ClaimedFile
from state.task_states import Stage
from workers.runtime import Runtime

log = structlog.get_logger(__name__)

UPSTREAM_ATTEMPTS = 7
"""Tries before a file fails because a server behind it does; with the delays below that is about two minutes."""
BAD_VECTOR_ATTEMPTS = 2
REPORT_INTERVAL_S = 0.5


def run_stage(runtime: Runtime, file_id: int, stage: Stage, work: Callable[[Runtime, ClaimedFile], None]) -> None:
    claimed = runtime.tasks.claim(file_id, stage, runtime.new_owner())
    if claimed is None:
        log.info("stage.not_mine", stage=stage, file_id=file_id)
        return
    started = time.monotonic()
    with _bound(claimed, stage), runtime.leases.hold(file_id, claimed.owner):
        try:
            _refuse_if_cancelled(claimed)
            work(runtime, claimed)
        except CancelledTaskError:
            _end_cancelled(runtime, claimed)
        except SoftTimeLimitExceeded:
            limit_s = runtime.settings.parse_timeout_s
            error = f"'{claimed.filename}' took longer than {limit_s:.0f} s to parse (LF_PARSE_TIMEOUT_S)"
            _fail(runtime, claimed, error, "timeout")
        except (UpstreamError, StorageFullError) as error:
            _retry_or_fail(runtime, claimed, stage, error)
        except RagError as error:
            _fail(runtime, claimed, error.message, error.code)
        except OSError as error:
            _storage_failed(runtime, claimed, stage, error)
        except Exception as error:
            # A bug of ours or of a library: this file fails and says so, the trace goes to the log, others go on.
            message = (
                f"unexpected {type(error).__name__} in the {stage} stage of '{claimed.filename}'; see the worker's log"
            )
            _fail(runtime, claimed, message, "internal")
            _end_task(runtime, claimed.task_id)
            raise
        log.info("stage.done", duration_s=round(time.monotonic() - started, 3))
        _end_task(runtime, claimed.task_id)


def _fail(runtime: Runtime, claimed: ClaimedFile, error: str, reason: str) -> None:
    runtime.tasks.end(claimed.id, claimed.owner, "failed", error=error, reason=reason, trace=claimed.trace)


def give_up(runtime: Runtime, claimed: ClaimedFile) -> None:
    """What is left to do for a cancelled file when the process that holds it is about to end."""
    _end_cancelled(runtime, claimed)
    _end_task(runtime, claimed.task_id)


def _end_cancelled(runtime: Runtime, claimed: ClaimedFile) -> None:
    runtime.tasks.end(claimed.id, claimed.owner, "cancelled", error="Task cancelled", reason="cancelled")


def _refuse_if_cancelled(claimed: ClaimedFile) -> None:
    if claimed.is_cancelled:
        raise CancelledTaskError("Task cancelled")


def require_wanted(runtime: Runtime, claimed: ClaimedFile) -> None:
    """To be asked right before what cannot be taken back; raises CancelledTaskError, also when the lease is lost."""
    if not runtime.tasks.is_wanted(claimed.id, claimed.owner):
        raise CancelledTaskError("Task cancelled")


def _bound(claimed: ClaimedFile, stage: Stage) -> AbstractContextManager[object]:
    return structlog.contextvars.bound_contextvars(
        stage=stage,
        task_id=claimed.task_id,
        namespace=claimed.namespace,
        project=claimed.project,
        file_hash=claimed.file_hash[:16],
        request_id=claimed.request_id,
    )


def _end_task(runtime: Runtime, task_id: str) -> None:
    if not runtime.tasks.finish_if_done(task_id):
        return
    log.info("task.done", task_id=task_id)
    try:
        runtime.queue.send("finish", task_id)
    except UpstreamError as error:
        log.warning("task.finish_not_sent", error=error.message)  # the sweeper sends it


def _retry_or_fail(runtime: Runtime, claimed: ClaimedFile, stage: Stage, error: RagError) -> None:
    attempt_limit = BAD_VECTOR_ATTEMPTS if isinstance(error, EmbeddingError) else UPSTREAM_ATTEMPTS
    if claimed.attempts + 1 >= attempt_limit:
        message = f"{error.message} (tried {attempt_limit} times)"
        _fail(runtime, claimed, message, error.code)
        return
    delay_s = float(2**claimed.attempts)
    log.warning("stage.upstream_failed", error=error.message, attempt=claimed.attempts + 1, retry_in_s=delay_s)
    runtime.tasks.retry_later(claimed.id, claimed.owner, stage, delay_s=delay_s, error=error.message)


def _storage_failed(runtime: Runtime, claimed: ClaimedFile, stage: Stage, error: OSError) -> None:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        _retry_or_fail(runtime, claimed, stage, StorageFullError("the disk is full; free space and process again"))
        return
    message = f"'{claimed.filename}' cannot be read from the data directory: {error.strerror}"
    _fail(runtime, claimed, message, "storage")


class Reporter:
    """Writes progress now and then; the same look finds out that the task was cancelled."""

    def __init__(self, runtime: Runtime, claimed: ClaimedFile) -> None:
        self._runtime = runtime
        self._claimed = claimed
        self._last = time.monotonic()

    def parsed(self, done: int, total: int | None) -> None:
        self._report(units_done=done, units_total=total)

    def written(self, done: int) -> None:
        self._report(stored_count=done)

    def _report(self, **values: int | None) -> None:
        if time.monotonic() - self._last < REPORT_INTERVAL_S:
            return
        self._last = time.monotonic()
        if not self._runtime.tasks.report(self._claimed.id, self._claimed.owner, **values):
            raise CancelledTaskError("Task cancelled")


def plan_of(runtime: Runtime, claimed: ClaimedFile) -> ProcessingPlan:
    config = runtime.config_of(claimed)
    strategy = overridden(config.strategy(claimed.strategy), claimed.details.get(OVERRIDES, {}))
    return runtime.assembly.plan_of(strategy, config.database(claimed.database))


def generation_of(claimed: ClaimedFile, plan: ProcessingPlan) -> str:
    """As the plan of this version names it, with the mark of a task that is to write it anew."""
    _, forced_mark, mark = claimed.generation.partition(FORCED)
    return forced(plan.generation(claimed.file_hash), mark) if forced_mark else plan.generation(claimed.file_hash)


def dataset_of(runtime: Runtime, claimed: ClaimedFile) -> DatasetPaths:
    return ProjectPaths.of(runtime.settings, claimed.namespace, claimed.project).dataset(claimed.dataset)
