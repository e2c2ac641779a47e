"""Plain text in any encoding; other text formats are read as they are written."""

import re
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from rag.parsers import media
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.decoding import read_text
from rag.registry import ComponentOptions, NoEffect
from rag.types import Document

_TRAILING_SPACE = re.compile(r"(?<![ \t])[ \t]++\n")  # tried once per run of spaces: a run may be megabytes long
_BLANK_LINES = re.compile(r"\n{4,}")


class TextParser:
    media_types: ClassVar[frozenset[str]] = media.TEXT_TYPES

    class Options(ComponentOptions):
        without_effect: ClassVar[Mapping[str, NoEffect]] = {
            "token_model": NoEffect((), "tokens are counted by the tokenizer of the embedding model"),
            "preserve_code_structure": NoEffect((True,), "chunk_strategy: code cuts between functions and classes"),
            "detect_language": NoEffect((True,), "chunk_strategy: code takes the language from the file's name"),
            "include_prev_next_rel": NoEffect((True,), "chunks are always numbered, so that each knows its neighbours"),
        }

        encoding: str | None = Field(None, description="Tried first; detected when absent or when it does not fit.")
        clean_text: bool = Field(True, description="Drop spaces at line ends and runs of more than two blank lines.")
        extract_metadata: bool = Field(True, description="Keep the encoding as metadata.")

    def __init__(self, options: Options) -> None:
        self.options = options

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        text, encoding, warnings = read_text(probe, limits, encoding=self.options.encoding)
        if self.options.clean_text:
            text = _tidy(text)
        on_progress(1, 1)
        metadata = {"encoding": encoding} if self.options.extract_metadata else {}
        return Document(text=text, parser="TextParser", metadata=metadata, warnings=warnings)


def _tidy(text: str) -> str:
    # The look first is worth it: a text of 50 MB without such ends takes no pass of a regular expression.
    if " \n" in text or "\t\n" in text:
        text = _TRAILING_SPACE.sub("\n", text)
    if "\n\n\n\n" in text:
        text = _BLANK_LINES.sub("\n\n\n", text)
    return text.rstrip()
