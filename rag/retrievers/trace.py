"""What each stage of one query did: its time, how many candidates went in and came out, and the best of them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rag.types import Hit

SHOWN = 5
"""Candidates kept of each stage."""

Found = TypeVar("Found", bound=Sequence[Hit])


@dataclass(frozen=True, slots=True)
class Stage:
    """`candidates_in` is None for a stage that searches: what goes in is the whole database.

    Args:
        top: the best candidates that came out, best first, with the scores of that moment.
        queries: what was searched for, or what a question was turned into.
        notes: why it was skipped or cut short.
    """

    name: str
    started_at: float
    ms: float
    candidates_in: int | None = None
    candidates_out: int | None = None
    top: tuple[Hit, ...] = ()
    queries: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Trace:
    """Collects stages, from several threads at once. One that is off only calls what it is given."""

    def __init__(self, *, is_on: bool = True) -> None:
        self.is_on = is_on
        self._stages: list[Stage] = []

    @property
    def stages(self) -> tuple[Stage, ...]:
        """In the order in which they began."""
        return tuple(sorted(self._stages, key=lambda stage: stage.started_at))

    def timed(
        self, name: str, work: Callable[[], Found], *, given: int | None = None, query: str | None = None
    ) -> Found:
        """What `work` found; `given` is the number of its candidates, `query` what it searches for."""
        if not self.is_on:
            return work()
        started_at = time.perf_counter()
        hits = work()
        self.add(name, started_at, given=given, found=hits, queries=() if query is None else (query,))
        return hits

    def add(
        self,
        name: str,
        started_at: float,
        *,
        given: int | None = None,
        found: Sequence[Hit] | None = None,
        queries: Sequence[str] = (),
        notes: Sequence[str] = (),
    ) -> None:
        """A stage that began at `started_at` (`time.perf_counter`) and ends now."""
        if not self.is_on:
            return
        ms = (time.perf_counter() - started_at) * 1000
        top = () if found is None else tuple(sorted(found, key=lambda hit: -hit.score)[:SHOWN])
        count = None if found is None else len(found)
        self._stages.append(Stage(name, started_at, ms, given, count, top, tuple(queries), tuple(notes)))


NO_TRACE = Trace(is_on=False)
