"""What was built is kept within bounds, and closed when nobody uses it any more: never before."""

import asyncio
import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from config.kept import KeptParts


class Client:
    """With a thread of its own, as embedders have: it never ends by itself."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_closed = threading.Event()

    def ask(self) -> str:
        assert not self.is_closed.is_set(), f"{self.name} was closed while it was used"
        return self.name

    def close(self) -> None:
        self.is_closed.set()


class AsyncClient(Client):
    async def aclose(self) -> None:
        self.is_closed.set()


def kept(limit: int = 2, grace_s: float = 0.0) -> KeptParts:
    return KeptParts({"client": limit, "plan": limit}, closed=frozenset({"client"}), grace_s=grace_s)


def test_the_part_that_was_not_used_for_longest_gives_way() -> None:
    parts, built = kept(), []

    def get(name: str) -> Any:
        return parts.get(("plan", name), lambda: built.append(name) or object())

    for name in ("a", "b", "a", "c", "a", "b"):
        get(name)
    assert built == ["a", "b", "c", "b"]
    assert [key[1] for key, _ in parts.of_kind("plan")] == ["a", "b"]


def test_kinds_do_not_displace_each_other() -> None:
    parts = kept(limit=1)
    first = parts.get(("plan", "x"), object)
    parts.get(("client", "y"), lambda: Client("y"))
    assert parts.get(("plan", "x"), object) is first


def test_a_part_that_gave_way_is_closed_once_its_last_user_lets_go() -> None:
    parts, original = kept(limit=1), Client("first")
    held = parts.get(("client", 1), lambda: original)
    parts.get(("client", 2), lambda: Client("second"))
    gc.collect()
    assert not original.is_closed.wait(0.1)
    assert held.ask() == "first"
    del held
    assert original.is_closed.wait(5)


def test_a_part_is_used_through_a_method_that_outlives_its_holder() -> None:
    parts, original = kept(limit=1, grace_s=0.5), Client("first")
    ask = parts.get(("client", 1), lambda: original).ask
    parts.get(("client", 2), lambda: Client("second"))
    assert ask() == "first"
    assert original.is_closed.wait(5)


def test_a_part_that_is_asked_for_again_is_built_anew_while_the_old_one_is_in_use() -> None:
    parts = kept(limit=1)
    held = parts.get(("client", 1), lambda: Client("old"))
    parts.get(("client", 2), lambda: Client("other"))
    assert parts.get(("client", 1), lambda: Client("new")).ask() == "new"
    assert held.ask() == "old"


def test_what_stands_for_a_part_looks_like_it(monkeypatch: pytest.MonkeyPatch) -> None:
    part = kept().get(("client", 1), lambda: Client("first"))
    assert isinstance(part, Client)
    monkeypatch.setattr(part, "name", "renamed")
    assert part.ask() == "renamed"
    with pytest.raises(AttributeError):
        _ = part.missing


def test_forgotten_parts_are_closed_and_others_stay() -> None:
    parts, clients = kept(limit=9), [Client("a"), Client("b")]
    for client in clients:
        parts.get(("client", client.name), lambda client=client: client)
    parts.forget(lambda key: key == ("client", "a"))
    assert clients[0].is_closed.wait(5)
    assert [key[1] for key, _ in parts.of_kind("client")] == ["b"]
    assert not clients[1].is_closed.is_set()


def test_a_client_of_the_loop_is_closed_in_the_loop() -> None:
    async def main() -> bool:
        parts, original = kept(limit=1), AsyncClient("first")
        parts.get(("client", 1), lambda: original)
        parts.get(("client", 2), lambda: AsyncClient("second"))
        return await asyncio.to_thread(original.is_closed.wait, 5)

    assert asyncio.run(main())


def test_closing_reaches_what_is_kept_and_what_only_others_hold() -> None:
    parts, clients = kept(limit=1), [Client("a"), AsyncClient("b")]
    held = [parts.get(("client", client.name), lambda client=client: client) for client in clients]
    asyncio.run(parts.aclose())
    assert all(client.is_closed.is_set() for client in clients)
    asyncio.run(parts.aclose())
    assert len(held) == 2


def test_many_threads_with_few_places_never_meet_a_closed_part() -> None:
    parts = kept(limit=2, grace_s=0.05)
    closed: list[Client] = []
    original = Client.close

    def close(self: Client) -> None:
        closed.append(self)
        original(self)

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(8) as pool:
        patch.setattr(Client, "close", close)

        def use(number: int) -> str:
            part = parts.get(("client", number % 5), lambda: Client(str(number % 5)))
            return "".join(part.ask() for _ in range(20))

        assert [each[0] for each in pool.map(use, range(500))] == [str(number % 5) for number in range(500)]
        deadline = time.monotonic() + 5
        while not closed and time.monotonic() < deadline:
            time.sleep(0.01)
    assert closed
