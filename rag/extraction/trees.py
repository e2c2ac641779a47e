"""What was found, value by value: judged against the text, joined over the parts of a document, and split again into
data and what is known about them."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import orjson

from rag.extraction.choosing import Chooser, Lines, anchor_of, label_words
from rag.extraction.evidence import CONFIDENCE, EvidenceText, Place, same_value
from rag.extraction.parts import TextPart
from rag.extraction.relaxed import branches, item_schema, property_schema, takes_null
from rag.extraction.schemas import Schema, place

Strictness: TypeAlias = Literal["strict", "normal", "off"]
"""`strict`: a value stands in the text as it is; `normal`: its words may stand apart, and texts that sum up need half
of their words in it; `off`: everything is kept, and what has evidence carries it."""

DERIVED = "x-evidence"
"""Of a field: `derived` says that its value is worked out and stands nowhere."""
MIN_SHARE = 0.5
_SUMS_UP = re.compile(
    r"summar|descri|explain|explanation|overview|abstract|conclusion|reason|sentiment|topic|keyword|theme|categor"
    r"|classif|translat|rationale|opinion|takeaway|insight",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a value was read: an exact piece of the text."""

    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Found:
    """One scalar. `confidence` is None for null and where no evidence is asked for."""

    value: Any
    confidence: float | None = None
    citation: Citation | None = None
    reasoning: str | None = None


Tree: TypeAlias = "dict[str, Tree] | list[Tree] | Found"
Path: TypeAlias = tuple[str | int, ...]


class Judge:
    """Holds values against one part of the text, and the names of the columns that it goes on below."""

    def __init__(self, part: TextPart, strictness: Strictness) -> None:
        heading = f"{part.heading}\n" if part.heading else ""
        text = heading + part.text
        self._part = part
        self._heading_end = len(heading)
        self._evidence = EvidenceText(text)
        self._lines = Lines(text)
        self._strictness = strictness
        self.unsupported: list[tuple[Path, Any]] = []

    def judge(self, value: Any, schema: Schema, path: Path = ()) -> Tree:
        return self._judged(value, schema, path, Chooser(self._lines, None, 0), 0)

    def _judged(self, value: Any, schema: Schema, path: Path, chooser: Chooser, floor: int) -> Tree:
        """Args:
        floor: where what was read before it in a list ends.
        """
        if isinstance(value, Mapping):
            if path:  # the values of the whole may stand anywhere, those of a part stand together
                scalars = [self._evidence.places(each) for each in value.values()]
                chooser = Chooser(self._lines, anchor_of(scalars, floor), floor)
            return {
                str(name): self._judged(each, property_schema(schema, str(name)), (*path, str(name)), chooser, floor)
                for name, each in value.items()
            }
        if isinstance(value, list):
            return self._listed(value, item_schema(schema), path, chooser, floor)
        return self._scalar(value, schema, path, chooser)

    def _listed(self, values: list[Any], schema: Schema, path: Path, chooser: Chooser, floor: int) -> list[Tree]:
        trees: list[Tree] = []
        for index, each in enumerate(values):
            trees.append(self._judged(each, schema, (*path, index), chooser, floor))
            if isinstance(each, Mapping):
                cited = [found.citation.end for found in leaves(trees[-1]) if found.citation is not None]
                floor = max((floor, *(end - self._part.start + self._heading_end for end in cited)))
        return trees

    def _scalar(self, value: Any, schema: Schema, path: Path, chooser: Chooser) -> Found:
        if value is None or (isinstance(value, str) and not value.strip()):
            return Found(None)
        if isinstance(value, bool):
            return Found(value, reasoning="INFERRED FROM TEXT")
        places = self._evidence.places(value)
        if places and not (self._strictness == "strict" and places[0].kind == "scattered"):
            name = next((each for each in reversed(path) if isinstance(each, str)), "")
            found = chooser.choose(places, label_words(name, schema))
            reasoning = "VERBATIM EXTRACTION" if found.kind == "verbatim" else "INFERRED FROM TEXT"
            return Found(value, CONFIDENCE[found.kind], self._citation(found), reasoning)
        return self._inferred(value, schema, path)

    def _citation(self, found: Place) -> Citation:
        """In the document."""
        start, end = found.start, found.end
        if start < self._heading_end:
            end = min(end, self._heading_end)
            offset = self._part.heading_start
        else:
            offset = self._part.start - self._heading_end
        return Citation(start + offset, end + offset, self._evidence.text[start:end])

    def _inferred(self, value: Any, schema: Schema, path: Path) -> Found:
        """A value that stands nowhere: kept where the schema says that it need not."""
        if self._strictness == "off" or is_chosen(schema):
            return Found(value, reasoning="INFERRED FROM TEXT")
        if self._strictness == "normal" and isinstance(value, str) and _sums_up(schema, path):
            share = self._evidence.share_of_words(value)
            if share >= MIN_SHARE:
                return Found(value, round(share * CONFIDENCE["scattered"], 3), None, "INFERRED FROM TEXT")
        self.unsupported.append((path, value))
        return Found(None)


def is_chosen(schema: Schema) -> bool:
    """Whether the schema itself names the values, or says that they are worked out."""
    return any(
        "enum" in branch or "const" in branch or branch.get(DERIVED) == "derived" or branch.get("type") == "boolean"
        for branch in branches(schema)
    )


