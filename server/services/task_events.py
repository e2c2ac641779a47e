"""Pushes what `GET …/tasks/{task_id}` answers whenever it changes, read from SQL: any process can serve any task.

All who watch one task in this process share one look at it, so that a hundred listeners cost what one costs.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Protocol

import orjson
import structlog
from anyio import to_thread

from rag.errors import RagError

DONE = "[DONE]"
INTERVAL_S = 0.2
BUSY_SHARE = 10
"""Between two looks passes at least this many times what the last one took: a task of ten thousand files is told less
often."""
FINAL = ("SUCCESS", "FAILURE")

CRASHED = "The server failed to read this task. The log has the reason under the task's id."

Key = tuple[str, str, str]
"""Namespace, project, id."""

log = structlog.get_logger(__name__)


class WatchedTasks(Protocol):
    """The part of `workers.dispatch.Dispatcher` that watching needs. Both raise NotFoundError."""

    def task_stamp(self, namespace: str, project: str, task_id: str) -> tuple[Any, ...]: ...

    def task_status(self, namespace: str, project: str, task_id: str) -> dict[str, Any]: ...


class TaskWatch:
    """One task, looked at again and again while somebody listens; `event` is what is to be told, `version` counts."""

    def __init__(self, tasks: WatchedTasks, key: Key) -> None:
        self.event = ""
        self.version = 0
        self.has_ended = False
        self.listeners = 0
        self._tasks = tasks
        self._key = key
        self._stamp: tuple[Any, ...] | None = None
        self._changed = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._loop is None:
            self._loop = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.wait({self._loop})

    async def newer_than(self, version: int) -> None:
        """Wait until there is something that a listener who has seen `version` does not know."""
        while self.version == version and not self.has_ended:
            await self._changed.wait()

    async def _run(self) -> None:
        try:
            await self._look_on()
        except Exception:  # a listener is to know that this was not the end of the task
            log.exception("task.watch_failed", task=self._key[-1])
            self._tell({"error": {"message": CRASHED, "code": "InternalServerError"}}, ends=True)
        finally:  # whatever ended it, nobody waits for it any longer
            self.has_ended = True
            self._changed.set()

    async def _look_on(self) -> None:
        while not self.has_ended:
            started = time.monotonic()
            try:
                body = await to_thread.run_sync(self._look)
            except RagError as error:  # the task was deleted with its project, or the state does not answer
                self._tell({"error": {"message": error.message, "code": error.code}}, ends=True)
                return
            if body is not None:
                self._tell(body, ends=body["state"] in FINAL)
            await asyncio.sleep(max(INTERVAL_S, BUSY_SHARE * (time.monotonic() - started)))

    def _look(self) -> dict[str, Any] | None:
        """The task's body if it changed since the last look."""
        stamp = self._tasks.task_stamp(*self._key)
        if stamp == self._stamp:
            return None
        body = self._tasks.task_status(*self._key)
        self._stamp = stamp  # of before the body was read: what changed in between is told by the next look
        return body

    def _tell(self, body: dict[str, Any], *, ends: bool) -> None:
        event = orjson.dumps(body).decode()
        if event != self.event:
            self.event, self.version = event, self.version + 1
        self.has_ended = ends
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class TaskEvents:
    """The watches of one process."""

    def __init__(self, tasks: WatchedTasks) -> None:
        self._tasks = tasks
        self._watches: dict[Key, TaskWatch] = {}

    async def open(self, namespace: str, project: str, task_id: str) -> "TaskStream":
        """Raises NotFoundError for an id that this project's server never gave out, before anything is sent."""
        key = (namespace, project, task_id)
        await to_thread.run_sync(self._tasks.task_stamp, *key)
        watch = self._watches.get(key)
        if watch is None or watch.has_ended:
            watch = self._watches[key] = TaskWatch(self._tasks, key)
        watch.listeners += 1
        watch.start()
        return TaskStream(self, key, watch)

    async def leave(self, key: Key, watch: TaskWatch) -> None:
        watch.listeners -= 1
        if watch.listeners == 0:
            if self._watches.get(key) is watch:
                del self._watches[key]
            await watch.stop()


class TaskStream:
    """One listener: the newest state at once, then each change it has the time for, `[DONE]` after the last."""

    def __init__(self, events: TaskEvents, key: Key, watch: TaskWatch) -> None:
        self._events = events
        self._key = key
        self._watch = watch
        self._has_left = False

    async def __aiter__(self) -> AsyncIterator[str]:
        seen = 0
        while True:
            await self._watch.newer_than(seen)
            if self._watch.version != seen:
                seen = self._watch.version
                yield self._watch.event
            elif self._watch.has_ended:
                break
        yield DONE

    async def aclose(self) -> None:
        if not self._has_left:
            self._has_left = True
            await self._events.leave(self._key, self._watch)
