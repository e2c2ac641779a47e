"""Presentations (PowerPoint, OpenDocument): titles as headings, shapes in the order people read them, notes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from pydantic import Field

from rag.errors import LimitExceededError, NoTextError
from rag.parsers import media
from rag.parsers.archive import check_archive
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.builder import DocumentBuilder
from rag.parsers.odf import facts_of, opened_odf
from rag.parsers.odp_slides import OdpSlides
from rag.parsers.opc import opened_package
from rag.parsers.pptx_slides import PptxSlides
from rag.parsers.slides import Slide
from rag.registry import ComponentOptions
from rag.types import Document


class PresentationParser:
    """Chunks cite the slide. Tables become Markdown tables, charts a table of their values, diagrams a list.
    A slide without a title is called by its number. Slide numbers, dates, footers and animations are not read.
    """

    media_types: ClassVar[frozenset[str]] = frozenset({media.PPTX, media.ODP})

    class Options(ComponentOptions):
        extract_notes: bool = Field(True, description="Read the speaker's notes, after their slide.")
        extract_comments: bool = Field(False, description="Read reviewers' comments, after their slide.")
        extract_images: bool = Field(False, description="Read the descriptions (alternative texts) of pictures.")
        hidden_slides: bool = Field(True, description="Read slides that are hidden in the show; a warning names them.")
        extract_metadata: bool = Field(True, description="Keep title, author and subject as metadata.")

    def __init__(self, options: Options) -> None:
        self.options = options

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        check_archive(probe, limits)
        builder = DocumentBuilder("PresentationParser", limits)
        empty: list[int] = []
        hidden: list[int] = []
        with self._opened(probe) as (slides, facts):
            if len(slides) > limits.max_pages:
                raise LimitExceededError(
                    f"'{probe.filename}' has {len(slides):,} slides, more than {limits.max_pages:,} (LF_MAX_PAGES)"
                )
            for number, slide in enumerate(slides, start=1):
                hidden += [number] if slide.is_hidden else []
                with builder.page(number, "slide"):
                    if not self._add_slide(builder, number, slide):
                        empty.append(number)
                on_progress(number, len(slides))
        if not builder.has_text:
            raise NoTextError(f"'{probe.filename}' has no text: no slide holds words (only pictures?)")
        return builder.build(
            metadata=facts if self.options.extract_metadata else {},
            page_count=len(slides),
            empty_pages=empty,
            warnings=_said(hidden, self.options.hidden_slides),
        )

    @contextmanager
    def _opened(self, probe: FileProbe) -> Iterator[tuple[PptxSlides | OdpSlides, dict[str, str]]]:
        options = self.options
        if probe.media_type == media.ODP:
            with opened_odf(probe) as archive:
                yield (
                    OdpSlides(archive, with_comments=options.extract_comments, with_pictures=options.extract_images),
                    facts_of(archive),
                )
        else:
            with opened_package(probe) as package:
                yield PptxSlides(package, with_pictures=options.extract_images), package.facts()

    def _add_slide(self, builder: DocumentBuilder, number: int, slide: Slide) -> bool:
        """Says whether there was anything to add."""
        if slide.is_hidden and not self.options.hidden_slides:
            return True
        blocks = list(slide.blocks)
        if slide.notes and self.options.extract_notes:
            blocks.append(f"Notes: {slide.notes}")
        if self.options.extract_comments:
            blocks += [f"[Comment: {text}]" for text in slide.comments]
        if slide.title or blocks:
            builder.add_heading(slide.title or f"Slide {number}", 1)
        for block in blocks:
            builder.add(block)
        return bool(slide.title or blocks)


def _said(hidden: list[int], are_read: bool) -> list[str]:
    if not hidden:
        return []
    numbers = f"{'slide' if len(hidden) == 1 else 'slides'} {', '.join(map(str, hidden))}"
    return [f"Hidden in the show, and {'read all the same' if are_read else 'left out'}: {numbers}."]
