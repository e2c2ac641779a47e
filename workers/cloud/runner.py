"""Claims jobs of one stage and does their step. A message only says that there may be work: the rows are the queue."""

import errno
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog
from billiard.exceptions import SoftTimeLimitExceeded

from rag.errors import CancelledTaskError, RagError, StorageFullError, UpstreamError
from state.cloud.jobs import CloudJob
from workers.cloud.registry import Done, Outcome, step
from workers.runtime import Runtime

UPSTREAM_ATTEMPTS = 5
ASK_THREADS = 8
"""Jobs that wait for language models at once, in the worker that also keeps the others going."""

log = structlog.get_logger(__name__)


def run_next(runtime: Runtime, stage: str) -> bool:
    """Do the step of the next job of this stage; False when none waits."""
    job = runtime.cloud_jobs.claim(stage, runtime.new_owner())
    if job is None:
        return False
    started = time.monotonic()
    bound = {"job_id": job.id, "kind": job.kind, "stage": stage, "project": job.project_id}
    with structlog.contextvars.bound_contextvars(**bound), runtime.cloud_leases.hold(job.id, job.owner):
        _run(runtime, job)
        if job.request.get("hooks"):
            announce(runtime, "ask")
        log.info("job.step_done", duration_s=round(time.monotonic() - started, 3))
    return True


def require_wanted(runtime: Runtime, job: CloudJob) -> None:
    """To be asked now and then by a long step; raises CancelledTaskError."""
    if not runtime.cloud_jobs.is_wanted(job):
        raise CancelledTaskError("cancelled")


def _run(runtime: Runtime, job: CloudJob) -> None:
    try:
        require_wanted(runtime, job)
        _settle(runtime, job, step(job.kind, job.stage)(runtime, job))
    except CancelledTaskError:
        runtime.cloud_jobs.finish(job, "cancelled", result=None, error="cancelled")
    except SoftTimeLimitExceeded:
        limit_s = runtime.settings.parse_timeout_s
        _fail(runtime, job, f"the file took longer than {limit_s:.0f} s to read (LF_PARSE_TIMEOUT_S)")
    except (UpstreamError, StorageFullError) as error:
        _retry_or_fail(runtime, job, error)
    except RagError as error:
        _fail(runtime, job, error.message)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _retry_or_fail(runtime, job, StorageFullError("the disk is full; free space and start the job again"))
        else:
            _fail(runtime, job, f"a file of the data directory cannot be used: {error.strerror}")
    except Exception as error:
        # A bug of ours or of a library: this job fails and says so, the trace goes to the log, others go on.
        _fail(runtime, job, f"unexpected {type(error).__name__} in the {job.stage} step; see the worker's log")
        raise


def _settle(runtime: Runtime, job: CloudJob, outcome: Outcome) -> None:
    if isinstance(outcome, Done):
        if runtime.cloud_jobs.finish(job, outcome.state, result=outcome.result, error=outcome.error):
            outcome.afterwards()
    elif runtime.cloud_jobs.go_on(job, outcome.stage, **outcome.progress):
        announce(runtime, outcome.stage)


def announce(runtime: Runtime, stage: str) -> None:
    """The row is committed: a message that cannot be sent is sent by the sweeper."""
    try:
        runtime.queue.send_jobs(stage, 1)
    except UpstreamError as error:
        log.warning("job.not_announced", stage=stage, error=error.message)


def _fail(runtime: Runtime, job: CloudJob, error: str) -> None:
    runtime.cloud_jobs.finish(job, "failed", result=None, error=error)


def _retry_or_fail(runtime: Runtime, job: CloudJob, error: RagError) -> None:
    if job.attempts + 1 >= UPSTREAM_ATTEMPTS:
        _fail(runtime, job, f"{error.message} (tried {UPSTREAM_ATTEMPTS} times)")
        return
    log.warning("job.upstream_failed", error=error.message, attempt=job.attempts + 1)
    runtime.cloud_jobs.retry_later(job, delay_s=float(2**job.attempts), error=error.message)


class AskPool:
    """Threads that do `ask` steps until none waits. Messages return at once, so that the worker's own threads stay free
    for what keeps the others going; a process that dies loses the leases, and others go on."""

    def __init__(self, size: int = ASK_THREADS) -> None:
        self._size = size
        self._lock = threading.Condition()
        self._busy = 0
        self._pool: ThreadPoolExecutor | None = None

    def wake(self, runtime: Callable[[], Runtime]) -> None:
        with self._lock:
            if self._busy >= self._size:
                return
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._size, thread_name_prefix="ask")
            self._busy += 1
            self._pool.submit(self._drain, runtime)

    def wait(self, timeout_s: float) -> bool:
        """Until nothing is done any more; False when that takes longer."""
        with self._lock:
            return self._lock.wait_for(lambda: self._busy == 0, timeout_s)

    def _drain(self, runtime: Callable[[], Runtime]) -> None:
        try:
            while run_next(runtime(), "ask"):
                pass
        except Exception as error:
            log.exception("job.crashed", exc_info=error)
            raise
        finally:
            with self._lock:
                self._busy -= 1
                self._lock.notify_all()
