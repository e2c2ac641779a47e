"""Parses and cuts one file as a project would, in a process of its own: `python -m config.preview`.

A parser may hang or eat memory on a bad file. Here that ends this process and nothing else: whoever starts it kills it
in time, and its address space and processor time are bounded. The request is a line of JSON on standard input, the
answer one on standard output, with `error` (a class of `rag.errors`) and `message` where there is no preview. No model
is loaded here: lines with `texts` and `lag` before the answer ask for their distances, a list of numbers on a line.
"""

import json
import resource
import sys
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from config.options import choose_options
from config.processing import ProcessingPlan, plan_processing
from config.project import ProjectConfig
from config.rag_section import DataProcessingStrategy, EmbeddingStrategy
from rag.chunkers.base import Distances
from rag.embedders import counter_for, embedders
from rag.errors import RagError
from rag.parsers.base import ParseLimits
from rag.parsers.detect import probe_file
from rag.pipelines.ingest import FileIdentity, ParsedFile, build_metadata, cut, parse_file
from rag.types import Chunk

MAX_SHOWN_CHARS: Final = 1_000_000
MAX_SHOWN_CHUNKS: Final = 2_000
_OVERLAP: Final = "chunk_overlap"


def preview(request: dict[str, Any], distances: Distances) -> dict[str, Any]:
    """The answer to one request.

    Args:
        request: path, filename, config (a project's), strategy, database, overrides, limits (of ParseLimits) and
            variables (that projects may use; None: any).
        distances: of texts, by those who have the model.

    Raises:
        RagError: the file cannot be read or cut so.
    """
    config = ProjectConfig.parse(request["config"])
    strategy = with_overrides(config.strategy(request["strategy"]), request["overrides"])
    embedding = config.database(request["database"]).embedding_strategy_in_use()
    plan = _plan(strategy, embedding, request["variables"])
    probe = probe_file(Path(request["path"]), request["filename"])
    parsed = parse_file(probe, plan.parse_routes, ParseLimits(**request["limits"]))
    if not parsed.is_cut:
        parsed = replace(parsed, chunks=cut(parsed.document, parsed.route.chunker, distances), is_cut=True)
    identity = FileIdentity("", request["file_hash"], probe.filename, probe.media_type, probe.size_bytes, "")
    return _answer(parsed, plan, identity)


def with_overrides(strategy: DataProcessingStrategy, overrides: dict[str, Any]) -> DataProcessingStrategy:
    """The strategy with these options in place of those of its parsers.

    A configured overlap that does not fit into a smaller size gives way to the chunker's own.
    """
    parsers = []
    for entry in strategy.parsers:
        config = {**entry.config, **overrides}
        size, overlap = overrides.get("chunk_size"), entry.config.get(_OVERLAP)
        if size is not None and _OVERLAP not in overrides and isinstance(overlap, int) and overlap >= size:
            del config[_OVERLAP]
        parsers.append(entry.model_copy(update={"config": config}))
    return strategy.model_copy(update={"parsers": parsers})


def _plan(
    strategy: DataProcessingStrategy, embedding: EmbeddingStrategy, variables: list[str] | None
) -> ProcessingPlan:
    options = choose_options(embedders, embedding.type, embedding.config, env_allowed=variables).values
    return plan_processing(strategy, embedding, counter_for(embedding.type, options), env_allowed=variables)


def _answer(parsed: ParsedFile, plan: ProcessingPlan, identity: FileIdentity) -> dict[str, Any]:
    document, chunks, route = parsed.document, parsed.chunks, parsed.route
    text = document.text[:MAX_SHOWN_CHARS]
    shown = [chunk for chunk in chunks[:MAX_SHOWN_CHUNKS] if chunk.end <= len(text)]
    warnings = [*document.warnings, *plan.warnings]
    everything = build_metadata(identity, document, chunks, route, plan.extract_routes, warnings.append)
    made = [_shown(chunk, each) for chunk, each in zip(shown, islice(everything, len(shown)), strict=True)]
    if len(shown) < len(chunks):
        warnings.append(f"{len(shown)} of {len(chunks)} chunks are shown, and {len(text)} characters of the text")
    sizes = [chunk.end - chunk.start for chunk in chunks]
    overlaps = _overlaps(chunks)
    return {
        "original_text": text,
        "chunks": made,
        "filename": identity.filename,
        "size_bytes": identity.size_bytes,
        "content_type": identity.media_type,
        "parser_used": document.parser,
        "chunk_strategy": route.chunk_strategy,
        "chunk_size": route.chunk_size,
        "chunk_overlap": int(getattr(getattr(route.chunker, "_options", None), "overlap", 0)),
        "total_chunks": len(chunks),
        "avg_chunk_size": round(sum(sizes) / len(sizes), 1),
        "total_size_with_overlaps": sum(sizes),
        "avg_overlap_size": round(sum(overlaps) / len(overlaps), 1) if overlaps else 0.0,
        "warnings": warnings,
    }


def _shown(chunk: Chunk, metadata: dict[str, Any]) -> dict[str, Any]:
    return {
        "chunk_index": chunk.index,
        "content": chunk.text,
        "start_position": chunk.start,
        "end_position": chunk.end,
        "char_count": len(chunk.text),
        "word_count": len(chunk.text.split()),
        "table_header": chunk.table_header or None,
        "parent_start": chunk.parent and chunk.parent[0],
        "parent_end": chunk.parent and chunk.parent[1],
        "metadata": metadata,
    }


def _overlaps(chunks: list[Chunk]) -> list[int]:
    return [max(0, before.end - after.start) for before, after in pairwise(chunks)]


def main() -> None:
    request = json.loads(sys.stdin.readline())
    memory, seconds = request["memory_bytes"], request["cpu_s"]
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    try:
        answer = preview(request, _ask)
    except RagError as error:
        answer = {"error": type(error).__name__, "message": error.message}
    _say(answer)


def _ask(texts: list[str], lag: int) -> NDArray[np.float32]:
    _say({"texts": texts, "lag": lag})
    return np.array(json.loads(sys.stdin.readline()), dtype=np.float32)


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
