"""A document and a JSON schema → data that is valid under it, with the place that each value was read from.

Long documents are read part by part. Each answer is held against the schema and against the text; what is wrong is told
to the model, a bounded number of times. A value that does not stand in the text is left out; a required one that is
missing in the end is an error, never a guess.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from rag.asking import json_object
from rag.errors import InvalidInputError, UpstreamError
from rag.extraction.parts import TextPart, cut, halves, pages_of, sheets_of, together
from rag.extraction.prompts import instruction, question
from rag.extraction.relaxed import answer_schema, checked_schema, without_unknown
from rag.extraction.schemas import Schema, described, first_errors, place, problems, resolved
from rag.extraction.trees import Judge, Strictness, Tree, data_of, has_value, joined, shown_unsupported
from rag.types import Document

Ask: TypeAlias = Callable[[str, str, Mapping[str, Any]], str]
"""(instruction, text, schema of the answer) → what the model says."""
Target: TypeAlias = Literal["per_doc", "per_page", "per_table_row"]
Progress: TypeAlias = Callable[[int, int], None]
"""Called with (parts done, parts in all) before each part; may raise CancelledTaskError."""

MAX_REPAIRS = 2
MIN_PART_CHARS = 1_500
"""A part that no answer fits for is halved down to this."""
MAX_PARTS = 1_000
MAX_PROBLEMS = 8
MAX_WARNINGS = 50
SHOWN_ANSWER_CHARS = 8_000
ROWS = "rows"


@dataclass(frozen=True, slots=True)
class Wish:
    """How to read a document.

    Args:
        pages: (first, last) pairs counted from 1; None: all.
        sheets: names of sheets of a workbook; None: all.
        guidance: a remark of the one who asks, for the model.
        part_chars: how much of a text the model reads at once.
        is_cut_at_pages: whether no part reaches over the end of a page.
    """

    target: Target = "per_doc"
    pages: tuple[tuple[int, int], ...] | None = None
    max_pages: int | None = None
    sheets: tuple[str, ...] | None = None
    guidance: str | None = None
    strictness: Strictness = "normal"
    part_chars: int = 12_000
    is_cut_at_pages: bool = False


@dataclass(frozen=True, slots=True)
class Extraction:
    """
    Args:
        data: an object, or a list of them for a page or a table row each.
        about: for each value of `data`, in the same shape, a `Found`.
        pages: of each object of a list, where they are read by page.
        page_count: how many pages were read.
    """

    data: Any
    about: Any
    page_count: int
    part_count: int
    pages: list[int] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def extract(
    document: Document, schema: Schema, ask: Ask, wish: Wish, on_progress: Progress = lambda _done, _all: None
) -> Extraction:
    """
    Args:
        schema: as `read_schema` gives it.

    Raises:
        InvalidInputError: the model never gave a valid answer, what the schema requires is not in the document, or
            none of the pages that are asked for exist.
        UpstreamError: the model's server failed.
    """
    whole = resolved(schema)
    pages = pages_of(document, wish.pages, wish.max_pages)
    if wish.target == "per_page":
        return _by_page(document, whole, ask, wish, pages, on_progress)
    spans = [(start, end) for _, start, end in pages]
    if wish.sheets is not None:
        spans = sheets_of(document, wish.sheets)
    parts = cut(document, spans if wish.is_cut_at_pages else together(spans), wish.part_chars)
    wanted = _rows_of(whole) if wish.target == "per_table_row" else whole
    reader = _Reader(wanted, ask, wish)
    tree = reader.read(parts, on_progress)
    if wish.target == "per_table_row":
        rows = tree.get(ROWS) if isinstance(tree, dict) else None
        trees = [(row, None) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        return _several(trees, whole, reader.warnings, len(pages), len(parts))
    data, about = _valid(tree, whole)
    return Extraction(data, about, len(pages), len(parts), warnings=reader.warnings)


def _by_page(
    document: Document,
    schema: Schema,
    ask: Ask,
    wish: Wish,
    pages: Sequence[tuple[int, int, int]],
    on_progress: Progress,
) -> Extraction:
    reader = _Reader(schema, ask, wish)
    trees: list[tuple[Tree, int | None]] = []
    part_count = 0
    for index, (page, start, end) in enumerate(pages):
        on_progress(index, len(pages))
        parts = cut(document, [(start, end)], wish.part_chars)
        part_count += len(parts)
        trees.append((reader.read(parts), page))
    return _several(trees, schema, reader.warnings, len(pages), part_count)


def _several(
    trees: Sequence[tuple[Tree, int | None]], schema: Schema, warnings: list[str], page_count: int, part_count: int
) -> Extraction:
    """One object each; those that lack what the schema requires are left out and named, unless they all do."""
    data, about, pages, errors = [], [], [], []
    for number, (tree, page) in enumerate((each for each in trees if has_value(each[0])), 1):
        name = f"row {number}" if page is None else f"page {page}"
        try:
            one, known = _valid(tree, schema)
        except InvalidInputError as error:
            errors.append(f"{name} is left out: {error}")
            continue
        data.append(one)
        about.append(known)
        pages += [] if page is None else [page]
    if errors and not data:
        raise InvalidInputError(f"nothing that was found is complete; {errors[0]}")
    return Extraction(data, about, page_count, part_count, pages, [*warnings, *errors][:MAX_WARNINGS])


def _rows_of(schema: Schema) -> Schema:
    rows = {"type": "array", "items": schema, "description": "One entry for each row of the tables in the text."}
    return {"type": "object", "properties": {ROWS: rows}, "required": [ROWS]}


def _valid(tree: Tree, schema: Schema) -> tuple[Any, Any]:
    """Raises InvalidInputError when what was found does not satisfy the schema."""
    data, about = data_of(tree if isinstance(tree, dict) else {}, schema)
    errors = first_errors(schema, data, MAX_PROBLEMS)
    missing = list(dict.fromkeys(place((*each.absolute_path, name)) for each in errors for name in _missing(each)))
    if missing:
        raise InvalidInputError(f"the document does not say what the schema requires: {', '.join(missing)}")
    if errors:
        raise InvalidInputError(
            f"what was found does not satisfy the schema: {'; '.join(described(each) for each in errors)}"
        )
    return data, about


def _missing(error: Any) -> list[str]:
    if error.validator != "required":
        return []
    return [name for name in error.validator_value if name not in error.instance]


class _Reader:
    """Asks about parts of a document, one after the other."""

    def __init__(self, schema: Schema, ask: Ask, wish: Wish) -> None:
        self._schema = schema
        self._answer_schema = answer_schema(schema)
        self._checked_schema = checked_schema(schema)
        self._ask = ask
        self._wish = wish
        self.warnings: list[str] = []

    def read(self, parts: Sequence[TextPart], on_progress: Progress = lambda _done, _all: None) -> Tree:
        if len(parts) > MAX_PARTS:
            raise InvalidInputError(
                f"the document would be read in {len(parts)} parts, {MAX_PARTS} are allowed: narrow it by pages"
            )
        trees = []
        for index, part in enumerate(parts):
            on_progress(index, len(parts))
            trees.append(self._read_part(part))
        return joined(trees)

    def _read_part(self, part: TextPart) -> Tree:
        try:
            return self._answered(part)
        except _NoAnswerError:
            if len(part.text) <= MIN_PART_CHARS:
                raise
            return joined([self._read_part(each) for each in halves(part)])  # mostly, the answer was too long

    def _answered(self, part: TextPart) -> Tree:
        """Ask, and ask again with what is wrong."""
        said: str | None = None
        wrong: list[str] = []
        kept: tuple[Tree, Judge] | None = None
        for attempt in range(MAX_REPAIRS + 1):
            told = instruction(self._answer_schema, self._wish.guidance, is_repair=said is not None)
            said = self._ask(told, question(part, said, wrong), self._answer_schema)
            value, wrong = self._read_answer(said)
            said = said[:SHOWN_ANSWER_CHARS]
            if wrong:
                continue
            judge = Judge(part, self._wish.strictness)
            kept = (judge.judge(value, self._schema), judge)
            if not judge.unsupported or attempt > 0:
                break
            wrong = shown_unsupported(judge.unsupported[:MAX_PROBLEMS])
        if kept is not None:
            self._warn(kept[1])
            return kept[0]
        raise _NoAnswerError(f"the model gave no valid answer in {MAX_REPAIRS + 1} tries: {'; '.join(wrong)[:500]}")

    def _read_answer(self, said: str) -> tuple[Any, list[str]]:
        try:
            value = without_unknown(json_object(said, "the model"), self._schema)
        except UpstreamError as error:
            return None, [error.message]
        return value, problems(self._checked_schema, value, limit=MAX_PROBLEMS)

    def _warn(self, judge: Judge) -> None:
        room = MAX_WARNINGS - len(self.warnings)
        self.warnings += [f"{each}; left out" for each in shown_unsupported(judge.unsupported[:room])]


class _NoAnswerError(InvalidInputError):
    """No try gave what can be used."""
