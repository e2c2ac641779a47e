"""What the event log and sessions add to a chat, and how long a page of a large log takes.

    python -m benchmarks.event_log [--events 100000]

No server: the same calls that a chat makes, on a state database in a file. A page is what `GET …/event_logs` reads.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.report import print_header, spread
from server.services.chat_sessions import SessionTurns
from server.services.chat_trace import EventTrace
from server.services.event_writer import EventWriter
from state.database import StateDatabase
from state.events import EventFilter, EventStore, NewEvent
from state.migrate import migrate
from state.sessions import SessionKey, SessionStore

NOW = time.time()
BATCH = 1_000
CHATS = 500
HI = {"role": "user", "content": "How long is the warranty, and from which day is it counted?"}
HELLO = {"role": "assistant", "content": "36 months from delivery [1]."}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    options = parser.parse_args()
    print_header(f"event log of {options.events:,} events")
    with tempfile.TemporaryDirectory() as folder:
        database = StateDatabase(f"sqlite:///{Path(folder) / 'state.db'}")
        migrate(database)
        time_pages(EventStore(database), options.events)
        time_traces(EventStore(database))
        for name, is_new in (("a session by its name", False), ("a session begun by this chat", True)):
            print(f"{name}: {spread(asyncio.run(time_sessions(SessionStore(database), is_new=is_new)), 'ms')}")
        database.close()


def time_pages(store: EventStore, count: int) -> None:
    for start in range(0, count, BATCH):
        store.add([event(number) for number in range(start, start + BATCH)])
    first = store.page("org", "bot", EventFilter(), limit=1, offset=0)[1][0]
    wanted = EventFilter("rag_processing", start=NOW - count / 2)
    calls: dict[str, Callable[[], Any]] = {
        "first page of 100": lambda: store.page("org", "bot", EventFilter(), limit=100, offset=0),
        "page in the middle": lambda: store.page("org", "bot", EventFilter(), limit=100, offset=count // 2),
        "by type and time": lambda: store.page("org", "bot", wanted, limit=100, offset=0),
        "one event": lambda: store.get("org", "bot", first.event_id),
    }
    for name, call in calls.items():
        print(f"{name}: {spread([timed(call) for _ in range(20)], 'ms')}")


def event(number: int) -> NewEvent:
    notes = [(f"step {step}", NOW - number + step / 10, {"count": step, "model": "m"}) for step in range(6)]
    kind: Any = "rag_processing" if number % 4 == 0 else "inference"
    return NewEvent("org", "bot", kind, NOW - number, NOW - number + 1, notes, model="m", token_count=150)


def time_traces(store: EventStore) -> None:
    """While the writer's thread writes, as it does in a server."""
    writer = EventWriter(store, lambda *_: True)
    writer.start()
    project: Any = type("Project", (), {"namespace": "org", "name": "bench"})

    def trace() -> None:
        made = EventTrace(project, "sha256_0", writer.submit, has_content=False)
        for step in range(6):
            made.note(f"step {step}", {"count": step, "model": "m"})
        made.close(None)

    print(f"a chat's event: {spread([timed(trace) for _ in range(CHATS)], 'ms')}")
    writer.close()


async def time_sessions(sessions: SessionStore, *, is_new: bool) -> list[float]:
    """Leasing, reading and writing; the answer itself takes no time here."""
    turns, passed = SessionTurns(sessions), []
    for number in range(CHATS):
        key = SessionKey("org", "bench", f"{is_new}-{number % (CHATS if is_new else 50)}")
        started = time.perf_counter()
        async with turns.open(key, [HI], is_new=is_new) as memory:
            await memory.append([*memory.new, HELLO])
        passed.append((time.perf_counter() - started) * 1000)
    return passed


def timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    main()