def joined(trees: Sequence[Tree], *, is_whole: bool = True) -> Tree:
    """One tree of those of several parts: lists one after the other without repetitions, scalars by best evidence.

    Args:
        is_whole: whether the trees are of whole documents. An object in them is one thing: of those that contradict
            each other the fullest is taken, and not mixed with the others.
    """
    present = [each for each in trees if not (isinstance(each, Found) and each.value is None)]
    if not present:
        return Found(None)
    first = present[0]
    if isinstance(first, dict):
        same = [each for each in present if isinstance(each, dict)]
        same = same if is_whole else _alike(same)
        names = dict.fromkeys(name for each in same for name in each)
        return {name: joined([each[name] for each in same if name in each], is_whole=False) for name in names}
    if isinstance(first, list):
        return _concatenated([each for each in present if isinstance(each, list)])
    return _best([each for each in present if isinstance(each, Found)])


def _concatenated(lists: list[list[Tree]]) -> list[Tree]:
    seen: set[bytes] = set()
    result: list[Tree] = []
    for each in lists:
        keys = [_key(item) for item in each]
        result += [item for item, key in zip(each, keys, strict=True) if key not in seen]
        seen.update(keys)  # afterwards: what one part of a document names twice is there twice
    return result


def _alike(objects: list[dict[str, Tree]]) -> list[dict[str, Tree]]:
    """The one with the most values, the first of several, with those that it does not contradict."""
    fullest = max(objects, key=lambda each: sum(has_value(value) for value in each.values()))
    return [each for each in objects if not _contradict(fullest, each)]


def _contradict(one: Tree, other: Tree) -> bool:
    """In a single value; lists go on from part to part."""
    if isinstance(one, dict) and isinstance(other, dict):
        return any(_contradict(value, other[name]) for name, value in one.items() if name in other)
    if not isinstance(one, Found) or not isinstance(other, Found) or None in (one.value, other.value):
        return False
    first, second = _comparable(one), _comparable(other)
    if isinstance(first, str) and isinstance(second, str):  # `Acme` and `Acme Inc.` are one
        words, more = sorted((set(first.split()), set(second.split())), key=len)
        return not words <= more
    return _key(one) != _key(other)


def _best(found: list[Found]) -> Found:
    votes = Counter(_key(each) for each in found)
    return max(found, key=lambda each: (each.confidence or 0.0, votes[_key(each)]))


def _key(tree: Tree) -> bytes:
    return orjson.dumps(_comparable(tree), option=orjson.OPT_SORT_KEYS, default=str)


def _comparable(tree: Tree) -> Any:
    if isinstance(tree, dict):
        return {name: value for name, each in tree.items() if (value := _comparable(each)) is not None}
    if isinstance(tree, list):
        return [_comparable(each) for each in tree]
    return same_value(tree.value)


def leaves(tree: Tree) -> Iterator[Found]:
    if isinstance(tree, Found):
        yield tree
        return
    for each in tree.values() if isinstance(tree, dict) else tree:
        yield from leaves(each)


def has_value(tree: Tree) -> bool:
    if isinstance(tree, dict):
        return any(has_value(each) for each in tree.values())
    return any(has_value(each) for each in tree) if isinstance(tree, list) else tree.value is not None


def data_of(tree: Tree, schema: Schema) -> tuple[Any, Any]:
    """(data, what is known of each value in the same shape). What was not found is left out, or null where it may."""
    if isinstance(tree, dict):
        return _object_of(tree, schema)
    if isinstance(tree, list):
        items = item_schema(schema)
        pairs = [data_of(each, items) for each in tree if has_value(each)]
        return [data for data, _ in pairs], [about for _, about in pairs]
    return tree.value, tree


def _object_of(tree: Mapping[str, Tree], schema: Schema) -> tuple[dict[str, Any], dict[str, Any]]:
    data: dict[str, Any] = {}
    about: dict[str, Any] = {}
    required = {name for branch in branches(schema) for name in branch.get("required") or ()}
    known = [name for branch in branches(schema) for name in branch.get("properties") or ()]
    for name in dict.fromkeys((*known, *tree)):
        part, part_schema = tree.get(name, Found(None)), property_schema(schema, name)
        if has_value(part):
            data[name], about[name] = data_of(part, part_schema)
        elif isinstance(part, list) or (name in required and _kind(part_schema) == "array"):
            data[name] = []
        elif takes_null(part_schema):
            data[name] = None
        elif isinstance(part, dict) and name in required:
            data[name], _ = data_of(part, part_schema)
    return data, about


def _kind(schema: Schema) -> Any:
    return next((branch["type"] for branch in branches(schema) if "type" in branch), None)


def _sums_up(schema: Schema, path: Path) -> bool:
    names = [each for each in path if isinstance(each, str)][-1:]
    texts = [*names, *(str(branch.get("description", "")) for branch in branches(schema))]
    return any(_SUMS_UP.search(each) for each in texts)


def shown_unsupported(unsupported: Sequence[tuple[Path, Any]]) -> list[str]:
    return [f"{place(path)}: {str(value)[:200]!r} does not stand in the text" for path, value in unsupported]
