"""Headings inside a chunk, from the parser's outline or from Markdown signs in the text."""

import re

from pydantic import AliasChoices, Field

from rag.extractors.options import ExtractorOptions
from rag.extractors.per_document import PerDocument
from rag.types import Document, Scalar

_MARKDOWN = re.compile(r"^ {0,3}(#{1,6})[ \t]+([^\n]*)", re.MULTILINE)
_CAPITALS = re.compile(r"[A-Z0-9][A-Z0-9 ,:&/()'-]{2,120}")


class HeadingExtractor:
    class Options(ExtractorOptions):
        max_level: int = Field(6, ge=1, le=6, description="Deepest level that is kept.")
        min_heading_length: int = Field(3, ge=1, description="Characters of the shortest heading kept.")
        max_heading_length: int = Field(200, ge=1, description="Characters of the longest heading kept.")
        include_hierarchy: bool = Field(True, description="Adds the level of each heading.")
        extract_outline: bool = Field(
            True,
            validation_alias=AliasChoices("extract_outline", "generate_toc"),
            description="Adds an indented outline.",
        )
        extract_caps_headings: bool = Field(
            False, description="Lines in capitals are headings too, where no other heading is found."
        )
        enabled: bool = True

    def __init__(self, options: Options) -> None:
        self._options = options
        self._levels = PerDocument(_levels)

    def extract(self, text: str, document: Document) -> dict[str, Scalar | list[str]]:
        options = self._options
        headings = [
            (level, title)
            for level, title in (self._found(text, document) if options.enabled else [])
            if level <= options.max_level and options.min_heading_length <= len(title) <= options.max_heading_length
        ]
        if not headings:
            return {}
        result: dict[str, Scalar | list[str]] = {
            "headings": [title for _, title in headings],
            "heading_count": len(headings),
        }
        if options.include_hierarchy:
            result["heading_levels"] = [str(level) for level, _ in headings]
        if options.extract_outline:
            result["outline"] = "\n".join("  " * (level - 1) + title for level, title in headings)
        return result

    def _found(self, text: str, document: Document) -> list[tuple[int, str]]:
        marked = [(len(match[1]), match[2].strip().rstrip("#").strip()) for match in _MARKDOWN.finditer(text)]
        if marked or not document.headings:
            return marked or self._in_capitals(text)
        levels = self._levels.of(document)
        lines = dict.fromkeys(line.strip() for line in text.splitlines())
        return [(levels[line], line) for line in lines if line in levels] or self._in_capitals(text)

    def _in_capitals(self, text: str) -> list[tuple[int, str]]:
        if not self._options.extract_caps_headings:
            return []
        lines = (line.strip() for line in text.splitlines())
        return [(1, line) for line in lines if _CAPITALS.fullmatch(line) and sum(map(str.isalpha, line)) > 2]


def _levels(document: Document) -> dict[str, int]:
    return {heading.title.strip(): heading.level for heading in document.headings}
