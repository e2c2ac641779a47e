"""Questions whose answers are known, and whether a hit holds them. Nothing here depends on how files were cut."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rag.types import Hit

FOUND_SHARE = 0.6
"""Of the three-word sequences of a passage, how many have to be in what was found: a chunk may end inside it."""
SEQUENCE_WORDS = 3

_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to find. What is given has to hold: the file, a page of it, a passage in it.

    Args:
        file: name or SHA-256 of a file.
        grade: how much finding it is worth.
    """

    file: str | None = None
    passage: str | None = None
    pages: tuple[int, ...] = ()
    grade: float = 1.0


@dataclass(frozen=True, slots=True)
class Question:
    id: str
    text: str
    targets: tuple[Target, ...]

    @property
    def is_about_files(self) -> bool:
        """Whether any part of a file will do: ranks are then those of files, not of chunks."""
        return not any(target.passage or target.pages for target in self.targets)


@dataclass(frozen=True, slots=True)
class Ranking:
    """What is new at each rank: its grade, and how many targets."""

    gains: tuple[float, ...]
    counts: tuple[int, ...]


def rank(question: Question, hits: Sequence[Hit]) -> Ranking:
    """Judge hits, best first."""
    looks = [_Look(target) for target in question.targets]
    gains, counts, seen = [], [], set()
    for hit in hits:
        if question.is_about_files:
            if hit.file_key in seen:
                continue
            seen.add(hit.file_key)
        words = _words(hit.text) if any(look.words for look in looks) else ()
        new = [look for look in looks if not look.is_found and look.sees(hit, words)]
        gains.append(sum(look.target.grade for look in new))
        counts.append(len(new))
    return Ranking(tuple(gains), tuple(counts))


@dataclass(slots=True)
class _Look:
    """For one target, over the ranks: a passage may be found piece by piece."""

    target: Target
    words: tuple[str, ...] = ()
    is_found: bool = False
    _seen: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.words = _words(self.target.passage or "")

    def sees(self, hit: Hit, words: tuple[str, ...]) -> bool:
        if not _is_of(hit, self.target.file) or not _is_on(hit, self.target.pages):
            return False
        self.is_found = not self.target.passage or self._holds(hit.text, words)
        return self.is_found

    def _holds(self, text: str, words: tuple[str, ...]) -> bool:
        wanted = _sequences(self.words)
        if not wanted:  # signs only
            return (self.target.passage or "").strip() in text
        there = set(_sequences(words, len(wanted[0])))
        self._seen |= {position for position, each in enumerate(wanted) if each in there}
        return len(self._seen) >= FOUND_SHARE * len(wanted)


def missing_files(questions: Iterable[Question], known: Iterable[str]) -> list[str]:
    """Files that questions expect and that are not among `known` (names and hashes), in order of appearance."""
    names = set(known)
    names |= {name.rpartition("/")[2] for name in names}
    wanted = dict.fromkeys(target.file for each in questions for target in each.targets if target.file)
    return [name for name in wanted if name not in names]


class PassageSearch:
    """Which passages stand in no file at all: chunks are shown to it, in any order, and what was in none is left.

    Args:
        targets: with a passage; one that names a file is looked for in that file.
    """

    def __init__(self, targets: Iterable[Target]) -> None:
        self._wanted = {each: _sequences(_words(each.passage or "")) for each in targets}
        self._seen: dict[Target, set[int]] = {target: set() for target in self._wanted}
        self._places: dict[tuple[str, ...], list[tuple[Target, int]]] = {}
        for target, sequences in self._wanted.items():
            for position, sequence in enumerate(sequences):
                self._places.setdefault(sequence, []).append((target, position))
        self._lengths = sorted({len(each) for each in self._places})
        self.left = list(self._wanted)

    def wants(self, names: Collection[str]) -> bool:
        """Whether a file with these names can hold one that is left."""
        return any(each.file is None or each.file in names for each in self.left)

    def show(self, names: Collection[str], text: str) -> None:
        """A chunk of the file that has these names."""
        words = _words(text)
        for length in self._lengths:
            for sequence in set(_sequences(words, length)) if len(words) >= length else ():
                for target, position in self._places.get(sequence, ()):
                    if target.file is None or target.file in names:
                        self._seen[target].add(position)
        self.left = [each for each in self.left if not self._is_found(each, text)]

    def _is_found(self, target: Target, text: str) -> bool:
        wanted = self._wanted[target]
        if not wanted:  # signs only
            return (target.passage or "").strip() in text
        return len(self._seen[target]) >= FOUND_SHARE * len(wanted)


def names_of(filename: str, file_hash: str) -> set[str]:
    """By which a question may call a file."""
    return {filename, filename.rpartition("/")[2], file_hash}


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.casefold() for word in _WORD.findall(text))


def _sequences(words: tuple[str, ...], length: int = SEQUENCE_WORDS) -> list[tuple[str, ...]]:
    """Every `length` words in a row; of fewer words, all of them as one."""
    length = max(1, min(length, len(words)))
    return [words[start : start + length] for start in range(len(words) - length + 1)] if words else []


def _is_of(hit: Hit, file: str | None) -> bool:
    if file is None:
        return True
    name = str(hit.metadata.get("filename") or "")
    return file in names_of(name, _file_hash(hit))


def _file_hash(hit: Hit) -> str:
    return hit.file_key.rpartition("/")[2]


def _is_on(hit: Hit, pages: tuple[int, ...]) -> bool:
    if not pages:
        return True
    first = _number(hit.metadata, "page_start") or _number(hit.metadata, "page_number")
    last = _number(hit.metadata, "page_end") or first
    return first is not None and last is not None and any(first <= page <= last for page in pages)


def _number(metadata: Mapping[str, Any], key: str) -> int | None:
    value = metadata.get(key)
    return int(value) if isinstance(value, int | float) else None
