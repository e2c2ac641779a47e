"""Sends files to a dataset: several at once, each streamed from disk, every outcome kept."""

import io
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from cli.client.api import Api
from cli.errors import ApiError, CliError, NotReachableError

TRIES = 4
RETRY_S = 1.0
RETRIED_STATUS = frozenset({429, 503})
MAX_BULK_FILES = 100
MAX_BULK_BYTES = 200_000_000

Progress = Callable[[int], None]
"""Told of every so many bytes sent; a negative count takes back what is sent again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file; `skipped`: the dataset had these bytes already."""

    path: str
    status: Literal["uploaded", "skipped", "failed"]
    hash: str | None = None
    error: str | None = None
    task_id: str | None = None

    def document(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value is not None}


class StoppedError(CliError):
    """The upload was given up while a file was being read."""


class _CountedFile(io.FileIO):
    def __init__(self, path: Path, on_progress: Progress, stopped: threading.Event) -> None:
        super().__init__(path, "rb")
        self._on_progress = on_progress
        self._stopped = stopped

    def read(self, size: int | None = -1, /) -> bytes:
        if self._stopped.is_set():
            raise StoppedError("stopped")
        content = super().read(-1 if size is None else size)
        self._on_progress(len(content))
        return content


class Uploader:
    """Several threads share one; `stop` makes those that are sending give up."""

    def __init__(self, api: Api, dataset_path: str, *, params: dict[str, Any], form: dict[str, str]) -> None:
        self._api = api
        self._path = dataset_path
        self._params = params
        self._form = form
        self._stopped = threading.Event()

    def upload(self, paths: Sequence[Path], *, concurrency: int, on_progress: Progress) -> Iterator[Outcome]:
        """One outcome per file, in the order in which they end."""
        yield from self._each([[path] for path in paths], self._one, concurrency, on_progress)

    def upload_bulk(self, paths: Sequence[Path], *, concurrency: int, on_progress: Progress) -> Iterator[Outcome]:
        """Many files in one request."""
        yield from self._each(list(_batches(paths)), self._many, concurrency, on_progress)

    def _each(
        self,
        batches: list[list[Path]],
        send: Callable[[list[Path], Progress], list[Outcome]],
        concurrency: int,
        on_progress: Progress,
    ) -> Iterator[Outcome]:
        todo: queue.SimpleQueue[list[Path]] = queue.SimpleQueue()
        ended: queue.SimpleQueue[list[Outcome] | BaseException] = queue.SimpleQueue()
        for batch in batches:
            todo.put(batch)

        def work() -> None:
            while not self._stopped.is_set():
                try:
                    ended.put(send(todo.get_nowait(), on_progress))
                except queue.Empty:
                    return
                except BaseException as error:  # noqa: BLE001  # raised by who waits, below
                    ended.put(error)
                    return

        # Daemons: Ctrl-C need not wait for what the server has not answered yet.
        for _ in range(min(concurrency, len(batches))):
            threading.Thread(target=work, daemon=True).start()
        try:
            for _ in batches:
                outcomes = ended.get()
                if isinstance(outcomes, BaseException):
                    raise outcomes
                yield from outcomes
        finally:
            self._stopped.set()

    def _one(self, batch: list[Path], on_progress: Progress) -> list[Outcome]:
        (path,) = batch
        try:
            body = self._send(batch, f"{self._path}/data", "file", on_progress)
        except NotReachableError:
            raise
        except (OSError, CliError) as error:
            return [Outcome(str(path), "failed", error=_reason(error))]
        status: Literal["uploaded", "skipped"] = "skipped" if body.get("skipped") else "uploaded"
        return [Outcome(str(path), status, hash=body.get("hash"), task_id=body.get("task_id"))]

    def _many(self, batch: list[Path], on_progress: Progress) -> list[Outcome]:
        try:
            body = self._send(batch, f"{self._path}/data/bulk", "files", on_progress)
        except NotReachableError:
            raise
        except (OSError, CliError) as error:
            return [Outcome(str(path), "failed", error=_reason(error)) for path in batch]
        return _of_bulk(batch, body)

    def _send(self, batch: list[Path], path: str, field: str, on_progress: Progress) -> dict[str, Any]:
        for attempt in range(TRIES):
            sent = _Sent(on_progress)
            try:
                return self._send_once(batch, path, field, sent.add)
            except ApiError as error:
                if error.status not in RETRIED_STATUS or attempt == TRIES - 1:
                    raise
                on_progress(-sent.count)
                if self._stopped.wait(RETRY_S * 2**attempt):
                    raise
        raise AssertionError("unreachable")

    def _send_once(self, batch: list[Path], path: str, field: str, on_progress: Progress) -> dict[str, Any]:
        files = [_CountedFile(each, on_progress, self._stopped) for each in batch]
        try:
            parts = [(field, (each.name, file)) for each, file in zip(batch, files, strict=True)]
            answer = self._api.send(
                "POST",
                path,
                files=parts,
                data=self._form,
                params=self._params,
                timeout_s=self._api.stream_timeout_s,
            )
        finally:
            for file in files:
                file.close()
        return answer if isinstance(answer, dict) else {}


