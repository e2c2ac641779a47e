"""A data processing strategy → the routes that files take, and the generation that names what they give."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from config.options import choose_options, option_names, unknown_options
from config.rag_section import DataProcessingStrategy, EmbeddingStrategy, ExtractorEntry, ParserEntry
from rag.chunkers import chunkers
from rag.chunkers.base import TokenCounter
from rag.embedders import embedders
from rag.errors import ConfigError, InvalidInputError
from rag.extractors import extractors
from rag.parsers import parsers
from rag.pipelines.ingest import ExtractRoute, ParseRoute

PIPELINE_VERSION: Final = 2
"""Part of every generation: raised when the same options begin to give other chunks."""

FORCED: Final = "-r"
"""Between a generation and the mark of the task that was to write it although nothing had changed."""

_CHUNK_STRATEGY: Final = "chunk_strategy"
_DEFAULT_CHUNKER: Final = {
    "PDFParser": "paragraphs",
    "DocxParser": "paragraphs",
    "HTMLParser": "headings",
    "MarkdownParser": "headings",
    "TextParser": "sentences",
    "CSVParser": "rows",
    "ExcelParser": "rows",
    "JSONParser": "rows",
    "EmailParser": "email_sections",
    "MsgParser": "email_sections",
    "XMLParser": "headings",
    "RSTParser": "headings",
    "CodeParser": "code",
    "ImageParser": "paragraphs",
}
"""By family of parser; a parser that reads every format leaves the choice to the document."""

_DEFAULT_CHUNKER_OF_NAME: Final = {"PDFParser_LlamaIndex": "sentences", "TextParser_LlamaIndex": "semantic"}
"""Where a name asks for another one than its family."""

_DEFAULT_SIZES: Final[Mapping[str, Mapping[str, int]]] = {
    "auto": {"chunk_size": 1000, "chunk_overlap": 200},
    "UniversalParser": {"chunk_size": 1024, "chunk_overlap": 100},
}
"""In characters, where a name asks for other ones than the chunker."""

_IN_CHARACTERS: Final = frozenset({"auto", "characters", "headings", "paragraphs", "semantic", "sections", "sentences"})
_STANDS_IN: Final = {"columns": "'columns' cuts by rows: each row carries the names of its columns"}
"""Of a chunk_strategy: what is done in its place."""

_PARSER_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {"DocxParser_LlamaIndex": {"include_header_footer": False}}
"""Where a name of the format has other defaults than the parser behind it."""

_NOT_IDENTITY: Final = frozenset(
    {
        "api_base", "api_key", "auto_pull", "base_url", "batch_size", "cache_folder", "circuit_breaker", "device",
        "fail_fast", "hf_token", "max_batch_tokens", "max_retries", "organization", "precision", "show_progress_bar",
        "timeout",
    }
)  # fmt: skip
"""Embedder options that do not change what a vector means."""


@dataclass(frozen=True, slots=True)
class ProcessingPlan:
    """What a strategy does to a file. `fingerprint` covers every option that shapes chunks or vectors;
    `parse_fingerprint` only those that shape the parsed text."""

    parse_routes: tuple[ParseRoute, ...]
    extract_routes: tuple[ExtractRoute, ...]
    fingerprint: str
    parse_fingerprint: str
    warnings: tuple[str, ...]

    def generation(self, file_hash: str) -> str:
        return generation_name(file_hash, self.fingerprint)


def generation_name(file_hash: str, fingerprint: str) -> str:
    """Names the chunks of one file under the options behind `fingerprint`: equal inputs give equal names."""
    return hashlib.sha256(f"{file_hash}:{fingerprint}".encode()).hexdigest()[:20]


def forced(generation: str, mark: str) -> str:
    """A name of its own for the same chunks, written anew beside those that answer until the switch."""
    return f"{generation}{FORCED}{mark}"


def same_chunks(generation: str | None, other: str | None) -> bool:
    """Whether two generations come of the same file and options, forced or not."""
    return (generation or "").partition(FORCED)[0] == (other or "").partition(FORCED)[0]


def fingerprints(strategy: DataProcessingStrategy, embedding: EmbeddingStrategy, place: str = "") -> tuple[str, str]:
    """(of everything that shapes chunks and vectors, of what shapes the parsed text). Builds no component.

    Args:
        place: where the chunks go (`DatabaseConfig.place`): the same chunks elsewhere have to be written again.
    """
    parse = [
        [entry.type, _without(entry.config, chunk_keys()), entry.file_include_patterns, entry.file_extensions]
        for entry in _ordered(strategy.parsers)
    ]
    chunk = [
        {key: entry.config[key] for key in chunk_keys() & set(entry.config)} for entry in _ordered(strategy.parsers)
    ]
    extract = [[entry.type, entry.config, entry.file_include_patterns] for entry in _ordered(strategy.extractors)]
    embed = [embedding.type, _without(embedding.config, _NOT_IDENTITY)]
    return _digest([PIPELINE_VERSION, parse, chunk, extract, embed, place]), _digest([PIPELINE_VERSION, parse])


def plan_processing(
    strategy: DataProcessingStrategy,
    embedding: EmbeddingStrategy,
    counter: TokenCounter,
    *,
    place: str = "",
    env_allowed: Collection[str] | None = None,
) -> ProcessingPlan:
    """Build the parsers, chunkers and extractors of a strategy.

    Args:
        place: see `fingerprints`.
        env_allowed: see `expand_env`.

    Raises:
        ConfigError: no parser of the strategy is known.
        InvalidInputError: an option has a value that its component does not take.
    """
    warnings: list[str] = []
    parse = [_parse_route(entry, counter, warnings, env_allowed) for entry in _ordered(strategy.parsers)]
    routes = [route for route in parse if route]
    if not routes:
        names = ", ".join(entry.type for entry in strategy.parsers)
        raise ConfigError(
            f"data processing strategy '{strategy.name}' has no parser that is known here (it names {names}). "
            f"Known: {', '.join(parsers.names)}"
        )
    if embedding.type in embedders:
        warnings.extend(unknown_options(embedders, embedding.type, embedding.config))
    found = [_extract_route(entry, warnings, env_allowed) for entry in _ordered(strategy.extractors)]
    everything, parse_only = fingerprints(strategy, embedding, place)
    return ProcessingPlan(
        tuple(routes), tuple(route for route in found if route), everything, parse_only, tuple(warnings)
    )


def _parse_route(
    entry: ParserEntry, counter: TokenCounter, warnings: list[str], env_allowed: Collection[str] | None
) -> ParseRoute | None:
    if entry.type not in parsers:
        warnings.append(f"parser '{entry.type}' is not known and is left out")
        return None
    given = {**_PARSER_DEFAULTS.get(entry.type, {}), **_without(entry.config, chunk_keys())}
    chosen = choose_options(parsers, entry.type, given, env_allowed=env_allowed)
    warnings.extend(chosen.warnings)
    strategy, options = _chunking(entry, warnings)
    chunker = chunkers.build(strategy, options, counter=counter)
    size = getattr(chunkers.options(strategy, options), "chunk_size", 0)
    patterns = _patterns(entry.file_include_patterns, entry.file_extensions)
    parser = parsers.build(entry.type, chosen.values)
    return ParseRoute(entry.type, parser, chunker, strategy, int(size), patterns)


def _chunking(entry: ParserEntry, warnings: list[str]) -> tuple[str, dict[str, Any]]:
    family = _DEFAULT_CHUNKER.get(parsers.canonical(entry.type), "auto")
    default = _DEFAULT_CHUNKER_OF_NAME.get(entry.type, family)
    wanted = str(entry.config.get(_CHUNK_STRATEGY) or default)
    if wanted not in chunkers:
        warnings.append(f"parser '{entry.type}': chunk_strategy '{wanted}' is not known; '{default}' is used")
        wanted = default
    if wanted in _STANDS_IN:
        warnings.append(f"parser '{entry.type}': chunk_strategy {_STANDS_IN[wanted]}")
    known = option_names(chunkers, wanted)
    given = {key: value for key, value in entry.config.items() if key in chunk_keys() - {_CHUNK_STRATEGY}}
    warnings.extend(
        f"parser '{entry.type}': option '{key}' has no effect with chunk_strategy '{wanted}'"
        for key, value in given.items()
        if key not in known and value is not None
    )
    has_own_size = given.get("chunk_size") is not None or wanted not in _IN_CHARACTERS
    sizes = {} if has_own_size else _DEFAULT_SIZES.get(entry.type, {})
    return wanted, {**sizes, **{key: value for key, value in given.items() if key in known and value is not None}}


def chunking_warnings(entry: ParserEntry) -> list[str]:
    """A sentence for each option of cutting that changes nothing."""
    warnings: list[str] = []
    if entry.type in parsers:
        _chunking(entry, warnings)
    return warnings


@cache
def chunk_keys() -> frozenset[str]:
    """Keys of a parser's configuration that say how its documents are cut: every option of every chunker."""
    return frozenset({_CHUNK_STRATEGY}).union(*(option_names(chunkers, name) for name in chunkers))


