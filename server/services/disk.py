"""How full the disks are, and what a download may take of them."""

import shutil
from pathlib import Path

from server.schemas.model_cache import DiskUsage

RESERVE_BYTES = 500_000_000
"""Stays free whatever is downloaded: the state, uploads and logs need it."""
LOW_SHARE = 0.1


def disk_usage(path: Path) -> DiskUsage:
    """Of the file system that `path` lies on, or will lie on."""
    existing = next(each for each in (path, *path.parents) if each.exists())
    total, used, free = shutil.disk_usage(existing)
    return DiskUsage(
        total_bytes=total,
        used_bytes=used,
        free_bytes=free,
        path=str(path),
        percent_free=round(free * 100 / total, 1) if total else 0.0,
    )
