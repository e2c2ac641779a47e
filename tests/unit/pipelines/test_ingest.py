"""The library without server or queue, and what becomes of what extractors find."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.chunkers import chunkers
from rag.embedders import embedders
from rag.embedders.hash import HashEmbedder
from rag.errors import CancelledTaskError, EmbeddingError, NoTextError, UnreadableFileError
from rag.parsers import parsers
from rag.parsers.base import ParseLimits
from rag.parsers.detect import probe_file
from rag.pipelines.ingest import (
    WRITE_SLICE,
    ExtractRoute,
    FileIdentity,
    ParsedFile,
    ParseRoute,
    build_metadata,
    embed_and_write,
    parse_file,
    record_id,
)
from rag.pipelines.query import QueryPipeline
from rag.retrievers import retrievers
from rag.retrievers.base import Query
from rag.stores import stores
from rag.stores.base import Store, StoreIdentity
from rag.types import Document

IDENTITY = FileIdentity("notes", "ab" * 32, "notes.md", "text/markdown", 120, "generation-1")


def test_a_script_can_index_and_ask_without_server_or_queue(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_text("# Lighthouse\n\nThe lighthouse is red.\n\n# Harbour\n\nThe harbour is deep.\n")

    embedder = embedders.build("HashEmbedder", {})
    identity = StoreIdentity("me", "demo", "main", embedder.model_id, embedder.dimension)
    store = stores.build("MemoryStore", {}, identity=identity)
    chunker = chunkers.build("headings", {"chunk_size": 40, "chunk_overlap": 0}, counter=embedder.token_counter)
    route = ParseRoute("MarkdownParser", parsers.build("MarkdownParser", {}), chunker, "headings", 40)

    parsed = parse_file(probe_file(path, path.name), [route], ParseLimits())
    metadata = list(build_metadata(IDENTITY, parsed.document, parsed.chunks, route, []))
    embed_and_write(IDENTITY, parsed.chunks, metadata, embedder=embedder, store=store, known_vectors={})

    retriever = retrievers.build("BasicSimilarityStrategy", {}, embedder=embedder, store=store)
    (best, *_) = QueryPipeline(retriever).run(Query("which colour is the lighthouse", top_k=3)).hits
    assert "red" in best.text
    assert parsed.document.text[int(best.metadata["char_start"]) : int(best.metadata["char_end"])] == best.text


@pytest.fixture
def embedder() -> HashEmbedder:
    return HashEmbedder(HashEmbedder.Options(dimension=16))


@pytest.fixture
def store(embedder: HashEmbedder) -> Store:
    identity = StoreIdentity("n", "p", "main", embedder.model_id, embedder.dimension)
    return stores.build("MemoryStore", {}, identity=identity)


def route_of(name: str, embedder: HashEmbedder, *patterns: str) -> ParseRoute:
    chunker = chunkers.build("sentences", {"chunk_size": 30, "chunk_overlap": 0}, counter=embedder.token_counter)
    return ParseRoute(name, parsers.build(name, {}), chunker, "sentences", 30, patterns)


def parsed_text(tmp_path: Path, embedder: HashEmbedder, text: str) -> ParsedFile:
    path = tmp_path / "file"
    path.write_text(text)
    return parse_file(probe_file(path, "a.txt"), [route_of("TextParser", embedder)], ParseLimits())


def many_sentences(count: int) -> str:
    return " ".join(f"Sentence number {index:05d}." for index in range(count))


def test_a_route_is_chosen_by_name_and_bytes_and_the_first_error_is_told(
    tmp_path: Path, embedder: HashEmbedder
) -> None:
    path = tmp_path / "file"
    path.write_text("plain words")
    routes = [route_of("MarkdownParser", embedder, "*.md"), route_of("TextParser", embedder, "*.TXT")]
    assert parse_file(probe_file(path, "A.txt"), routes, ParseLimits()).route.name == "TextParser"
    path.write_bytes(b"%PDF-1.7 broken")
    with pytest.raises(UnreadableFileError, match=r"no parser of this strategy takes 'a.pdf'.*TextParser"):
        parse_file(probe_file(path, "a.pdf"), routes, ParseLimits())
    path.write_bytes(b"")
    with pytest.raises(NoTextError, match=r"'a.txt' is empty \(0 bytes\)"):
        parse_file(probe_file(path, "a.txt"), routes, ParseLimits())
    path.write_bytes(b" \n \n")
    with pytest.raises(NoTextError, match="has no text"):
        parse_file(probe_file(path, "a.txt"), routes, ParseLimits())


class Found:
    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values
        self.seen: list[Document] = []

    def extract(self, text: str, document: Document) -> dict[str, Any]:
        self.seen.append(document)
        return self.values


def metadata_of(parsed: ParsedFile, values: dict[str, Any]) -> dict[str, Any]:
    routes = [ExtractRoute("Found", Found(values))]
    return dict(next(build_metadata(IDENTITY, parsed.document, parsed.chunks, parsed.route, routes)))


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("text", "text"),
        (0, 0),
        (False, False),
        (1.5, 1.5),
        (["a", "b"], "a, b"),
        (["ä", 1, True], "ä, 1, True"),
        (("a", None), "a"),
        ({"name": "ä", "n": 1}, '{"name": "ä", "n": 1}'),
        ([{"a": 1}, {"b": [2]}], '[{"a": 1}, {"b": [2]}]'),
        (["a", {"b": 1}], '["a", {"b": 1}]'),
        ([["a", "b"], ["c"]], '[["a", "b"], ["c"]]'),
    ],
)
def test_what_extractors_find_is_stored_as_scalars(
    value: Any, kept: Any, tmp_path: Path, embedder: HashEmbedder
) -> None:
    assert metadata_of(parsed_text(tmp_path, embedder, "Some text."), {"key": value})["key"] == kept


@pytest.mark.parametrize("value", [None, [], {}, [None], object()])
def test_what_says_nothing_is_left_out(value: Any, tmp_path: Path, embedder: HashEmbedder) -> None:
    assert "key" not in metadata_of(parsed_text(tmp_path, embedder, "Some text."), {"key": value})


def test_an_extractor_cannot_replace_what_citations_rely_on(tmp_path: Path, embedder: HashEmbedder) -> None:
    parsed = parsed_text(tmp_path, embedder, "Some text.")
    forged = {"filename": "other.pdf", "chunk_index": 99, "file_hash": "x", "char_start": -1, "dataset": "secret"}
    found = metadata_of(parsed, {**forged, "topic": "boats"})
    assert (found["filename"], found["chunk_index"], found["topic"]) == ("notes.md", 0, "boats")
    assert (found["file_hash"], found["char_start"], found["dataset"]) == (IDENTITY.file_hash, 0, "notes")


def test_extractors_see_one_document_that_carries_the_uploaded_name(tmp_path: Path, embedder: HashEmbedder) -> None:
    parsed = parsed_text(tmp_path, embedder, many_sentences(20))
    extractor = Found({})
    list(build_metadata(IDENTITY, parsed.document, parsed.chunks, parsed.route, [ExtractRoute("F", extractor)]))
    assert len({id(document) for document in extractor.seen}) == 1, "what they work out once stays worked out"
    names = extractor.seen[0].metadata
    assert (names["filename"], names["file_path"]) == ("notes.md", "notes.md")
    assert str(tmp_path) not in str(names)


def test_an_extractor_with_patterns_is_applied_to_matching_names_only(tmp_path: Path, embedder: HashEmbedder) -> None:
    parsed = parsed_text(tmp_path, embedder, "Some text.")
    routes = [ExtractRoute("Yes", Found({"yes": 1}), ("*.MD",)), ExtractRoute("No", Found({"no": 1}), ("*.txt",))]
    (found,) = build_metadata(IDENTITY, parsed.document, parsed.chunks, parsed.route, routes)
    assert (found.get("yes"), found.get("no"), found.get("extractor_No")) == (1, None, None)


class FailsFrom(Found):
    """Fails at its second chunk, and would again."""

    def extract(self, text: str, document: Document) -> dict[str, Any]:
        if self.seen:
            raise ValueError("no such month")
        return super().extract(text, document)


def test_an_extractor_that_fails_at_a_chunk_is_left_out_from_there_on_and_told_once(
    tmp_path: Path, embedder: HashEmbedder
) -> None:
    parsed = parsed_text(tmp_path, embedder, many_sentences(200))
    routes = [ExtractRoute("Bad", FailsFrom({"bad": 1})), ExtractRoute("Good", Found({"good": 1}))]
    told: list[str] = []
    found = list(build_metadata(IDENTITY, parsed.document, parsed.chunks, parsed.route, routes, told.append))
    assert len(found) > 2
    assert [each.get("bad") for each in found[:3]] == [1, None, None]
    assert all(each["good"] == 1 for each in found)
    (sentence,) = told
    assert "extractor 'Bad' failed at chunk 1 and is left out" in sentence
    assert "no such month" in sentence


def write(parsed: ParsedFile, embedder: Any, store: Store, **options: Any) -> Any:
    metadata: list[dict[str, Any]] = [{}] * len(parsed.chunks)
    needs = {"known_vectors": {}, **options}
    return embed_and_write(IDENTITY, parsed.chunks, metadata, embedder=embedder, store=store, **needs)


def test_writing_twice_changes_nothing(tmp_path: Path, embedder: HashEmbedder, store: Store) -> None:
    parsed = parsed_text(tmp_path, embedder, many_sentences(200))
    counts = write(parsed, embedder, store)
    before = store.records(IDENTITY.file_key)
    assert (counts.stored, counts.reused) == (len(parsed.chunks), 0)
    write(parsed, embedder, store)
    assert [record.id for record in store.records(IDENTITY.file_key)] == [record.id for record in before]


def test_known_vectors_are_taken_over_and_written_chunks_left_alone(
    tmp_path: Path, embedder: HashEmbedder, store: Store
) -> None:
    parsed = parsed_text(tmp_path, embedder, many_sentences(150))
    known = {chunk.text: embedder.embed_query("something else") for chunk in parsed.chunks[:10]}
    counts = write(parsed, embedder, store, known_vectors=known, is_written=record_id(IDENTITY, 11).__eq__)
    assert (counts.stored, counts.reused) == (len(parsed.chunks) - 10, 10)
    stored = store.records(IDENTITY.file_key)
    assert len(stored) == len(parsed.chunks) - 1
    assert np.allclose(stored[0].vector, known[parsed.chunks[0].text])


def test_a_cancel_between_two_slices_stops_there(tmp_path: Path, embedder: HashEmbedder, store: Store) -> None:
    parsed = parsed_text(tmp_path, embedder, many_sentences(300))
    done: list[int] = []

    def cancel(count: int) -> None:
        done.append(count)
        if len(done) == 2:
            raise CancelledTaskError("Task cancelled")

    with pytest.raises(CancelledTaskError):
        write(parsed, embedder, store, on_written=cancel)
    assert done == [WRITE_SLICE, 2 * WRITE_SLICE]
    assert store.stats().chunk_count == 2 * WRITE_SLICE


SPOILED: dict[str, Callable[[Any], Any]] = {
    "zero": lambda vectors: vectors * 0,
    "NaN": lambda vectors: vectors * np.nan,
    "short": lambda vectors: vectors[:, 1:],
    "few": lambda vectors: vectors[1:],
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED.keys())
def test_vectors_that_cannot_be_used_are_not_stored(
    spoil: Callable[[Any], Any], tmp_path: Path, embedder: HashEmbedder, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = parsed_text(tmp_path, embedder, "One text. Another text that is longer than the first one.")
    original = embedder.embed_documents
    monkeypatch.setattr(embedder, "embed_documents", lambda texts: spoil(original(texts)))
    with pytest.raises(EmbeddingError):
        write(parsed, embedder, store)
    assert store.stats().chunk_count == 0


def test_a_file_without_chunks_writes_nothing(embedder: HashEmbedder, store: Store) -> None:
    counts = embed_and_write(IDENTITY, [], [], embedder=embedder, store=store, known_vectors={})
    assert (counts.stored, counts.reused, store.stats().chunk_count) == (0, 0, 0)