class _Sent:
    """Counts what one attempt has sent."""

    def __init__(self, on_progress: Progress) -> None:
        self.count = 0
        self._on_progress = on_progress

    def add(self, count: int) -> None:
        self.count += count
        self._on_progress(count)


def _batches(paths: Sequence[Path]) -> Iterator[list[Path]]:
    batch: list[Path] = []
    size = 0
    for path in paths:
        bytes_here = path.stat().st_size
        if batch and (len(batch) == MAX_BULK_FILES or size + bytes_here > MAX_BULK_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(path)
        size += bytes_here
    if batch:
        yield batch


def _of_bulk(batch: list[Path], body: dict[str, Any]) -> list[Outcome]:
    """The outcomes that the server lists per file, in order; else as many of each kind as it counted."""
    task_id = body.get("task_id")
    details = next((body[key] for key in ("files", "details", "results") if isinstance(body.get(key), list)), None)
    if details is not None and len(details) == len(batch):
        return [_of_detail(path, detail, task_id) for path, detail in zip(batch, details, strict=True)]
    someone = f"one of {len(batch)} files from {batch[0]} to {batch[-1]}"  # the server counted without naming
    failed, skipped = _names(body.get("failed"), someone), _names(body.get("skipped"), someone)
    if not failed and not skipped:
        return [Outcome(str(path), "uploaded", task_id=task_id) for path in batch]
    error = "refused in a batch: upload without --bulk to learn why"
    outcomes = [Outcome(name, "failed", error=error) for name in failed]
    outcomes += [Outcome(name, "skipped") for name in skipped]
    return outcomes + [Outcome(someone, "uploaded", task_id=task_id)] * max(0, len(batch) - len(outcomes))


def _names(told: Any, someone: str) -> list[str]:
    """A name for each file of one kind: servers give a count or a list."""
    if isinstance(told, list):
        return [each if isinstance(each, str) else someone for each in told]
    return [someone] * told if isinstance(told, int) else []


def _of_detail(path: Path, detail: Any, task_id: str | None) -> Outcome:
    entry = detail if isinstance(detail, dict) else {}
    if entry.get("error"):
        return Outcome(str(path), "failed", error=str(entry["error"]))
    is_skipped = bool(entry.get("skipped")) or entry.get("status") == "skipped"
    return Outcome(str(path), "skipped" if is_skipped else "uploaded", hash=entry.get("hash"), task_id=task_id)


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def rate_limited(update: Callable[[int], None], interval_s: float = 0.05) -> Progress:
    """Add up what is told and pass it on now and then: many threads tell of every 64 KB."""
    lock = threading.Lock()
    state = {"count": 0, "at": 0.0}

    def add(count: int) -> None:
        with lock:
            state["count"] += count
            if time.monotonic() - state["at"] >= interval_s:
                update(int(state["count"]))
                state["count"], state["at"] = 0, time.monotonic()

    return add
