"""What one stage leaves on disk is what the next one reads."""

import orjson
import pytest

from rag.document_format import dump_chunks, dump_document, load_chunks, load_document
from rag.errors import ConflictError
from rag.types import Chunk, Document, PageSpan

DOCUMENT = Document("| a |\n|---|\n| 1 |\nText here.", "test")


def test_chunks_come_back_with_header_and_parent() -> None:
    chunks = [
        Chunk(0, "| 1 |", 12, 17, 9, 1, 2, ("One", "Two"), "| a |\n|---|", (12, 28)),
        Chunk(1, "Text here.", 18, 28, 3),
    ]
    assert load_chunks(dump_chunks(chunks), DOCUMENT) == chunks


def test_chunks_of_an_older_version_have_neither() -> None:
    data = orjson.dumps({"format": 1, "chunks": [[18, 28, 3, 1, 1, ["One"]]]})
    assert load_chunks(data, DOCUMENT) == [Chunk(0, "Text here.", 18, 28, 3, 1, 1, ("One",))]


def test_another_format_is_refused() -> None:
    with pytest.raises(ConflictError, match="format 99"):
        load_chunks(orjson.dumps({"format": 99, "chunks": []}), DOCUMENT)


def test_slides_of_older_versions_are_still_slides() -> None:
    document = Document("Hello.", "PresentationParser", pages=(PageSpan(1, 0, 6, "slide"),))
    raw = orjson.loads(dump_document(document))
    older = raw | {"pages": [[1, 0, 6]], "page_unit": "slide"}
    assert load_document(orjson.dumps(older)) == document
