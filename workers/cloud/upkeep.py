"""What the LlamaCloud side keeps of things that are no more: ended jobs, their results, bytes, and texts of files."""

import time
from functools import partial

import structlog

from config.loader import ProjectStore
from rag.errors import OverloadedError
from state.cloud.blobs import CloudFiles
from state.cloud.collections import DROP, Collections
from state.cloud.projects import CloudProjects
from state.cloud.retention import forget_ended, known_jobs
from state.cloud.shelf import FileShelf
from workers.cloud.runner import announce
from workers.runtime import Runtime

log = structlog.get_logger(__name__)

LEFT_ALONE_S = 3_600.0
"""A folder of results that was changed within an hour may have somebody at it."""


def tidy_cloud(runtime: Runtime, kept_s: float) -> dict[str, int]:
    """
    Args:
        kept_s: how long a job stays after its end.

    Returns:
        How many things of each kind went.
    """
    gone = {"cloud_jobs": forget_ended(runtime.database, time.time() - kept_s)}
    if again := runtime.cloud_jobs.try_failed_again(DROP):
        log.warning("drop.tried_again", jobs=again)
        announce(runtime, "ask")
    gone |= {"cloud_results": 0, "cloud_files": 0, "cloud_texts": 0}
    objects = Collections(runtime.database).objects
    for project_id in CloudProjects(ProjectStore(runtime.settings)).ids():
        files = CloudFiles.of(runtime.settings, project_id)
        if not files.root.is_dir():
            continue
        gone["cloud_results"] += files.sweep_jobs(LEFT_ALONE_S, partial(known_jobs, runtime.database))
        try:
            gone["cloud_files"] += FileShelf(objects, files, project_id).sweep()
        except OverloadedError as error:  # tomorrow is early enough
            log.warning("cloud_files.left", project=project_id, error=error.message)
        gone["cloud_texts"] += files.sweep_parsed()
    return gone
