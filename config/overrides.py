"""Options of cutting that are given with files instead of in llamafarm.yaml: `{"*.pdf": {"chunk_size": 400}}`."""

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from config.processing import check_chunking
from config.rag_section import DataProcessingStrategy, ParserEntry
from rag.chunkers import chunkers
from rag.errors import BadRequestError, InvalidInputError, LimitExceededError

MAX_BYTES = 10 * 1024
MAX_CHUNK_SIZE = 100_000
EVERY_FILE = "*"
OVERRIDES = "parser_overrides"
"""Key under which a file's own options go with it through its stages."""

ParserOverrides = Mapping[str, Mapping[str, Any]]
"""Pattern → options. A pattern is a glob on the file's name, or the type of a parser of the strategy."""


class ChunkOverride(BaseModel):
    """What may be given with files; each key replaces that of the parser's configuration."""

    model_config = ConfigDict(extra="forbid")

    chunk_size: StrictInt | None = Field(None, ge=1, le=MAX_CHUNK_SIZE)
    chunk_overlap: StrictInt | None = Field(None, ge=0, lt=MAX_CHUNK_SIZE)
    chunk_strategy: StrictStr | None = Field(None)


def read_overrides(text: str | None) -> ParserOverrides | None:
    """Those of a form field, which carries them as JSON; None for what asks for nothing.

    Raises:
        LimitExceededError: more than 10 KB.
        BadRequestError: no JSON, or not of this shape.
    """
    if text is None or not text.strip():
        return None
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise LimitExceededError(f"parser_overrides is larger than {MAX_BYTES} bytes")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"parser_overrides is no JSON: {_cause(error)}") from error
    return check_overrides(value)


def check_overrides(value: Any) -> ParserOverrides | None:
    """None when nothing is asked for: null or `{}`.

    Raises:
        LimitExceededError, BadRequestError: as `read_overrides`; the message names the key.
    """
    if value is None or value == {}:
        return None
    if not isinstance(value, Mapping):
        raise _bad('it is to be an object such as {"*": {"chunk_size": 500, "chunk_overlap": 50}}')
    if len(json.dumps(value, ensure_ascii=False).encode(errors="replace")) > MAX_BYTES:
        raise LimitExceededError(f"parser_overrides is larger than {MAX_BYTES} bytes")
    return {str(pattern): _checked(str(pattern), options) for pattern, options in value.items()}


def check_against(overrides: ParserOverrides | None, strategy: DataProcessingStrategy) -> None:
    """Raises BadRequestError when an option does not go with what a parser of the strategy is configured with."""
    types = {parser.type for parser in strategy.parsers}
    for pattern, options in (overrides or {}).items():
        overridden(strategy, {pattern if pattern in types else EVERY_FILE: options})


def overrides_of(overrides: ParserOverrides | None, strategy: DataProcessingStrategy, filename: str) -> ParserOverrides:
    """What of `overrides` concerns one file, under `*` and under types of parsers: small, whatever was given."""
    found: dict[str, Mapping[str, Any]] = {}
    types = {parser.type for parser in strategy.parsers}
    for pattern, options in (overrides or {}).items():
        if pattern in types:
            found[pattern] = options
        elif fnmatchcase(filename.lower(), pattern.lower()):
            found[EVERY_FILE] = {**found.get(EVERY_FILE, {}), **options}
    return {pattern: options for pattern, options in found.items() if options}


def overridden(strategy: DataProcessingStrategy, overrides: ParserOverrides) -> DataProcessingStrategy:
    """The strategy with the options of one file in place; `overrides` as `overrides_of` gives them.

    Raises:
        BadRequestError: an option does not go with the parser's others.
    """
    if not overrides:
        return strategy
    return strategy.model_copy(update={"parsers": [_parser(each, overrides) for each in strategy.parsers]})


def _parser(entry: ParserEntry, overrides: ParserOverrides) -> ParserEntry:
    wanted = {**overrides.get(EVERY_FILE, {}), **overrides.get(entry.type, {})}
    if not wanted:
        return entry
    config = {**entry.config, **wanted}
    size, overlap = wanted.get("chunk_size"), entry.config.get("chunk_overlap")
    if isinstance(size, int) and isinstance(overlap, int) and "chunk_overlap" not in wanted and overlap >= size:
        del config["chunk_overlap"]  # a smaller size alone takes the overlap that goes with it
    changed = entry.model_copy(update={"config": config})
    try:
        check_chunking(changed)
    except InvalidInputError as error:
        raise BadRequestError(f"parser_overrides does not go with parser '{entry.type}': {error.message}") from error
    return changed


def _checked(pattern: str, options: Any) -> dict[str, Any]:
    if not pattern.isprintable():
        raise _bad("a pattern holds characters that no file name has")
    if not isinstance(options, Mapping):
        raise _bad(f"the value of '{pattern[:100]}' is to be an object")
    try:
        values = ChunkOverride.model_validate(dict(options)).model_dump(exclude_none=True)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in problem["loc"])[:100]
        known = ", ".join(ChunkOverride.model_fields)
        raise _bad(f"'{pattern[:100]}': {name}: {problem['msg']}; accepted: {known}") from None
    if values.get("chunk_strategy", "auto") not in chunkers:
        raise _bad(f"'{pattern[:100]}': chunk_strategy is not known. Known: {', '.join(chunkers.names)}")
    if "chunk_size" in values and values.get("chunk_overlap", 0) >= values["chunk_size"]:
        raise _bad(f"'{pattern[:100]}': chunk_overlap must be smaller than chunk_size")
    return values


def _bad(problem: str) -> BadRequestError:
    return BadRequestError(f"parser_overrides: {problem}")


def _cause(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
