"""Two `SessionTurns` over one state stand for two API processes: a session answers one message at a time."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rag.errors import OverloadedError, UpstreamError
from server.services.chat_sessions import SessionTurns
from state.database import StateDatabase
from state.sessions import SessionKey, SessionStore
from state.tables import Base

KEY = SessionKey("org", "bot", "mine")
OTHER = SessionKey("org", "bot", "other")
HI = {"role": "user", "content": "hi"}
HELLO = {"role": "assistant", "content": "hello"}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[StateDatabase]:
    database = StateDatabase(f"sqlite:///{tmp_path / 'state.db'}")
    Base.metadata.create_all(database.engine)
    yield database
    database.close()


@pytest.fixture
def process(database: StateDatabase) -> Callable[..., SessionTurns]:
    def make(**values: Any) -> SessionTurns:
        return SessionTurns(SessionStore(database), **values)

    return make


MakeProcess = Callable[..., SessionTurns]


async def answer(turns: SessionTurns, text: str, log: list[str], key: SessionKey = KEY) -> None:
    """One message: what it finds, and a while later its answer."""
    async with turns.open(key, [{"role": "user", "content": text}]) as memory:
        log.append(f"{text} begins with {len(memory.stored)}")
        await asyncio.sleep(0.05)
        await memory.append([*memory.new, {"role": "assistant", "content": f"to {text}"}])


@pytest.mark.parametrize("process_count", [1, 2, 4])
def test_messages_of_one_session_are_answered_one_after_the_other(process: MakeProcess, process_count: int) -> None:
    async def main() -> list[str]:
        log: list[str] = []
        processes = [process() for _ in range(process_count)]
        await asyncio.gather(*(answer(processes[n % process_count], f"m{n}", log) for n in range(4)))
        return log

    log = asyncio.run(main())
    assert [int(each.rpartition(" ")[2]) for each in log] == [0, 2, 4, 6]
    said = process().sessions.history(KEY)
    assert [each["role"] for each in said] == ["user", "assistant"] * 4
    assert all(reply["content"] == f"to {asked['content']}" for asked, reply in zip(said[::2], said[1::2], strict=True))


def test_sessions_do_not_wait_for_each_other(process: MakeProcess) -> None:
    async def main() -> None:
        one, two = process(), process(wait_s=0.0)
        async with one.open(KEY, [HI]), two.open(OTHER, [HI]) as memory:
            assert memory.stored == []

    asyncio.run(main())


@pytest.mark.parametrize("is_same_process", [True, False])
def test_waiting_for_a_session_has_an_end(process: MakeProcess, is_same_process: bool) -> None:
    async def main() -> None:
        one = process(wait_s=0.1)
        two = one if is_same_process else process(wait_s=0.1)
        async with one.open(KEY, [HI]):
            with pytest.raises(OverloadedError, match="session 'mine' is still answering another message"):
                async with two.open(KEY, [HI]):
                    pass
        async with two.open(KEY, [HI]):
            pass

    asyncio.run(main())


def test_a_long_answer_keeps_its_session(process: MakeProcess) -> None:
    """It is renewed: otherwise the second would get in after 0.3 seconds."""

    async def main() -> None:
        one, two = process(lease_s=0.3), process(lease_s=0.3, wait_s=1.0)
        async with one.open(KEY, [HI]) as memory:
            with pytest.raises(OverloadedError):
                async with two.open(KEY, [HI]):
                    pass
            await memory.append([HI, HELLO])

    asyncio.run(main())
    assert process().sessions.history(KEY) == [HI, HELLO]


def test_the_session_of_a_process_that_died_is_free_after_its_lease(process: MakeProcess) -> None:
    async def main() -> None:
        dead = process(lease_s=0.2)
        assert dead.sessions.begin(KEY, "dead", lease_s=0.2) == []  # and nothing more is heard of it
        async with process(wait_s=5.0).open(KEY, [HI]) as memory:
            await memory.append([HI, HELLO])

    asyncio.run(main())
    assert process().sessions.history(KEY) == [HI, HELLO]


async def leave(work: Awaitable[Any], after: asyncio.Event) -> None:
    task = asyncio.ensure_future(work)
    await after.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_client_that_leaves_in_the_middle_frees_the_session_at_once(process: MakeProcess) -> None:
    async def main() -> None:
        one, begun = process(), asyncio.Event()

        async def chat() -> None:
            async with one.open(KEY, [HI]):
                begun.set()
                await asyncio.sleep(60)

        await leave(chat(), begun)
        async with process(wait_s=0.0).open(KEY, [HI]) as memory:
            assert memory.stored == []

    asyncio.run(main())


def test_a_client_that_leaves_while_the_state_is_slow_takes_no_session_along(
    process: MakeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that asks for the lease cannot be stopped: it gets it when nobody wants it any more."""
    asked, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    original = SessionStore.begin

    def slow(self: SessionStore, key: SessionKey, owner: str, **values: Any) -> Any:
        asked.set()
        assert go_on.wait(10)
        found = original(self, key, owner, **values)
        ended.set()
        return found

    async def main() -> None:
        one = process()

        async def chat() -> None:
            async with one.open(KEY, [HI]):
                pytest.fail("it had left")

        monkeypatch.setattr(SessionStore, "begin", slow)
        task = asyncio.create_task(chat())
        await asyncio.to_thread(asked.wait, 10)
        task.cancel()
        await asyncio.sleep(0.05)
        go_on.set()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.to_thread(ended.wait, 10)
        monkeypatch.undo()
        async with process(wait_s=2.0).open(KEY, [HI]):
            pass

    asyncio.run(main())


def test_an_answer_that_fails_is_not_remembered_and_frees_the_session(process: MakeProcess) -> None:
    async def main() -> None:
        one = process()
        with pytest.raises(UpstreamError):
            async with one.open(KEY, [HI]):
                raise UpstreamError("the model is away")
        async with process(wait_s=0.0).open(KEY, [HI]) as memory:
            assert memory.stored == []

    asyncio.run(main())


def test_a_transcript_that_is_sent_again_is_not_stored_twice(process: MakeProcess) -> None:
    async def main() -> None:
        for messages in ([HI], [HI, HELLO, {"role": "user", "content": "more"}]):
            async with process().open(KEY, messages) as memory:
                await memory.append([*memory.new, HELLO])

    asyncio.run(main())
    assert [each["content"] for each in process().sessions.history(KEY)] == ["hi", "hello", "more", "hello"]


def test_a_session_whose_id_was_just_made_asks_the_state_for_nothing(
    process: MakeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with process().open(KEY, [HI], is_new=True) as memory:
            assert (memory.stored, memory.new) == ((), [HI])
            monkeypatch.undo()
            await memory.append([HI, HELLO])

    for name in ("begin", "history"):
        monkeypatch.delattr(SessionStore, name)
    asyncio.run(main())
    assert process().sessions.history(KEY) == [HI, HELLO]


def test_a_chat_without_a_session_remembers_nothing(process: MakeProcess) -> None:
    async def main() -> None:
        async with process().open(None, [HI]) as memory:
            assert (memory.stored, memory.new) == ((), [HI])
            await memory.append([HI, HELLO])

    asyncio.run(main())
    assert process().sessions.of_project("org", "bot") == []


def test_an_unknown_session_is_not_there_after_a_look(process: MakeProcess) -> None:
    assert process().sessions.history(KEY) == []
    assert process().sessions.of_project("org", "bot") == []
