"""Fetches the files of one model: a program of its own, so that stopping it stops the download at once.

Reads one JSON object from standard input and writes events to standard output, one JSON object per line. SIGINT
and SIGTERM end it; what was fetched in part is removed.
"""

import json
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from rag.errors import RagError
from rag.model_hub import translated

REPORT_INTERVAL_S = 0.5
STOPPED = 130
CHUNK_BYTES = 1 << 20
"""`huggingface_hub` itself takes ten times as much at once, which shows no progress on a slow line for a while."""

Emit = Callable[[dict[str, Any]], None]


class Progress:
    """Counts the bytes of one file; says so now and then."""

    def __init__(self, emit: Emit, file: str, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._emit = emit
        self._file = file
        self._total = total
        self._clock = clock
        self._started_at = self._told_at = clock()
        self.downloaded = 0

    def add(self, size_bytes: int) -> None:
        self.downloaded += size_bytes
        if self._clock() - self._told_at >= REPORT_INTERVAL_S:
            self.tell()

    def tell(self) -> None:
        self._told_at = self._clock()
        rate = self.downloaded / max(self._told_at - self._started_at, 1e-3)
        left = max(self._total - self.downloaded, 0)
        self._emit(
            {
                "event": "progress",
                "file": self._file,
                "downloaded": self.downloaded,
                "total": self._total,
                "percent": min(100, self.downloaded * 100 // self._total) if self._total else 100,
                "bytes_per_sec": int(rate),
                "eta_seconds": int(left / rate) if rate else 0,
            }
        )


def download(request: dict[str, Any], emit: Emit) -> None:
    """Fetch `files` of `model_id`, one after the other, and the names of their revision.

    Args:
        request: model_id, files [{name, size_bytes}], cache_dir, endpoint, token.

    Raises:
        RagError: the hub or the disk failed.
    """
    from huggingface_hub import hf_hub_download, snapshot_download, try_to_load_from_cache

    model_id, where = request["model_id"], {"cache_dir": request["cache_dir"]}
    access = {**where, "endpoint": request["endpoint"], "token": request["token"] or False}
    with translated(model_id):
        for file in request["files"]:
            name, size = file["name"], file["size_bytes"]
            is_cached = isinstance(try_to_load_from_cache(model_id, name, **where), str)
            if not is_cached:
                emit({"event": "start", "file": name, "total": size, "downloaded": 0})
            progress = Progress(emit, name, size)
            hf_hub_download(model_id, name, tqdm_class=_bar(progress), **access)
            if is_cached and not progress.downloaded:
                emit({"event": "cached", "file": name, "size": size})
                continue
            progress.tell()
            emit({"event": "end", "file": name, "downloaded": size, "total": size})
        # Sees that the files are of one revision, also when the hub got a new one meanwhile.
        names = [file["name"] for file in request["files"]]
        folder = snapshot_download(model_id, allow_patterns=names, **access)
    emit({"event": "complete", "model_name": model_id})
    emit({"event": "done", "local_dir": folder})


def _bar(progress: Progress) -> type[Any]:
    """What `huggingface_hub` takes for a progress bar."""
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *_: object, **options: Any) -> None:
            super().__init__(disable=True, total=options.get("total"))  # type: ignore[no-untyped-call]  # its base is not

        def update(self, n: float | None = 1) -> bool | None:
            progress.add(int(n or 0))
            return None

        def update_transfer(self, n: float | None = 1) -> None:
            """Bytes on the wire; those that are written down are the ones that count."""

    return Bar


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    from huggingface_hub import constants
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()  # those on the terminal; the events are told all the same
    constants.DOWNLOAD_CHUNK_SIZE = CHUNK_BYTES
    try:
        download(json.load(sys.stdin), _write)
    except RagError as error:
        _write({"event": "error", "message": error.message})
        return 1
    except KeyboardInterrupt:
        return STOPPED
    return 0


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def _write(event: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(event)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
