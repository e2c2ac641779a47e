"""`transform_config` of a pipeline → how its dataset cuts text into chunks.

The vendor counts in tokens. Where a size is larger than what the embedder reads at once, the chunk is as large as that,
and the overlap shrinks with it.
"""

import copy
from collections.abc import Mapping
from typing import Any

from rag.embedders.weights import is_held, max_tokens
from rag.errors import BadRequestError
from server.llamacloud.engine import CloudEngine
from state.cloud.ids import NAMESPACE
from state.cloud.projects import STRATEGY

CHARS_PER_TOKEN = 4
MAX_CHUNK_TOKENS = 100_000
_CHUNKERS = {"token": "tokens", "character": "characters", "sentence": "sentences", "semantic": "semantic"}
_KNOWN = frozenset({"mode", "chunk_size", "chunk_overlap", "class_name"})


def chunk_options(transform: Mapping[str, Any] | None, model: str) -> tuple[dict[str, Any] | None, list[str]]:
    """Options beside a parser's own (None: as the project says), and what has no effect.

    Args:
        model: the embedder's, whose window bounds a chunk.

    Raises:
        BadRequestError: a mode or a size that cannot be.
    """
    if not transform:
        return None, []
    mode = transform.get("mode") or "auto"
    if mode == "auto":
        size, overlap = _sizes(transform)
        return _cut("tokens", *_within(model, size, overlap)), _others("transform_config", transform)
    if mode != "advanced":
        raise BadRequestError(f"transform_config.mode {str(mode)[:100]!r} is not known. Known: auto, advanced")
    return _advanced(transform, model)


def strategy_of(cloud: CloudEngine, project_id: str, name: str, options: Mapping[str, Any] | None) -> dict[str, Any]:
    """A processing strategy of this name: the project's own with other options of cutting."""
    raw = cloud.projects.store.get(NAMESPACE, cloud.projects.ensure(project_id).name).raw
    known = (raw.get("rag") or {}).get("data_processing_strategies") or []
    base = next((each for each in known if each.get("name") == STRATEGY), None)
    strategy: dict[str, Any] = copy.deepcopy(base) if base else {"parsers": [{"type": "UniversalParser"}]}
    for parser in strategy.get("parsers") or []:
        parser["config"] = {**(parser.get("config") or {}), **(options or {})}
    return {**strategy, "name": name}


def _advanced(transform: Mapping[str, Any], model: str) -> tuple[dict[str, Any] | None, list[str]]:
    chunking, segments = transform.get("chunking_config") or {}, transform.get("segmentation_config") or {}
    if not isinstance(chunking, Mapping) or not isinstance(segments, Mapping):
        raise BadRequestError("transform_config: chunking_config and segmentation_config are objects with a mode")
    mode, segment = str(chunking.get("mode") or "none"), str(segments.get("mode") or "none")
    ignored = _others("transform_config.chunking_config", chunking)
    ignored += _others("transform_config.segmentation_config", segments)
    if mode == "none":
        return {"chunk_strategy": "pages" if segment == "page" else "full"}, ignored
    if mode not in _CHUNKERS:
        known = ", ".join(["none", *_CHUNKERS])
        raise BadRequestError(f"transform_config.chunking_config.mode {mode[:100]!r} is not known. Known: {known}")
    if segment == "element":
        ignored.append("transform_config.segmentation_config.mode: element")
    size, overlap = _sizes(chunking)
    if mode == "token":
        size, overlap = _within(model, size, overlap)
    elif mode == "sentence" and size is not None:
        size, overlap = size * CHARS_PER_TOKEN, None if overlap is None else overlap * CHARS_PER_TOKEN
    return _cut(_CHUNKERS[mode], size, overlap) or {"chunk_strategy": _CHUNKERS[mode]}, ignored


def _sizes(given: Mapping[str, Any]) -> tuple[int | None, int | None]:
    size, overlap = given.get("chunk_size"), given.get("chunk_overlap")
    for name, number, least in (("chunk_size", size, 1), ("chunk_overlap", overlap, 0)):
        if number is None:
            continue
        if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= MAX_CHUNK_TOKENS:
            raise BadRequestError(f"{name} = {str(number)[:50]}: expected {least} to {MAX_CHUNK_TOKENS}")
    if size is not None and overlap is not None and overlap >= size:
        raise BadRequestError(f"chunk_overlap = {overlap}: expected less than chunk_size, which is {size}")
    return size, overlap


def _within(model: str, size: int | None, overlap: int | None) -> tuple[int | None, int | None]:
    window = max_tokens(model) if is_held(model) else None
    if size is None or window is None or size <= window:
        return size, overlap
    return window, None if overlap is None else overlap * window // size


def _cut(chunker: str, size: int | None, overlap: int | None) -> dict[str, Any] | None:
    if size is None:
        return None
    options: dict[str, Any] = {"chunk_strategy": chunker, "chunk_size": size}
    return options if overlap is None else {**options, "chunk_overlap": overlap}


def _others(place: str, given: Mapping[str, Any]) -> list[str]:
    return [f"{place}.{key}" for key, value in given.items() if key not in _KNOWN and value is not None]
