"""Tool calls as they arrive in pieces: brought to one form, and parted into the server's and the client's."""

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Call = Mapping[str, Any]


class CallPieces:
    """Brings the pieces of one answer to OpenAI's form: the first of a call has id, type and name, others have neither.

    Servers differ: some number every call 0, some number none, some repeat the id with each piece.
    """

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._place: dict[int, int] = {}

    def read(self, piece: Mapping[str, Any]) -> Call:
        function = piece.get("function") or {}
        name, arguments, call_id = function.get("name"), function.get("arguments") or "", piece.get("id")
        index = piece.get("index")
        place = self._place.get(index) if index is not None else None if name else len(self._ids) - 1
        if place is None or place < 0 or (name and call_id and call_id != self._ids[place]):
            place = len(self._ids)
            self._ids.append(call_id or f"call_{uuid.uuid4().hex[:24]}")
            self._place[place if index is None else index] = place
            named = {"name": name or "", "arguments": arguments}
            return {"index": place, "id": self._ids[place], "type": "function", "function": named}
        return {"index": place, "function": {"arguments": arguments}}


class CallSorter:
    """Parts the calls of one answer: the client's go out at once under running numbers, the server's are kept back.

    Args:
        is_ours: whether the server runs the tool of this name.
        first_number: of the first call that goes out.
    """

    def __init__(self, is_ours: Callable[[str], bool], first_number: int) -> None:
        self.next_number = first_number
        self.ours: set[int] = set()
        self._is_ours = is_ours
        self._numbers: dict[int, int] = {}

    def outward(self, calls: Iterable[Call]) -> tuple[Call, ...]:
        """What the client is to see of `calls`, which are in the form of `CallPieces`."""
        return tuple(each for each in map(self._outward, calls) if each is not None)

    def _outward(self, call: Call) -> Call | None:
        index = call["index"]
        if "name" in call["function"] and index not in self._numbers:
            if self._is_ours(call["function"]["name"]):
                self.ours.add(index)
            else:
                self._numbers[index] = self.next_number
                self.next_number += 1
        return None if index in self.ours else {**call, "index": self._numbers[index]}