def check_chunking(entry: ParserEntry) -> None:
    """Raises InvalidInputError when the options that say how to cut do not go together."""
    if entry.type in parsers:
        chunkers.options(*_chunking(entry, []))


def _extract_route(
    entry: ExtractorEntry, warnings: list[str], env_allowed: Collection[str] | None
) -> ExtractRoute | None:
    if entry.type not in extractors:
        warnings.append(f"extractor '{entry.type}' is not known and is left out")
        return None
    try:
        chosen = choose_options(extractors, entry.type, entry.config, env_allowed=env_allowed)
        extractor = extractors.build(entry.type, chosen.values)
    except InvalidInputError as error:
        warnings.append(f"extractor '{entry.type}' is left out: {error.message}")
        return None
    warnings.extend(chosen.warnings)
    warnings.extend(f"extractor '{entry.type}': {each}" for each in getattr(extractor, "warnings", ()))
    return ExtractRoute(entry.type, extractor, _patterns(entry.file_include_patterns, None))


def _patterns(globs: list[str] | None, extensions: list[str] | None) -> tuple[str, ...]:
    if globs:
        return tuple(globs)
    return tuple(f"*.{extension.removeprefix('.')}" for extension in extensions or ())


def _ordered(entries: list[Any]) -> list[Any]:
    return sorted(entries, key=lambda entry: int(entry.priority))


def _without(values: Mapping[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in keys}


def _digest(value: Any) -> str:
    # Twice, because keys become text in the first pass: numbers and words cannot be sorted together.
    plain = json.loads(json.dumps(value, default=str))
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
