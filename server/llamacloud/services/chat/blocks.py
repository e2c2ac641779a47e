"""Events of a turn: pieces as they come, and the whole blocks that a session remembers."""

from collections.abc import Iterator
from typing import Any

Event = dict[str, Any]
DELTAS = frozenset({"text_delta", "thinking_delta"})


class Blocks:
    """Puts pieces of thinking and of text together; a block is whole when something else follows."""

    def __init__(self) -> None:
        self._kind = ""
        self._pieces: list[str] = []

    def add(self, kind: str, piece: str) -> Iterator[Event]:
        """A piece of `text` or `thinking`, after the block before it where that was of the other kind."""
        if not piece:
            return
        if kind != self._kind:
            yield from self.end()
            self._kind = kind
        self._pieces.append(piece)
        yield {"type": f"{kind}_delta", "content": piece}

    def end(self) -> list[Event]:
        """The block that is open, as a whole."""
        whole, kind = "".join(self._pieces), self._kind
        self._kind, self._pieces = "", []
        return [{"type": kind, "content": whole}] if whole else []
