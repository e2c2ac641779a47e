"""From a file to the words of a citation: slides, sheets and chapters."""

from pathlib import Path

import pytest

from rag.chunkers import chunkers
from rag.document_format import dump_document, load_document
from rag.embedders.hash import HashEmbedder
from rag.parsers import parsers
from rag.parsers.base import ParseLimits
from rag.parsers.detect import probe_file
from rag.pipelines.ingest import FileIdentity, ParseRoute, build_metadata, parse_file
from rag.places import place_of
from rag.prompts import lay_context
from rag.types import Hit
from tests.contracts.office_vectors import OFFICE_VECTORS

FILES = {vector.filename: vector for vector in OFFICE_VECTORS}


def hits_of(filename: str, folder: Path) -> list[Hit]:
    counter = HashEmbedder(HashEmbedder.Options()).token_counter
    route = ParseRoute("auto", parsers.build("auto", {}), chunkers.build("auto", {}, counter=counter), "auto", 1000)
    parsed = parse_file(probe_file(FILES[filename].write(folder / "stored"), filename), [route], ParseLimits())
    document = load_document(dump_document(parsed.document))  # as a worker finds it
    identity = FileIdentity("papers", "ab" * 32, filename, "x", 1, "generation-1")
    metadata = build_metadata(identity, document, parsed.chunks, route, [])
    pairs = zip(parsed.chunks, metadata, strict=True)
    return [Hit(str(chunk.index), chunk.text, 0.5, "papers/ab", "g", each) for chunk, each in pairs]


@pytest.mark.parametrize(
    ("filename", "phrase", "place"),
    [
        ("plans.pptx", "on the left", "slide 2"),
        ("plans.odp", "later plans", "slide 2"),
        ("sales.xlsm", "Staff: Zoë", "sheet 'Sales'"),
        ("staff.xls", "City: Bern", "sheet 'Sites'"),
        ("staff.ods", "Name: Ben", "sheet 'Staff'"),
        ("tales.epub", "Mostly oak", "chapter 'The Mast'"),
        ("tales.epub", "bowline", "chapter 'The Rope'"),
    ],
)
def test_chunk_cites_its_place(filename: str, phrase: str, place: str, tmp_path: Path) -> None:
    found = [hit for hit in hits_of(filename, tmp_path) if phrase in hit.text]
    assert [place_of(hit.metadata) for hit in found] == [place]


def test_prompt_labels_a_source_with_its_place(tmp_path: Path) -> None:
    [hit] = [hit for hit in hits_of("plans.pptx", tmp_path) if "on the left" in hit.text]
    assert lay_context([hit]).startswith('<source number="1" file="plans.pptx" slide="2" score="0.5">')
