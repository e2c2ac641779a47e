"""XML of any kind: prose (DocBook and the like) as paragraphs under headings, data as lines of `name: value`."""

from dataclasses import dataclass, field
from typing import ClassVar, Final

from lxml import etree
from selectolax.lexbor import LexborHTMLParser

from rag.errors import NoTextError, UnreadableFileError
from rag.parsers import media
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.builder import DocumentBuilder
from rag.parsers.decoding import check_length, check_size, clean
from rag.registry import ComponentOptions
from rag.types import Document

_PIECE_BYTES = 65_536
_SVG = "{http://www.w3.org/2000/svg}"
_PROSE: Final = frozenset(
    {
        "abstract", "article", "blockquote", "body", "chapter", "content", "div", "entry", "formalpara", "head",
        "itemizedlist", "item", "li", "line", "listitem", "literallayout", "note", "orderedlist", "p", "para",
        "paragraph", "part", "preface", "programlisting", "row", "screen", "sec", "section", "simpara", "span",
        "summary", "td", "term", "text", "tip", "title", "tspan", "ul", "warning",
    }
)  # fmt: skip
"""Elements whose names say nothing about their text."""
_WRAPPERS: Final = frozenset(
    {
        "articleinfo",
        "bookinfo",
        "chapterinfo",
        "front",
        "article-meta",
        "head",
        "info",
        "rss",
        "sectioninfo",
        "title-group",
    }
)
"""Elements around a title that are no section of their own."""
_TITLES: Final = frozenset({"title", "article-title"})
_SILENT_ATTRIBUTES: Final = frozenset({"class", "style", "space", "schemaLocation", "version"})
_MAX_ATTRIBUTE_CHARS = 300
_MAX_HEADING_CHARS = 300
_RECORD_DEPTH = 2
_MAX_DEPTH = 200
_MAX_LABEL_CHARS = 120


class XMLParser:
    """Each child of the root begins a paragraph. Entities from other files and from the network are never loaded."""

    media_types: ClassVar[frozenset[str]] = frozenset({media.XML})

    class Options(ComponentOptions):
        pass

    def __init__(self, options: Options) -> None:
        self.options = options

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        check_size(probe, limits)
        builder = DocumentBuilder("XMLParser", limits)
        reader = _Reader(builder, limits)
        parser = etree.XMLParser(
            target=reader, resolve_entities="internal", no_network=True, load_dtd=False, huge_tree=False,
            remove_comments=True, remove_pis=True,
        )  # fmt: skip
        done = 0
        try:
            with probe.path.open("rb") as stream:
                while piece := stream.read(_PIECE_BYTES):
                    parser.feed(piece)
                    done += len(piece)
                    on_progress(done, probe.size_bytes)
            parser.close()
        except etree.XMLSyntaxError as error:
            reason = str(error.msg or "it ends too early").partition(", line ")[0]
            if "amplification" in reason.casefold():
                reason = "its entities stand for far more text than the file holds, and are not read"
            place = f"line {error.lineno}" if error.lineno else "at its end"
            raise UnreadableFileError(f"'{probe.filename}' is not valid XML: {place}: {clean(reason)}") from error
        except (ValueError, LookupError) as error:  # a declared encoding that is not known
            raise UnreadableFileError(f"'{probe.filename}' is not valid XML: {clean(str(error))}") from error
        if not builder.has_text:
            raise NoTextError(f"'{probe.filename}' has no text: its elements are empty")
        return builder.build(metadata={"xml_root": reader.root})


@dataclass(slots=True)
class _Line:
    text: str
    level: int = 0
    """Of a heading; 0 for text."""


@dataclass(slots=True)
class _Element:
    name: str
    attributes: dict[str, str]
    is_drawing: bool
    has_words: bool = False
    """Whether there is text between its children."""
    texts: list[str] = field(default_factory=list)
    lines: list[_Line] = field(default_factory=list)


