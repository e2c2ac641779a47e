"""Every parser keeps the promises of rag/parsers/base.py; a new one joins by its row in the table and its vectors."""

import shutil
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from rag.errors import LimitExceededError, NoTextError, RagError, UnreadableFileError
from rag.parsers import parsers
from rag.parsers.auto import parser_for
from rag.parsers.base import FileProbe, ParseLimits, Parser
from rag.parsers.detect import probe_file
from rag.types import Document
from tests.contracts.parser_vectors import VECTORS, Vector
from tests.fixtures import make_files as make

LIMITS = ParseLimits()
vectors = pytest.mark.parametrize("vector", VECTORS, ids=[vector.id for vector in VECTORS])
every_parser = pytest.mark.parametrize("name", list(parsers))


def build(name: str) -> Parser:
    return parsers.build(name, {})


def probe_of(vector: Vector, folder: Path) -> FileProbe:
    return probe_file(vector.write(folder / "stored-bytes"), vector.filename)


def parser_of(vector: Vector) -> Parser:
    if vector.needs and shutil.which(vector.needs) is None:
        pytest.skip(f"{vector.needs} is not installed")
    return parsers.build(vector.parser, vector.options)


def read(vector: Vector, folder: Path) -> Document:
    return parser_of(vector).parse(probe_of(vector, folder), LIMITS)


@pytest.mark.parametrize("name", sorted(set(parsers) - {"UniversalParser"}))
def test_every_parser_has_a_vector(name: str) -> None:
    assert name in {vector.parser for vector in VECTORS}


@vectors
def test_text_holds_the_phrases_in_order(vector: Vector, tmp_path: Path) -> None:
    text, position = read(vector, tmp_path).text, 0
    for phrase in vector.contains:
        position = text.find(phrase, position)
        assert position >= 0, f"{phrase!r} is not in {text!r}, or not in this order"


@vectors
def test_text_lacks_what_is_no_content(vector: Vector, tmp_path: Path) -> None:
    text = read(vector, tmp_path).text
    assert [phrase for phrase in vector.lacks if phrase in text] == []


@vectors
def test_page_map_places_phrases(vector: Vector, tmp_path: Path) -> None:
    document = read(vector, tmp_path)
    for phrase, page in vector.pages:
        span = next(span for span in document.pages if span.page == page)
        assert phrase in document.text[span.start : span.end]
    assert document.empty_pages == vector.empty_pages
    assert (document.page_count is None) == (not document.pages)


@vectors
def test_headings_rows_and_metadata_are_found(vector: Vector, tmp_path: Path) -> None:
    document = read(vector, tmp_path)
    assert [(heading.level, heading.title) for heading in document.headings] == list(vector.headings)
    assert [document.text[start:end] for start, end in document.rows] == list(vector.rows)
    assert dict(vector.metadata).items() <= document.metadata.items()


@vectors
def test_parts_hold_their_phrases(vector: Vector, tmp_path: Path) -> None:
    document = read(vector, tmp_path)
    assert {page.unit for page in document.pages} <= {vector.page_unit}
    for kind, name, phrase in vector.parts:
        texts = [
            document.text[part.start : part.end] for part in document.parts if (part.kind, part.name) == (kind, name)
        ]
        assert any(phrase in text for text in texts), f"{phrase!r} is not in {kind} {name!r} of {document.parts}"


@vectors
def test_warnings_are_those_that_are_meant(vector: Vector, tmp_path: Path) -> None:
    warnings = read(vector, tmp_path).warnings
    assert [phrase for phrase in vector.warnings if not any(phrase in warning for warning in warnings)] == []
    assert bool(warnings) == bool(vector.warnings), warnings


