"""One answer at a time per session, over all API processes; and what the session remembers of it."""

import asyncio
import threading
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from weakref import WeakValueDictionary

import anyio
import structlog
from anyio import to_thread

from rag.errors import OverloadedError, RagError
from server.services.chat_history import new_messages
from state.sessions import SessionKey, SessionStore

LEASE_S = 30.0
"""How long the session of a process that died stays taken. A living one renews its leases three times as often."""
WAIT_S = 120.0
"""How long a message waits for the answer before it."""
FIRST_LOOK_S = 0.02
LAST_LOOK_S = 0.5
"""Between two looks whether another process is done; each wait is half as long again as the one before."""
HISTORY_MESSAGES = 2_000
"""Most messages of a session that a turn looks at: more than fit into any window."""

Messages = Sequence[Mapping[str, Any]]

log = structlog.get_logger(__name__)


class Memory:
    """What a session holds (`stored`) and what of a request is new to it (`new`). This one forgets."""

    def __init__(self, stored: Messages, new: Messages) -> None:
        self.stored = stored
        self.new = new

    async def append(self, messages: Messages) -> None:
        """Remember `messages`, all or none."""


class SessionMemory(Memory):
    """Of a session that this request has leased (`owner`), or that nobody else knows yet (no owner)."""

    def __init__(
        self, sessions: SessionStore, key: SessionKey, owner: str | None, stored: Messages, new: Messages
    ) -> None:
        super().__init__(stored, new)
        self.is_leased = owner is not None
        self._sessions = sessions
        self._key = key
        self._owner = owner

    async def append(self, messages: Messages) -> None:
        is_kept = await to_thread.run_sync(lambda: self._sessions.append(self._key, messages, owner=self._owner))
        self.is_leased = False
        if not is_kept:
            log.info("session.lost", session=self._key.session_id, reason="deleted, or taken over, meanwhile")


class SessionTurns:
    """Within a process requests queue for a session in their order; between processes they look again and again.

    Args:
        wait_s: after which a request gives up.
    """

    def __init__(self, sessions: SessionStore, *, lease_s: float = LEASE_S, wait_s: float = WAIT_S) -> None:
        self.sessions = sessions
        self._lease_s = lease_s
        self._wait_s = wait_s
        self._locks: WeakValueDictionary[SessionKey, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def open(self, key: SessionKey | None, messages: Messages, *, is_new: bool = False) -> AsyncIterator[Memory]:
        """Hold the session for as long as one message is answered.

        Args:
            messages: those of the request.
            is_new: the session's id was made for this request: nobody else can know it.

        Raises:
            OverloadedError: the session was not free within `wait_s`.
        """
        if key is None:
            yield Memory((), messages)
            return
        if is_new:
            yield SessionMemory(self.sessions, key, None, (), messages)
            return
        deadline = time.monotonic() + self._wait_s
        lock = self._locks.setdefault(key, asyncio.Lock())
        await self._acquired(lock, key, deadline)
        try:
            async with self._leased(key, messages, deadline) as memory:
                yield memory
        finally:
            lock.release()

    async def _acquired(self, lock: asyncio.Lock, key: SessionKey, deadline: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                await lock.acquire()
        except TimeoutError as error:
            raise self._busy(key) from error

    @asynccontextmanager
    async def _leased(self, key: SessionKey, messages: Messages, deadline: float) -> AsyncIterator[Memory]:
        owner, memory, ended = uuid.uuid4().hex, None, threading.Event()
        renewing = asyncio.create_task(self._renewed(key, owner))
        try:
            memory = await self._begun(key, owner, messages, deadline, ended)
            yield memory
        finally:
            renewing.cancel()
            ended.set()
            if memory is None or memory.is_leased:
                await self._released(key, owner)

    async def _begun(
        self, key: SessionKey, owner: str, messages: Messages, deadline: float, ended: threading.Event
    ) -> SessionMemory:
        def work() -> SessionMemory | None:
            # A client that sends a longer transcript has all of it compared.
            count = max(HISTORY_MESSAGES, len(messages))
            stored = self.sessions.begin(key, owner, lease_s=self._lease_s, last_count=count)
            if stored is None:
                return None
            if ended.is_set():  # the client left while this thread waited for the state
                self.sessions.release(key, owner)
            return SessionMemory(self.sessions, key, owner, stored, new_messages(stored, messages))

        wait_s = FIRST_LOOK_S
        while (memory := await to_thread.run_sync(work)) is None:
            if time.monotonic() + wait_s > deadline:
                raise self._busy(key)
            await asyncio.sleep(wait_s)
            wait_s = min(1.5 * wait_s, LAST_LOOK_S)
        return memory

    async def _renewed(self, key: SessionKey, owner: str) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 3)
            try:
                await to_thread.run_sync(lambda: self.sessions.renew(key, owner, lease_s=self._lease_s))
            except RagError as error:  # the state is away: the next turn tries again
                log.warning("session.not_renewed", error=error.message)

    async def _released(self, key: SessionKey, owner: str) -> None:
        """Shielded: whoever leaves in the middle of an answer must not keep the session for `lease_s`."""
        with anyio.CancelScope(shield=True), suppress(RagError):  # what cannot be released runs out
            await to_thread.run_sync(self.sessions.release, key, owner)

    def _busy(self, key: SessionKey) -> OverloadedError:
        return OverloadedError(
            f"session '{key.session_id}' is still answering another message after {self._wait_s:g} s; wait for that "
            "answer, or use another X-Session-ID"
        )
