"""Finds what was lost. The queue can be rebuilt from SQL at any time, also after the broker lost everything."""

import structlog

from state.task_states import STAGES, Stage
from workers.cloud.schedule import start_due_syncs
from workers.runtime import Runtime

log = structlog.get_logger(__name__)

MESSAGE_GRACE_S = 3.0
"""A file for which a message was sent this recently is not looked at: the message may be on its way."""
MAX_WOKEN = 64
"""Messages that one sweep sends for the jobs of a stage, at most."""
MAX_DIRTY = 100
"""Tasks that one sweep has cleaned up again, at most."""


def sweep(runtime: Runtime) -> None:
    """Take over what silent workers held, send lost messages again, end tasks that were left open."""
    taken_over = runtime.tasks.take_over_expired()
    open_tasks, dirty_tasks = runtime.tasks.unfinished_business()
    ended = [task_id for task_id in open_tasks if runtime.tasks.finish_if_done(task_id)]
    sent = {stage: _send_lost(runtime, stage) for stage in STAGES}
    _send_finish(runtime, ended, dirty_tasks)
    start_due_syncs(runtime)
    jobs = _sweep_jobs(runtime)
    if taken_over or any(sent.values()) or ended or jobs:
        log.info("sweep.done", taken_over=taken_over, sent=sent, ended=len(ended), dirty=len(dirty_tasks), jobs=jobs)


def _sweep_jobs(runtime: Runtime) -> dict[str, int]:
    """Stage → messages sent for jobs that wait although their queue is empty, as for files."""
    runtime.cloud_jobs.take_over_expired()
    sent = {}
    for stage, count in runtime.cloud_jobs.due().items():
        if runtime.queue.depth("default" if stage == "ask" else stage) == 0:
            sent[stage] = min(count, MAX_WOKEN)
            runtime.queue.send_jobs(stage, sent[stage])
    return sent


def _send_finish(runtime: Runtime, ended: list[str], dirty_tasks: list[str]) -> None:
    """While a store is down, tasks stay dirty: their messages are not piled up on those of the sweep before."""
    for task_id in ended:
        runtime.queue.send("finish", task_id)
    if dirty_tasks and runtime.queue.depth("default") == 0:
        for task_id in dirty_tasks[:MAX_DIRTY]:
            runtime.queue.send("finish", task_id)


def _send_lost(runtime: Runtime, stage: Stage) -> int:
    """Files wait although their queue is empty: their messages are gone (or were never sent).

    Those of a retry are sent once whatever waits before them: the message that they had was used up.
    """
    due = runtime.tasks.due(stage, idle_s=MESSAGE_GRACE_S)
    if not due or runtime.queue.depth(stage) > 0:
        due = runtime.tasks.due_again(stage)
    if not due:
        return 0
    runtime.queue.send_stage(stage, due)
    runtime.tasks.mark_enqueued(due)
    return len(due)
