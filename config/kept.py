"""Keeps what was built, up to a number of each kind, and closes a part when nobody uses it any more."""

import asyncio
import contextlib
import queue
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeAlias, TypeVar, cast

import structlog

Part = TypeVar("Part")
Key: TypeAlias = tuple[Hashable, ...]
"""Its first entry is the kind."""

GRACE_S = 60.0
"""Between the last use of a part and its end: who looks up a method and calls it holds the part only in between."""
CLOSE_TIMEOUT_S = 10.0
DEFAULT_LIMIT = 256

log = structlog.get_logger(__name__)


class Lent:
    """Stands for a part that has to be closed: as long as one of these is held somewhere, the part stays open."""

    __slots__ = ("__weakref__", "_part")

    def __init__(self, part: Any) -> None:
        object.__setattr__(self, "_part", part)

    @property  # type: ignore[misc]  # so that isinstance() sees what it stands for
    def __class__(self) -> type:
        return type(self._part)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._part, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._part, name)


class KeptParts:
    """Thread-safe. Of each kind, the part that was asked for the longest time ago gives way to a new one.

    Args:
        limits: kind → how many are kept, beside those that are in use.
        closed: kinds that are closed once they gave way and nobody holds them; others end with their last reference.
    """

    def __init__(self, limits: Mapping[str, int], *, closed: frozenset[str], grace_s: float = GRACE_S) -> None:
        self._limits = limits
        self._closed = closed
        self._grace_s = grace_s
        self._parts: dict[Hashable, OrderedDict[Key, Any]] = {}
        self._open: dict[int, Any] = {}
        self._loop = _running_loop()
        self._building: weakref.WeakValueDictionary[Key, threading.Lock] = weakref.WeakValueDictionary()
        self._lock = threading.Lock()
        # Filled by the garbage collector, wherever it runs: this queue may be interrupted by itself.
        self._unused: queue.SimpleQueue[tuple[int, float]] = queue.SimpleQueue()
        self._closer: threading.Thread | None = None
        self._numbers = 0

    def get(self, key: Key, build: Callable[[], Part]) -> Part:
        """One caller builds; who wants another part meanwhile does not wait for it: a model may take minutes."""
        with self._lock:
            found = self._found(key)
            if found is not None:
                return cast("Part", found)
            building = self._building.setdefault(key, threading.Lock())
        with building:
            with self._lock:
                found = self._found(key)
            if found is not None:
                return cast("Part", found)
            return cast("Part", self._keep(key, build()))

    def of_kind(self, kind: str) -> list[tuple[Key, Any]]:
        """Least recently used first."""
        with self._lock:
            return list(self._parts.get(kind, {}).items())

    def forget(self, is_meant: Callable[[Key], bool]) -> None:
        """Let go of some parts; who uses one goes on."""
        with self._lock:
            gone = [(kept, key) for kept in self._parts.values() for key in kept if is_meant(key)]
            doomed = [kept.pop(key) for kept, key in gone]
        self._watch(doomed)

    async def aclose(self) -> None:
        """Close everything, in use or not."""
        with self._lock:
            lent, self._open = list(self._open.values()), {}
            kept = [part for parts in self._parts.values() for part in parts.values() if type(part) is not Lent]
            self._parts = {}
        for part in [*lent, *kept]:
            if hasattr(part, "aclose"):
                await part.aclose()
            elif hasattr(part, "close"):
                part.close()

    def _found(self, key: Key) -> Any:
        kept = self._parts.get(key[0])
        if kept is None or key not in kept:
            return None
        kept.move_to_end(key)
        return kept[key]

    def _keep(self, key: Key, part: Any) -> Any:
        with self._lock:
            if key[0] in self._closed:
                part = self._lend(part)
            kept = self._parts.setdefault(key[0], OrderedDict())
            kept[key] = part
            limit = self._limits.get(str(key[0]), DEFAULT_LIMIT)
            doomed = [kept.popitem(last=False)[1] for _ in range(len(kept) - limit)]
        self._watch(doomed)
        return part

    def _lend(self, part: Any) -> Lent:
        lent = Lent(part)
        self._numbers += 1
        self._open[self._numbers] = part
        weakref.finalize(lent, self._note_unused, self._numbers).atexit = False
        return lent

    def _note_unused(self, number: int) -> None:
        self._unused.put((number, time.monotonic()))

    def _watch(self, doomed: list[Any]) -> None:
        """`doomed` is dropped at the end of this call; what nobody else holds comes into the queue then."""
        if any(type(part) is Lent for part in doomed) and self._closer is None:
            self._closer = threading.Thread(target=self._close_unused, name="part-closer", daemon=True)
            self._closer.start()

    def _close_unused(self) -> None:
        while True:
            number, since = self._unused.get()
            time.sleep(max(0.0, since + self._grace_s - time.monotonic()))
            with self._lock:
                part = self._open.pop(number, None)
            try:
                self._close(part)
            except Exception:  # outermost handler of the thread: one that cannot be closed keeps no other back
                log.exception("part.not_closed", part=type(part).__name__)

    def _close(self, part: Any) -> None:
        if hasattr(part, "aclose"):
            # In the loop in which it was used; where there is none, its connections end with it.
            if self._loop is not None and self._loop.is_running():
                asyncio.run_coroutine_threadsafe(part.aclose(), self._loop).result(CLOSE_TIMEOUT_S)
        elif hasattr(part, "close"):
            part.close()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    with contextlib.suppress(RuntimeError):
        return asyncio.get_running_loop()
    return None
