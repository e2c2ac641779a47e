"""From a file to stored chunks: parse → chunk → embed → write. Usable from a script, without server or queue."""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from itertools import islice, zip_longest
from typing import Any

import numpy as np

from rag import types
from rag.chunkers.base import Chunker, Distances, MeaningChunker
from rag.embedders.base import Embedder
from rag.errors import EmbeddingError, InvalidInputError, LimitExceededError, NoTextError, UnreadableFileError
from rag.extractors.base import Extractor
from rag.gaps import MAX_GAP_CHARS, usual_gap
from rag.parsers.base import FileProbe, ParseLimits, Parser, ProgressCallback, naming, no_progress
from rag.parsers.detect import remedy
from rag.stores.base import Store
from rag.types import Chunk, Document, Record, Scalar, Vector

WRITE_SLICE = 64
"""Chunks that are embedded and written at once; between two slices a cancel is noticed."""
SHOWN_CHARS = 200
"""Of what an extractor failed with."""
_FAULTS = (
    ArithmeticError, AssertionError, AttributeError, InvalidInputError, LookupError, RuntimeError, TypeError,
    ValueError,
)  # fmt: skip
"""Of an extractor itself: a limit of time, a cancel or a server that is away passes through."""


@dataclass(frozen=True, slots=True)
class ParseRoute:
    """One parser entry of a strategy: for which files, with which parser, cut by which chunker."""

    name: str
    parser: Parser
    chunker: Chunker
    chunk_strategy: str
    chunk_size: int
    include_patterns: tuple[str, ...] = ()

    def wants(self, filename: str) -> bool:
        lowered = filename.lower()
        return not self.include_patterns or any(fnmatch(lowered, each.lower()) for each in self.include_patterns)


@dataclass(frozen=True, slots=True)
class ExtractRoute:
    """One extractor entry of a strategy."""

    name: str
    extractor: Extractor
    include_patterns: tuple[str, ...] = ()

    def wants(self, filename: str) -> bool:
        lowered = filename.lower()
        return not self.include_patterns or any(fnmatch(lowered, each.lower()) for each in self.include_patterns)


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """Where a file's chunks belong. `generation` derives from the file and every option that shaped its chunks."""

    dataset: str
    file_hash: str
    filename: str
    media_type: str
    size_bytes: int
    generation: str

    @property
    def file_key(self) -> str:
        return f"{self.dataset}/{self.file_hash}"


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """`is_cut` is False where the chunker compares meanings, and `cut` has to be given a model."""

    document: Document
    route: ParseRoute
    chunks: list[Chunk] = field(default_factory=list)
    is_cut: bool = True


@dataclass(frozen=True, slots=True)
class StoredCounts:
    stored: int
    """Chunks that were embedded."""
    reused: int
    """Chunks whose text had been embedded before and whose vector was taken over."""


def parse_file(
    probe: FileProbe, routes: Sequence[ParseRoute], limits: ParseLimits, on_progress: ProgressCallback = no_progress
) -> ParsedFile:
    """Parse with the first route that takes the file and finds text in it, and chunk unless that needs a model.

    Raises:
        UnreadableFileError: no route takes this type, or the file is bad; the first error is the one that is told.
        LimitExceededError: a limit of `limits` was passed.
    """
    first_error: UnreadableFileError | None = None
    for route in _candidates(probe, routes):
        try:
            with naming(probe.filename):
                document = route.parser.parse(probe, limits, on_progress)
        except UnreadableFileError as error:
            first_error = first_error or error
            continue
        _check_size(probe, document, limits)
        is_cut = not isinstance(route.chunker, MeaningChunker)
        chunks = route.chunker.chunk(document) if is_cut else []
        if chunks or (not is_cut and document.text.strip()):
            return ParsedFile(document, route, chunks, is_cut)
        first_error = first_error or NoTextError(f"'{probe.filename}' holds no text")
    raise first_error or _no_parser(probe, routes)


def cut(document: Document, chunker: Chunker, distances: Distances) -> list[Chunk]:
    """Chunks of a parsed document, wherever a model is at hand: `distances` is asked only by chunkers that compare."""
    return (chunker.by(distances) if isinstance(chunker, MeaningChunker) else chunker).chunk(document)


def _candidates(probe: FileProbe, routes: Sequence[ParseRoute]) -> list[ParseRoute]:
    """Routes whose pattern wants the file and whose parser takes its bytes, in order; failing that, a text parser."""
    accepting = [route for route in routes if route.parser.accepts(probe)]
    wanted = [route for route in accepting if route.wants(probe.filename)]
    return wanted or [route for route in accepting if "text/plain" in route.parser.media_types]


