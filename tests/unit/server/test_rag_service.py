import threading
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from rag.chunkers.tokens import EstimatedCounter
from rag.errors import UpstreamError
from server.services.rag import PROJECT_THREADS, Searcher, first_tokens


@pytest.mark.parametrize("text", ["one two three", "", "   spaces   here "])
@pytest.mark.parametrize("count", [1, 2, 100])
def test_first_tokens_is_a_beginning_of_at_most_that_many_tokens(text: str, count: int) -> None:
    counter = EstimatedCounter(512)
    cut = first_tokens(text, count, counter)
    assert text.startswith(cut)
    assert counter.count(cut) <= count
    if counter.count(text) <= count:
        assert cut == text


def of(project: str) -> Any:
    return SimpleNamespace(namespace="org", name=project)


def test_project_that_stalls_takes_its_own_threads_only() -> None:
    """Also when nobody waits for its threads any more: they run on, and count."""
    resume, begun = threading.Event(), []

    def stall() -> None:
        begun.append(1)
        resume.wait(20)

    async def stalled(searcher: Searcher) -> None:
        with pytest.raises(UpstreamError):
            await searcher.within_deadline(of("stalled"), stall)

    async def scenario() -> str:
        searcher = Searcher(SimpleNamespace(), deadline_s=0.3)  # type: ignore[arg-type]
        for _ in range(2):
            async with anyio.create_task_group() as group:
                for _ in range(3 * PROJECT_THREADS):
                    group.start_soon(stalled, searcher)
        answer = await searcher.within_deadline(of("other"), lambda: "found")
        assert len(begun) == PROJECT_THREADS
        resume.set()
        await anyio.sleep(0.2)
        return answer + await searcher.within_deadline(of("stalled"), lambda: " again")

    try:
        assert anyio.run(scenario) == "found again"
    finally:
        resume.set()
