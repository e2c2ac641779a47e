"""Chunks that follow each other in a file: looked up around hits, merged, and stitched into one text."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from rag.filters import Filter
from rag.gaps import usual_gap
from rag.stores.base import Store
from rag.types import Hit, Record, Scalar, record_id

PART_KEYS = ("sheet", "member", "attachment", "chapter")
FETCH_CHUNKS = 16
"""Chunks looked up at once on each side of a hit that may grow without a fixed number of steps."""
MAX_CHUNKS = 512
"""On each side of a hit, whatever an expander wants."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk in its file."""

    index: int
    text: str
    start: int
    end: int
    metadata: Mapping[str, Scalar]


Belongs = Callable[[Piece, Piece], bool]
"""Whether a piece (second) may be in the run of a hit (first); asked going outwards, up to the first that may not."""


@dataclass(slots=True, eq=False)
class Run:
    """A hit and the pieces that it grew to, in the order of the file; empty where a hit cannot grow."""

    hit: Hit
    pieces: list[Piece] = field(default_factory=list)

    def overlaps(self, other: "Run") -> bool:
        if not (self.pieces and other.pieces):
            return False
        mine, theirs = self.hit, other.hit
        if (mine.file_key, mine.generation) != (theirs.file_key, theirs.generation):
            return False
        first, last = self.pieces[0].index, self.pieces[-1].index
        return first <= other.pieces[-1].index and other.pieces[0].index <= last

    def take(self, other: "Run") -> None:
        by_index = {piece.index: piece for piece in (*self.pieces, *other.pieces)}
        self.pieces = [by_index[index] for index in sorted(by_index)]


class RunFinder:
    """Looks chunks up by their ids, each at most once."""

    def __init__(self, store: Store, where: Filter) -> None:
        self._store = store
        self._where = where
        self._looked_up: dict[str, Piece | None] = {}

    def runs(self, hits: Sequence[Hit], belongs: Belongs, reach: int = FETCH_CHUNKS) -> list[Run]:
        """The run of each hit.

        Args:
            reach: chunks that are looked up first on each side; more are when a run reaches farther.
        """
        own = [_piece_of(hit) for hit in hits]
        while True:
            self._look_up(hits, own, reach)
            walked = [self._walk(hit, piece, belongs, reach) for hit, piece in zip(hits, own, strict=True)]
            if reach >= MAX_CHUNKS or not any(is_open for _, is_open in walked):
                return [run for run, _ in walked]
            reach = min(4 * reach, MAX_CHUNKS)

    def _look_up(self, hits: Sequence[Hit], own: Sequence[Piece | None], reach: int) -> None:
        wanted = [
            record_id(hit.file_key, hit.generation, index)
            for hit, piece in zip(hits, own, strict=True)
            if piece is not None
            for index in range(max(0, piece.index - reach), piece.index + reach + 1)
        ]
        missing = [each for each in dict.fromkeys(wanted) if each not in self._looked_up]
        found = self._store.by_ids(missing, where=self._where) if missing else {}
        self._looked_up |= {each: _piece_of(found[each]) if each in found else None for each in missing}

    def _walk(self, hit: Hit, own: Piece | None, belongs: Belongs, reach: int) -> tuple[Run, bool]:
        """The run, and whether it ends only because no more was looked up."""
        if own is None:
            return Run(hit), False
        before, is_open_before = self._side(hit, own, belongs, range(own.index - 1, max(-1, own.index - reach - 1), -1))
        after, is_open_after = self._side(hit, own, belongs, range(own.index + 1, own.index + reach + 1))
        return Run(hit, [*reversed(before), own, *after]), (is_open_before and own.index > reach) or is_open_after

    def _side(self, hit: Hit, own: Piece, belongs: Belongs, indexes: range) -> tuple[list[Piece], bool]:
        pieces: list[Piece] = []
        for index in indexes:
            piece = self._looked_up.get(record_id(hit.file_key, hit.generation, index))
            if piece is None or not _is_same_part(own, piece) or not belongs(own, piece):
                return pieces, False
            pieces.append(piece)
        return pieces, True


def merged(runs: Sequence[Run]) -> list[Run]:
    """Join runs that share a chunk into the better one."""
    kept: list[Run] = []
    for run in runs:
        touched = [each for each in kept if each.overlaps(run)]
        for other in [*touched[1:], run] if touched else []:
            touched[0].take(other)
        kept = [each for each in kept if each not in touched[1:]] + ([] if touched else [run])
    return kept


def grown(run: Run) -> Hit:
    """The hit with the text, span and pages of its run."""
    if len(run.pieces) < 2:
        return run.hit
    first, last = run.pieces[0], run.pieces[-1]
    old = run.hit.metadata
    metadata: dict[str, Scalar] = {
        key: value for key, value in old.items() if key not in {"token_count", "table_header", "gap_after"}
    }
    metadata |= {"char_start": first.start, "char_end": max(piece.end for piece in run.pieces), "expanded": True}
    metadata |= {"match_start": old["char_start"], "match_end": old["char_end"]}
    if "page_start" in first.metadata and "page_end" in last.metadata:
        # `page_number` stays that of the match: what a citation names.
        metadata |= {"page_start": first.metadata["page_start"], "page_end": last.metadata["page_end"]}
    if "table_header" in first.metadata:
        metadata["table_header"] = first.metadata["table_header"]
    return replace(run.hit, text=_stitched(run.pieces), metadata=metadata)


def _stitched(pieces: Sequence[Piece]) -> str:
    """One text without what chunks repeat. Between two chunks nothing but white space is ever left out."""
    parts = [pieces[0].text]
    reached = pieces[0].end
    for before, piece in pairwise(pieces):
        if piece.start > reached:
            parts.append(_gap(before, piece.start - reached))
        parts.append(piece.text[max(0, reached - piece.start) :])
        reached = max(reached, piece.end)
    return "".join(parts)


def _gap(before: Piece, char_count: int) -> str:
    stored = before.metadata.get("gap_after")
    if isinstance(stored, str) and len(stored) == char_count:
        return stored
    return usual_gap(before.text, char_count, before.metadata.get("chunk_strategy"))


def _is_same_part(own: Piece, piece: Piece) -> bool:
    return all(own.metadata.get(key) == piece.metadata.get(key) for key in PART_KEYS)


def _piece_of(chunk: Hit | Record) -> Piece | None:
    """None for a chunk that does not say where it stands: another program wrote it."""
    index, start, end = (chunk.metadata.get(key) for key in ("chunk_index", "char_start", "char_end"))
    if not (isinstance(index, int) and isinstance(start, int) and isinstance(end, int)):
        return None
    if chunk.id != record_id(chunk.file_key, chunk.generation, index) or end - start != len(chunk.text):
        return None
    return Piece(index, chunk.text, start, end, chunk.metadata)
