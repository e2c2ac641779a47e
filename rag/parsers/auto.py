"""Chooses among the parsers by what a file is."""

from typing import ClassVar

from rag.errors import NoTextError, UnreadableFileError
from rag.parsers import media, parsers
from rag.parsers.base import FileProbe, ParseLimits, Parser, ProgressCallback, no_progress
from rag.registry import ComponentOptions
from rag.types import Document

_SPECIFIC = tuple(name for name in parsers if name not in {"TextParser", "UniversalParser"})
_ORDER = (*_SPECIFIC, "TextParser")  # reads every text, so it comes when nobody knows better


def parser_for(probe: FileProbe) -> Parser | None:
    """The parser with default options that fits the file best; None if no parser reads its format."""
    for name in _ORDER:
        if probe.media_type in parsers.load(name).media_types:
            parser = parsers.build(name, {})
            if parser.accepts(probe):
                return parser
    return None


class UniversalParser:
    """Reads whatever any other parser reads; `Document.parser` names the one that did."""

    media_types: ClassVar[frozenset[str]] = frozenset[str]().union(*(parsers.load(name).media_types for name in _ORDER))

    class Options(ComponentOptions):
        pass

    def __init__(self, options: Options) -> None:
        self.options = options

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        if probe.media_type == media.EMPTY:
            raise NoTextError(f"'{probe.filename}' has no text: the file is empty")
        parser = parser_for(probe)
        if parser is None:
            raise UnreadableFileError(f"'{probe.filename}' is {probe.media_type}, a format without a parser")
        return parser.parse(probe, limits, on_progress)
