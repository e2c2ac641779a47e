"""Source code: the text stays as it is written; classes and functions are its headings."""

from typing import ClassVar

from pydantic import Field

from rag.parsers import media
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.code_outline import outline
from rag.parsers.decoding import read_text
from rag.parsers.languages import language_of
from rag.registry import ComponentOptions
from rag.types import Document


class CodeParser:
    """A heading stands where its declaration begins, with the comment above it; a method is under its class.

    Nothing is run or compiled: declarations are recognised by how each language writes them, also in broken code.
    """

    media_types: ClassVar[frozenset[str]] = frozenset({media.CODE})

    class Options(ComponentOptions):
        encoding: str | None = Field(None, description="Tried first; detected when absent or when it does not fit.")
        extract_metadata: bool = Field(True, description="Keep the name of the language as metadata.")

    def __init__(self, options: Options) -> None:
        self.options = options

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        text, _, warnings = read_text(probe, limits, encoding=self.options.encoding)
        language = language_of(probe.filename, probe.head) or ""
        headings = tuple(outline(text, language))
        on_progress(1, 1)
        metadata = {"language": language} if language and self.options.extract_metadata else {}
        return Document(text=text, parser="CodeParser", headings=headings, metadata=metadata, warnings=warnings)