@vectors
def test_spans_are_ordered_disjoint_and_within_the_text(vector: Vector, tmp_path: Path) -> None:
    document = read(vector, tmp_path)
    for spans in ([(span.start, span.end) for span in document.pages], list(document.rows)):
        assert all(0 <= start <= end <= len(document.text) for start, end in spans)
        assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert [span.page for span in document.pages] == list(range(1, len(document.pages) + 1))
    starts = [heading.start for heading in document.headings]
    assert starts == sorted(starts)
    assert all(heading.title.split()[0] in document.text[heading.start :] for heading in document.headings)


@vectors
def test_metadata_values_are_scalars(vector: Vector, tmp_path: Path) -> None:
    document = read(vector, tmp_path)
    assert document.parser == vector.parser
    assert all(isinstance(value, str | int | float | bool) for value in document.metadata.values())


@vectors
def test_parsing_twice_gives_the_same_document(vector: Vector, tmp_path: Path) -> None:
    probe = probe_of(vector, tmp_path)
    assert parser_of(vector).parse(probe, LIMITS) == parser_of(vector).parse(probe, LIMITS)


@vectors
def test_universal_parser_chooses_the_same_parser(vector: Vector, tmp_path: Path) -> None:
    probe = probe_of(vector, tmp_path)
    chosen = parser_for(probe)
    assert type(chosen) is parsers.load(vector.parser)
    if not vector.options:
        assert build("UniversalParser").parse(probe, LIMITS) == parser_of(vector).parse(probe, LIMITS)


@vectors
def test_text_over_the_limit_is_refused(vector: Vector, tmp_path: Path) -> None:
    with pytest.raises(LimitExceededError, match="LF_MAX_TEXT_CHARS"):
        parser_of(vector).parse(probe_of(vector, tmp_path), ParseLimits(max_text_chars=5))


@vectors
def test_progress_is_told_and_may_cancel(vector: Vector, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, total: int | None) -> None:
        assert done <= (total or done)
        raise Stop

    with pytest.raises(Stop):
        parser_of(vector).parse(probe_of(vector, tmp_path), LIMITS, stop)


@every_parser
def test_accepts_looks_at_the_probe_only(name: str) -> None:
    """The file does not exist, so reading it would fail."""
    probe = FileProbe(Path("/nowhere/at/all"), "film.mp4", "video/mp4", 10, b"\x00\x00\x00 ftyp")
    assert not build(name).accepts(probe)
    assert parser_for(probe) is None


@every_parser
def test_accepts_its_own_media_types(name: str) -> None:
    parser = build(name)
    for media_type in parser.media_types:
        assert parser.accepts(FileProbe(Path("/nowhere"), "x", media_type, 10, b""))


@every_parser
def test_empty_file_has_no_text(name: str, tmp_path: Path) -> None:
    probe = probe_file(make.empty_file(tmp_path / "empty"), "empty.txt")
    assert probe.media_type == "application/x-empty"
    with pytest.raises(NoTextError, match="the file is empty"):
        build(name).parse(probe, LIMITS)


@every_parser
def test_foreign_bytes_raise_only_project_errors(name: str, tmp_path: Path) -> None:
    """A parser may read foreign bytes as text, but it may not crash."""
    for write in (make.binary_file, make.png_file, lambda path: make.text_file(path, '{"a": [1,')):
        path = write(tmp_path / "foreign")
        for media_type in sorted(build(name).media_types):
            probe = FileProbe(path, "foreign", media_type, path.stat().st_size, path.read_bytes()[:8192])
            with suppress(UnreadableFileError):
                assert build(name).parse(probe, LIMITS).text


@vectors
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_truncated_files_raise_only_project_errors(vector: Vector, keep: float, tmp_path: Path) -> None:
    whole = probe_of(vector, tmp_path)
    make.truncate(whole.path, keep)
    probe = FileProbe(whole.path, whole.filename, whole.media_type, whole.path.stat().st_size, whole.head)
    with suppress(UnreadableFileError):
        assert parser_of(vector).parse(probe, LIMITS).text


@every_parser
def test_unknown_option_is_refused(name: str) -> None:
    with pytest.raises(RagError, match="option 'colour' is not known"):
        parsers.build(name, {"colour": "blue"})