def _no_parser(probe: FileProbe, routes: Sequence[ParseRoute]) -> UnreadableFileError:
    names = ", ".join(dict.fromkeys(route.name for route in routes)) or "none"
    if probe.size_bytes == 0:
        return NoTextError(f"'{probe.filename}' is empty (0 bytes); upload it again with its content")
    return UnreadableFileError(
        f"no parser of this strategy takes '{probe.filename}' (its bytes are {probe.media_type}); "
        f"its parsers: {names}{remedy(probe) or '. Convert the file or add a parser for this type'}"
    )


def _check_size(probe: FileProbe, document: Document, limits: ParseLimits) -> None:
    if len(document.text) > limits.max_text_chars:
        raise LimitExceededError(
            f"'{probe.filename}' holds {len(document.text):,} characters of text; at most "
            f"{limits.max_text_chars:,} are accepted (LF_MAX_TEXT_CHARS). Split the file or raise the limit"
        )


def build_metadata(
    identity: FileIdentity,
    document: Document,
    chunks: Sequence[Chunk],
    route: ParseRoute,
    extractors: Sequence[ExtractRoute],
    on_failed: Callable[[str], None] = lambda _sentence: None,
) -> Iterator[dict[str, Scalar]]:
    """The metadata of each chunk, in order: where it stands, what it is part of, what extractors found.

    Args:
        on_failed: told of an extractor that fails at a chunk, and is left out from there on.
    """
    common: dict[str, Scalar] = {
        "filename": identity.filename,
        "source": identity.filename,
        "file_hash": identity.file_hash,
        "document_id": identity.file_hash,
        "dataset": identity.dataset,
        "content_type": identity.media_type,
        "size": identity.size_bytes,
        "parser": document.parser,
        "chunk_strategy": route.chunk_strategy,
        "total_chunks": len(chunks),
    }
    active = [each for each in extractors if each.wants(identity.filename)]
    named = _with_name(document, identity.filename)
    for chunk, following in zip_longest(chunks, chunks[1:]):
        # Ours last: what filters and citations rely on cannot be replaced by what a document or an extractor says.
        yield {
            **document.metadata,
            **_shared_values(document, chunk),
            **_extracted(active, chunk, named, on_failed),
            **common,
            **_position(identity, chunk),
            **_place(document, chunk),
            **_gap(document, chunk, following, route.chunk_strategy),
        }


def _shared_values(document: Document, chunk: Chunk) -> dict[str, Scalar]:
    """Of a table: the values that all rows of the chunk have, by column."""
    if not document.row_values:
        return {}
    first = bisect_right(document.rows, chunk.start, key=lambda row: row[1])
    behind = bisect_left(document.rows, chunk.end, key=lambda row: row[0])
    rows = document.row_values[first:behind]
    shared = dict(rows[0]) if rows else {}
    for row in rows[1:]:
        shared = {key: value for key, value in shared.items() if row.get(key) == value}
    return shared


def _with_name(document: Document, filename: str) -> Document:
    """The document as extractors see it: with the name that the uploader gave, never a path of this host."""
    return replace(document, metadata={**document.metadata, "filename": filename, "file_path": filename})


def _position(identity: FileIdentity, chunk: Chunk) -> dict[str, Scalar]:
    position: dict[str, Scalar] = {
        "chunk_id": f"{identity.file_hash[:16]}_{chunk.index:04d}",
        "chunk_index": chunk.index,
        "char_start": chunk.start,
        "char_end": chunk.end,
        "token_count": chunk.token_count,
    }
    if chunk.page_start is not None and chunk.page_end is not None:
        position |= {"page_number": chunk.page_start, "page_start": chunk.page_start, "page_end": chunk.page_end}
    if chunk.heading_path:
        position["heading_path"] = " > ".join(chunk.heading_path)
    if chunk.section_titles:
        position["section_titles"] = "; ".join(chunk.section_titles)
    if chunk.table_header:
        position["table_header"] = chunk.table_header
    if chunk.parent is not None:
        position |= {"parent_start": chunk.parent[0], "parent_end": chunk.parent[1]}
    return position


def _place(document: Document, chunk: Chunk) -> dict[str, Scalar]:
    """The parts that hold the chunk, inner ones last; a slide's number under its own name besides.

    What counts is its last character: it may begin with a heading that stands before the part.
    """
    place: dict[str, Scalar] = {}
    last = chunk.end - 1
    for part in document.parts[: bisect_right(document.parts, last, key=lambda part: part.start)]:
        if last < part.end:
            place[part.kind] = part.name
    page = bisect_right(document.pages, last, key=lambda page: page.start) - 1
    if chunk.page_start is not None and document.pages[page].unit == "slide":
        place["slide_number"] = chunk.page_start
    return place


