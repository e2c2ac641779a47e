"""What a worker has begun for a job and nobody may see yet, beside the files of the project. It goes with the step that
made it; what a process that died has left goes after a day."""

import shutil
import time
from pathlib import Path

from state.cloud.blobs import CloudFiles

FOLDER = "drafts"
ABANDONED_AFTER_S = 86_400.0


def drafts_of(files: CloudFiles) -> Path:
    """The folder of a project's drafts, without the abandoned ones."""
    folder = files.folder(FOLDER)
    drop_abandoned(folder)
    return folder


def drop_abandoned(folder: Path) -> None:
    """Those that nobody will go on with."""
    for each in folder.iterdir():
        try:
            is_old = each.stat().st_mtime < time.time() - ABANDONED_AFTER_S
        except FileNotFoundError:  # its job ended just now
            continue
        if is_old and each.is_dir():
            shutil.rmtree(each, ignore_errors=True)
        elif is_old:
            each.unlink(missing_ok=True)
