"""Chooses among the parsers by what a file is."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from rag.errors import NoTextError, UnreadableFileError
from rag.parsers import media, parsers
from rag.parsers.base import FileProbe, ParseLimits, Parser, ProgressCallback, naming, no_progress
from rag.parsers.detect import remedy
from rag.parsers.ocr import OcrLanguages, UseOcr
from rag.registry import ComponentOptions, NoEffect
from rag.types import Document

_SPECIFIC = tuple(name for name in parsers if name not in {"TextParser", "UniversalParser"})
_ORDER = (*_SPECIFIC, "TextParser")  # reads every text, so it comes when nobody knows better


def parser_for(probe: FileProbe, options: Mapping[str, Any] | None = None) -> Parser | None:
    """The parser that fits the file best; None if no parser reads its format.

    Args:
        options: given to it as far as it knows them; all others keep their defaults.
    """
    for name in _ORDER:
        factory: Any = parsers.load(name)
        if probe.media_type in factory.media_types:
            known = factory.Options.model_fields
            parser = parsers.build(name, {key: value for key, value in (options or {}).items() if key in known})
            if parser.accepts(probe):
                return parser
    return None


class UniversalParser:
    """Reads whatever any other parser reads; `Document.parser` names the one that did."""

    media_types: ClassVar[frozenset[str]] = frozenset[str]().union(*(parsers.load(name).media_types for name in _ORDER))

    class Options(ComponentOptions):
        without_effect: ClassVar[Mapping[str, NoEffect]] = {
            "ocr_endpoint": NoEffect((), "pictures are read by Tesseract, on the machine of the workers"),
        }

        use_ocr: UseOcr = True
        ocr_languages: OcrLanguages = "eng"
        extract_metadata: bool = Field(True, description="Keep title, author and the like as metadata.")

    def __init__(self, options: Options) -> None:
        self.options = options

    @classmethod
    def with_options(cls, values: Mapping[str, Any]) -> "UniversalParser":
        """For files inside of files: they are read with the options of the outer one."""
        known = {key: value for key, value in values.items() if key in cls.Options.model_fields}
        return cls(cls.Options.model_validate(known))

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        if probe.media_type == media.EMPTY:
            raise NoTextError(f"'{probe.filename}' has no text: the file is empty")
        parser = parser_for(probe, self.options.model_dump())
        if parser is None:
            raise UnreadableFileError(
                f"'{probe.filename}' is {probe.media_type}, a format without a parser{remedy(probe)}"
            )
        with naming(probe.filename):
            return parser.parse(probe, limits, on_progress)