def _gap(document: Document, chunk: Chunk, following: Chunk | None, strategy: str) -> dict[str, Scalar]:
    """The white space before the next chunk, where expanders could not tell it from the chunks."""
    gap = document.text[chunk.end : following.start] if following is not None else ""
    is_told = len(gap) <= MAX_GAP_CHARS and gap != usual_gap(chunk.text, len(gap), strategy)
    return {"gap_after": gap} if is_told else {}


def _extracted(
    extractors: list[ExtractRoute], chunk: Chunk, document: Document, on_failed: Callable[[str], None]
) -> dict[str, Scalar]:
    """One that fails is taken out of `extractors`: what it would have found is not worth the file."""
    found: dict[str, Scalar] = {}
    for each in tuple(extractors):
        try:
            values = each.extractor.extract(chunk.text, document)
        except _FAULTS as error:
            extractors.remove(each)
            reason = f"{type(error).__name__}: {error}"[:SHOWN_CHARS]
            on_failed(f"extractor '{each.name}' failed at chunk {chunk.index} and is left out from there on ({reason})")
            continue
        found |= {key: flat for key, value in values.items() if (flat := _flat(value)) is not None}
        found[f"extractor_{each.name}"] = True
    return found


def _flat(value: Any) -> Scalar | None:
    """Stores keep scalars: a list of scalars becomes comma-joined text, what is deeper becomes JSON, as the
    configuration contract says. None for what says nothing."""
    if isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        return _as_json(value) if value else None
    if isinstance(value, list | tuple | set | frozenset):
        entries = [each for each in value if each is not None]
        if any(not isinstance(each, str | int | float | bool) for each in entries):
            return _as_json(entries)
        return ", ".join(str(each) for each in entries) or None
    return None


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def embed_and_write(
    identity: FileIdentity,
    chunks: Sequence[Chunk],
    metadata: Iterable[Mapping[str, Scalar]],
    *,
    embedder: Embedder,
    store: Store,
    known_vectors: Mapping[str, Vector],
    is_written: Callable[[str], bool] = lambda _record_id: False,
    on_written: Callable[[int], None] = lambda _done: None,
) -> StoredCounts:
    """Embed chunks and write them under the file's generation, slice by slice.

    Args:
        metadata: of each chunk, in order; taken slice by slice, as extractors may need their time for it.
        known_vectors: embedded text → vector of the same model, taken over instead of embedding again.
        is_written: whether a record id is in the store already (a run that was interrupted).
        on_written: called after each slice with the number of chunks done; may raise CancelledTaskError.

    Raises:
        EmbeddingError, UpstreamError: nothing of the failing slice was written.
    """
    stored = reused = 0
    rest = iter(metadata)
    for start in range(0, len(chunks), WRITE_SLICE):
        piece = range(start, min(start + WRITE_SLICE, len(chunks)))
        metadata_of = dict(zip(piece, islice(rest, len(piece)), strict=True))
        missing = [index for index in piece if not is_written(record_id(identity, index))]
        fresh = [index for index in missing if chunks[index].embedded_text not in known_vectors]
        vectors = (
            embedder.embed_documents([chunks[index].embedded_text for index in fresh]) if fresh else np.empty((0, 0))
        )
        if len(vectors) != len(fresh):
            raise EmbeddingError(f"the embedder gave {len(vectors)} vectors for {len(fresh)} texts")
        by_index = dict(zip(fresh, vectors, strict=True))
        store.upsert(
            [
                _record(identity, chunks[index], metadata_of[index], by_index.get(index, known))
                for index in missing
                for known in [known_vectors.get(chunks[index].embedded_text)]
            ]
        )
        stored += len(fresh) + len(piece) - len(missing)
        reused += len(missing) - len(fresh)
        on_written(piece.stop)
    return StoredCounts(stored, reused)


def record_id(identity: FileIdentity, index: int) -> str:
    """Derived from content: the same file with the same options gives the same ids."""
    return types.record_id(identity.file_key, identity.generation, index)


def _record(identity: FileIdentity, chunk: Chunk, metadata: Mapping[str, Scalar], vector: Vector | None) -> Record:
    assert vector is not None, "every chunk is either embedded here or known"
    return Record(
        id=record_id(identity, chunk.index),
        text=chunk.text,
        vector=vector,
        file_key=identity.file_key,
        generation=identity.generation,
        metadata=metadata,
    )
