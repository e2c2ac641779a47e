"""Parts of a file – sheets, members, attachments – bound chunks and are named by them."""

import pytest

from rag.chunkers import chunkers
from rag.chunkers.tokens import EstimatedCounter
from rag.document_format import dump_document, load_document
from rag.parsers import parsers
from rag.parsers.base import ParseLimits
from rag.parsers.builder import DocumentBuilder
from rag.pipelines.ingest import FileIdentity, ParseRoute, build_metadata
from rag.places import place_of
from rag.types import Document


@pytest.fixture
def document() -> Document:
    builder = DocumentBuilder("ArchiveParser", ParseLimits())
    builder.add("What stands before.")
    with builder.part("member", "reports/prices.xlsx"):
        with builder.part("sheet", "Prices"):
            builder.add("Bread 3.20")
        with builder.part("sheet", "Empty"):
            pass
        with builder.part("sheet", "Costs"):
            builder.add("Flour 0.90")
    builder.add("What stands behind.")
    return builder.build()


def test_parts_hold_what_was_added_inside_and_empty_ones_are_not_kept(document: Document) -> None:
    held = {part.name: document.text[part.start : part.end].strip() for part in document.parts}

    assert held == {
        "reports/prices.xlsx": "Bread 3.20\n\nFlour 0.90",
        "Prices": "Bread 3.20",
        "Costs": "Flour 0.90",
    }
    assert [part.name for part in document.parts] == ["reports/prices.xlsx", "Prices", "Costs"]


def test_parts_survive_being_kept_on_disk(document: Document) -> None:
    assert load_document(dump_document(document)) == document


@pytest.mark.parametrize("strategy", ["paragraphs", "sentences", "characters", "tokens", "headings", "rows", "auto"])
def test_no_chunk_reaches_over_the_border_of_a_part(document: Document, strategy: str) -> None:
    chunks = chunkers.build(strategy, {}, counter=EstimatedCounter(8192)).chunk(document)

    assert [chunk.text for chunk in chunks] == [
        "What stands before.", "Bread 3.20", "Flour 0.90", "What stands behind.",
    ]  # fmt: skip


def test_chunks_are_named_by_the_parts_that_hold_them(document: Document) -> None:
    chunker = chunkers.build("paragraphs", {}, counter=EstimatedCounter(8192))
    route = ParseRoute("ArchiveParser", parsers.build("TextParser", {}), chunker, "paragraphs", 1000)
    identity = FileIdentity("shop", "ab" * 32, "shop.zip", "application/zip", 100, "generation-1")

    found = list(build_metadata(identity, document, chunker.chunk(document), route, []))

    member = "reports/prices.xlsx"
    wanted = [{}, {"member": member, "sheet": "Prices"}, {"member": member, "sheet": "Costs"}, {}]
    assert [{key: each[key] for key in ("member", "sheet") if key in each} for each in found] == wanted


def test_chunks_of_slides_carry_their_number() -> None:
    builder = DocumentBuilder("PresentationParser", ParseLimits())
    for number, text in enumerate(("First slide.", "Second slide."), start=1):
        with builder.page(number, "slide"):
            builder.add(text)
    document = builder.build()
    chunker = chunkers.build("paragraphs", {}, counter=EstimatedCounter(8192))
    route = ParseRoute("PresentationParser", parsers.build("TextParser", {}), chunker, "paragraphs", 1000)
    identity = FileIdentity("talks", "ab" * 32, "talk.pptx", "application/pptx", 100, "generation-1")

    found = list(build_metadata(identity, document, chunker.chunk(document), route, []))

    assert [(each["page_number"], each["slide_number"]) for each in found] == [(1, 1), (2, 2)]


def test_slides_inside_an_archive_stay_slides() -> None:
    talk, paper = (DocumentBuilder(name, ParseLimits()) for name in ("PresentationParser", "PDFParser"))
    with talk.page(1, "slide"):
        talk.add("First slide.")
    paper.add_page(1, "First page.")
    builder = DocumentBuilder("ArchiveParser", ParseLimits())
    for inner, name in ((talk.build(), "talk.pptx"), (paper.build(), "paper.pdf")):
        with builder.part("member", name):
            builder.add_heading(name, 1)
            builder.add_document(inner, "member", name)
    document = load_document(dump_document(builder.build()))
    chunker = chunkers.build("paragraphs", {}, counter=EstimatedCounter(8192))
    route = ParseRoute("ArchiveParser", parsers.build("TextParser", {}), chunker, "paragraphs", 1000)
    identity = FileIdentity("talks", "ab" * 32, "talks.zip", "application/zip", 100, "generation-1")

    found = list(build_metadata(identity, document, chunker.chunk(document), route, []))

    assert [place_of(each) for each in found] == ["member 'talk.pptx', slide 1", "member 'paper.pdf', page 1"]
