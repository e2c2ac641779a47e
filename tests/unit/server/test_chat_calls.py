from collections.abc import Sequence
from typing import Any

import pytest

from server.services.chat_calls import CallPieces, CallSorter


def piece(index: int | None, name: str | None, arguments: str = "", call_id: str | None = None) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
    found: dict[str, Any] = {"function": function}
    return found | ({} if index is None else {"index": index}) | ({} if call_id is None else {"id": call_id})


def whole(pieces: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """(id, name, arguments) of the calls that pieces in OpenAI's form give, as a client puts them together."""
    calls: dict[int, list[str]] = {}
    for each in pieces:
        function = each["function"]
        if "id" in each:
            assert each["type"] == "function"
            calls[each["index"]] = [each["id"], function["name"], function["arguments"]]
        else:
            assert set(function) == {"arguments"}
            calls[each["index"]][2] += function["arguments"]
    return [(call[0], call[1], call[2]) for call in calls.values()]


@pytest.mark.parametrize(
    "given",
    [
        [piece(0, "f", "", "a"), piece(0, None, "{"), piece(0, None, "}"), piece(1, "g", "[]", "b")],
        [piece(0, "f", "{}", "a"), piece(0, "g", "[]", "b")],
        [piece(None, "f", "{}", "a"), piece(None, "g", "[]", "b")],
        [piece(None, "f", "", "a"), piece(None, None, "{}"), piece(None, "g", "[]", "b")],
        [piece(0, "f", "{", "a"), piece(0, "f", "}", "a"), piece(1, "g", "[", "b"), piece(1, None, "]", "b")],
        [piece(3, "f", "{}", "a"), piece(7, "g", "[]", "b")],
    ],
    ids=["openai", "all-zero", "no-index", "no-index-pieces", "repeated", "gaps"],
)
def test_every_servers_pieces_become_openais(given: list[dict[str, Any]]) -> None:
    pieces = CallPieces()
    read = [pieces.read(each) for each in given]

    assert whole(read) == [("a", "f", "{}"), ("b", "g", "[]")]
    assert [each["index"] for each in read if "id" in each] == [0, 1]


def test_a_call_without_an_id_gets_one() -> None:
    pieces = CallPieces()
    ids = [pieces.read(piece(index, "f"))["id"] for index in (0, 1)]

    assert all(each.startswith("call_") for each in ids)
    assert ids[0] != ids[1]


def test_the_servers_calls_are_kept_back_and_the_others_numbered_on() -> None:
    pieces, sorter = CallPieces(), CallSorter({"ours"}.__contains__, first_number=4)
    given = [piece(0, "ours", "{", "a"), piece(1, "theirs", "[", "b"), piece(0, None, "}"), piece(1, None, "]")]
    seen = sorter.outward([pieces.read(each) for each in given])

    assert whole(seen) == [("b", "theirs", "[]")]
    assert {each["index"] for each in seen} == {4}
    assert (sorter.ours, sorter.next_number) == ({0}, 5)