class _Reader:
    """Called by the XML parser for each tag and text; keeps no tree, only what is open."""

    def __init__(self, builder: DocumentBuilder, limits: ParseLimits) -> None:
        self.root = ""
        self._builder = builder
        self._limits = limits
        self._open: list[_Element] = []
        self._pending_chars = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= _MAX_DEPTH:
            raise etree.XMLSyntaxError(f"elements nest deeper than {_MAX_DEPTH} levels", 0, 0, 0)
        name = _local(tag)
        kept = {} if tag.startswith(_SVG) else _data_of(attributes)
        self._open.append(_Element(name, kept, tag.startswith(_SVG)))
        self.root = self.root or clean(name)

    def data(self, text: str) -> None:
        self._count(text)
        top = self._open[-1]
        top.texts.append(text)
        top.has_words = top.has_words or not text.isspace()

    def end(self, _tag: str) -> None:
        element = self._open.pop()
        lines = self._lines_of(element)
        if not self._open:
            self._flush(lines)
        elif len(self._open) < _RECORD_DEPTH:
            self._flush(_with_name(element, lines))
        else:
            parent = self._open[-1]
            parent.lines.extend(lines)
            parent.texts.append(" " + "".join(element.texts) + " " if _is_block(element) else "".join(element.texts))

    def close(self) -> None:
        """Nothing is left to do: the root's end has written the last of it."""

    def _count(self, text: str) -> None:
        self._pending_chars += len(text)
        check_length(self._pending_chars, self._limits)

    def _lines_of(self, element: _Element) -> list[_Line]:
        if not element.has_words:
            own = "; ".join(f"{key}: {value}" for key, value in element.attributes.items())
            return [*([_Line(f"{self._label(element)}: {own}")] if own and self._open else []), *element.lines]
        text = clean(" ".join(_plain("".join(element.texts)).split()))
        if not text:
            return []
        if element.name in _TITLES and not element.is_drawing and len(text) <= _MAX_HEADING_CHARS:
            return [_Line(text, self._level())]
        if element.name in _PROSE or element.is_drawing:
            return [_Line(text)]
        own = ", ".join(f"{key}: {value}" for key, value in element.attributes.items())
        return [_Line(f"{self._label(element)}{f' ({own})' if own else ''}: {text}")]

    def _label(self, element: _Element) -> str:
        """Its name, and that of the element around it below a child of the root."""
        above = [each.name for each in self._open[_RECORD_DEPTH:] if each.name not in _PROSE]
        return clean(".".join([*above[-1:], element.name]))[-_MAX_LABEL_CHARS:]

    def _level(self) -> int:
        sections = [each for each in self._open if each.name not in _WRAPPERS]
        return max(1, len(sections))

    def _flush(self, lines: list[_Line]) -> None:
        is_first = True
        for line in lines:
            if line.level:
                self._builder.add_heading(line.text, line.level)
                is_first = True
            elif line.text:
                self._builder.add(line.text, separator="\n\n" if is_first else "\n")
                is_first = False


def _with_name(element: _Element, lines: list[_Line]) -> list[_Line]:
    """A record of several lines under its own name and attributes, unless a title says more."""
    if len(lines) < 2 or element.name in _PROSE or any(line.level for line in lines):
        return lines
    if element.attributes and not element.has_words:
        return lines  # they are the first line
    return [_Line(clean(element.name)), *lines]


def _is_block(element: _Element) -> bool:
    return bool(element.lines) or element.name in _PROSE


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _data_of(attributes: dict[str, str]) -> dict[str, str]:
    """Attributes that say something: not how it looks, and no drawings or pictures in letters."""
    found: dict[str, str] = {}
    for key, value in attributes.items():
        name, shown = _local(key), clean(" ".join(value[: _MAX_ATTRIBUTE_CHARS + 1].split()))
        if shown and name not in _SILENT_ATTRIBUTES and len(value) <= _MAX_ATTRIBUTE_CHARS:
            found[name] = shown
    return found


def _plain(text: str) -> str:
    """The text of HTML that feeds keep inside of an element."""
    if "</" not in text and "/>" not in text:
        return text
    body = LexborHTMLParser(text).body
    return body.text(separator=" ") if body is not None else text
