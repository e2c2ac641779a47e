"""A data processing strategy → the routes that files take, and the generation that names what they give."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from config.options import choose_options, option_names, unknown_options
from config.rag_section import DataProcessingStrategy, EmbeddingStrategy, ExtractorEntry, ParserEntry
from rag.chunkers import chunkers
from rag.chunkers.base import TokenCounter
from rag.embedders import embedders
from rag.errors import ConfigError
from rag.extractors import extractors
from rag.parsers import parsers
from rag.pipelines.ingest import ExtractRoute, ParseRoute

PIPELINE_VERSION: Final = 1
"""Part of every generation: raised when the same options begin to give other chunks."""

FORCED: Final = "-r"
"""Between a generation and the mark of the task that was to write it although nothing had changed."""

_CHUNK_KEYS: Final = frozenset({"chunk_size", "chunk_overlap", "chunk_strategy"})
_DEFAULT_CHUNKER: Final = {
    "PDFParser": "paragraphs",
    "DocxParser": "paragraphs",
    "HTMLParser": "headings",
    "MarkdownParser": "headings",
    "TextParser": "sentences",
    "CSVParser": "rows",
    "ExcelParser": "rows",
    "JSONParser": "rows",
}
"""By family of parser; a parser that reads every format leaves the choice to the document."""

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
        [entry.type, _without(entry.config, _CHUNK_KEYS), entry.file_include_patterns, entry.file_extensions]
        for entry in _ordered(strategy.parsers)
    ]
    chunk = [
        {key: entry.config[key] for key in _CHUNK_KEYS & set(entry.config)} for entry in _ordered(strategy.parsers)
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
    chosen = choose_options(parsers, entry.type, _without(entry.config, _CHUNK_KEYS), env_allowed=env_allowed)
    warnings.extend(chosen.warnings)
    strategy, options = _chunking(entry, warnings)
    chunker = chunkers.build(strategy, options, counter=counter)
    size = getattr(chunkers.options(strategy, options), "chunk_size", 0)
    patterns = _patterns(entry.file_include_patterns, entry.file_extensions)
    parser = parsers.build(entry.type, chosen.values)
    return ParseRoute(entry.type, parser, chunker, strategy, int(size), patterns)


def _chunking(entry: ParserEntry, warnings: list[str]) -> tuple[str, dict[str, Any]]:
    default = _DEFAULT_CHUNKER.get(parsers.canonical(entry.type), "auto")
    wanted = str(entry.config.get("chunk_strategy") or default)
    if wanted not in chunkers:
        warnings.append(f"parser '{entry.type}': chunk_strategy '{wanted}' is not known; '{default}' is used")
        wanted = default
    known = option_names(chunkers, wanted)
    return wanted, {key: value for key, value in entry.config.items() if key in known & _CHUNK_KEYS}


def check_chunking(entry: ParserEntry) -> None:
    """Raises InvalidInputError when the options that say how to cut do not go together."""
    chunkers.options(*_chunking(entry, []))


def _extract_route(
    entry: ExtractorEntry, warnings: list[str], env_allowed: Collection[str] | None
) -> ExtractRoute | None:
    if entry.type not in extractors:
        warnings.append(f"extractor '{entry.type}' is not known and is left out")
        return None
    chosen = choose_options(extractors, entry.type, entry.config, env_allowed=env_allowed)
    warnings.extend(chosen.warnings)
    extractor = extractors.build(entry.type, chosen.values)
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
