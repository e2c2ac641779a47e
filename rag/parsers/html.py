"""HTML pages: what a reader of the page sees, block by block."""

import re
from typing import ClassVar

from pydantic import Field
from selectolax.lexbor import LexborHTMLParser, LexborNode

from rag.errors import NoTextError, UnreadableFileError
from rag.parsers import media
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.builder import DocumentBuilder
from rag.parsers.decoding import check_size, clean, decode
from rag.registry import ComponentOptions
from rag.types import Document

_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_PRESCAN_BYTES = 4096
_DROPPED = frozenset({"script", "style", "noscript", "template", "head", "svg", "iframe", "object", "select", "button"})
_BLOCKS = frozenset(
    {
        "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "div",
        "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header",
        "hr", "html", "legend", "li", "main", "nav", "ol", "p", "pre", "section", "summary", "table", "tbody", "tfoot",
        "thead", "tr", "ul",
    }
)  # fmt: skip
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_NOT_NESTING = frozenset(
    {
        "area", "base", "br", "col", "dd", "dt", "embed", "hr", "img", "input", "li", "link", "meta", "option", "p",
        "param", "path", "source", "tbody", "td", "tfoot", "th", "thead", "tr", "track", "wbr",
    }
)  # fmt: skip
_MAX_DEPTH = 10_000
_SPACE = re.compile(r"[ \t\n\f\u00a0]+")
_OUTER_SPACE = " \t\n"


class HTMLParser:
    """Scripts, styles and form controls are dropped; table rows become pipe rows; preformatted text keeps its lines."""

    media_types: ClassVar[frozenset[str]] = frozenset({media.HTML})

    class Options(ComponentOptions):
        encoding: str | None = Field(None, description="Overrules what the page declares, if it fits the bytes.")
        extract_metadata: bool = Field(True, description="Keep title, description and author as metadata.")

    def __init__(self, options: Options) -> None:
        self.options = options

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        check_size(probe, limits)
        raw = probe.path.read_bytes()
        text, encoding = decode(raw, self.options.encoding or declared_charset(raw))
        text = clean(text)
        _check_depth(text, probe)
        tree = LexborHTMLParser(text)
        builder = DocumentBuilder("HTMLParser", limits)
        if tree.root is not None:
            _Walk(builder).run(tree.root)
        if not builder.has_text:
            raise NoTextError(f"'{probe.filename}' has no text: the page has nothing to read without its scripts")
        on_progress(1, 1)
        facts = _facts(tree) | {"encoding": encoding} if self.options.extract_metadata else {}
        return builder.build(metadata=facts)


def declared_charset(raw: bytes) -> str | None:
    """The character set that a meta element near the top names."""
    found = _META_CHARSET.search(raw[:_PRESCAN_BYTES])
    if found is None:
        return None
    name = found.group(1).decode("ascii", errors="replace").lower()
    # Browsers read these as Windows-1252, and pages rely on it.
    return "cp1252" if name in {"iso-8859-1", "latin1", "latin-1", "us-ascii", "ascii"} else name


def _check_depth(text: str, probe: FileProbe) -> None:
    """Refuse runs of open tags: the time to build the tree grows with the square of its depth."""
    if text.count("<") <= _MAX_DEPTH:
        return
    depth = 0
    for closing, name in _TAG.findall(text):
        if name.lower() not in _NOT_NESTING:
            depth = max(0, depth - 1) if closing else depth + 1
        if depth > _MAX_DEPTH:
            raise UnreadableFileError(f"'{probe.filename}' is damaged: elements nest deeper than {_MAX_DEPTH:,} levels")


class _Walk:
    """One pass over the tree with a stack of its own: pages may be nested deeper than Python can recurse."""

    def __init__(self, builder: DocumentBuilder) -> None:
        self._builder = builder
        self._inline: list[str] = []
        self._cells: list[str] | None = None
        self._lists: list[int | None] = []  # per open list: the next number, or None for bullets
        self._prefix = ""
        self._pre_depth = 0
        self._after_item = False

    def run(self, root: LexborNode) -> None:
        stack: list[tuple[LexborNode, bool]] = [(root, False)]
        while stack:
            node, is_leaving = stack.pop()
            tag = node.tag or ""
            if is_leaving:
                self._leave(tag)
            elif tag == "-text":
                self._inline.append(self._text(node))
            elif tag not in _DROPPED and not tag.startswith(("-", "!")):
                self._enter(tag, node)
                stack.append((node, True))
                stack.extend((child, False) for child in reversed(list(node.iter(include_text=True))))
        self._flush()

    def _text(self, node: LexborNode) -> str:
        text = node.text_content or ""
        return text if self._pre_depth else _SPACE.sub(" ", text)

    def _enter(self, tag: str, node: LexborNode) -> None:
        if tag == "br":
            self._inline.append("\n")
        elif tag == "img":
            self._inline.append(" " + (node.attributes.get("alt") or "") + " ")
        elif tag == "tr":
            self._flush()
            self._cells = []
        elif tag in _BLOCKS:
            self._soft_break()
            self._open_block(tag)

    def _open_block(self, tag: str) -> None:
        if tag == "pre":
            self._pre_depth += 1
        elif tag in {"ul", "ol"}:
            self._lists.append(1 if tag == "ol" else None)
        elif tag == "li" and self._cells is None:
            self._prefix = self._bullet()

    def _bullet(self) -> str:
        indent = "  " * max(0, len(self._lists) - 1)
        number = self._lists[-1] if self._lists else None
        if number is None:
            return indent + "- "
        self._lists[-1] = number + 1
        return f"{indent}{number}. "

    def _leave(self, tag: str) -> None:
        if tag in {"td", "th"}:
            self._end_cell()
        elif tag == "tr":
            self._end_row()
        elif tag in _BLOCKS:
            level = int(tag[1]) if re.fullmatch("h[1-6]", tag) else 0
            self._soft_break(level=level)
            if tag == "pre":
                self._pre_depth -= 1
            elif tag == "li":
                self._prefix = ""
            elif tag in {"ul", "ol"} and self._lists:
                self._lists.pop()

    def _soft_break(self, *, level: int = 0) -> None:
        """End a block; inside a table cell it is only a space."""
        if self._cells is None:
            self._flush(level=level)
        else:
            self._inline.append(" ")

    def _end_cell(self) -> None:
        if self._cells is not None:
            self._cells.append(_SPACE.sub(" ", "".join(self._inline)).strip())
            self._inline.clear()
        else:  # the cell of a layout table, whose inner table has ended its row
            self._flush()

    def _end_row(self) -> None:
        cells, self._cells = self._cells or [], None
        self._inline.clear()
        if any(cells):
            self._add("| " + " | ".join(cells) + " |", is_item=True)

    def _flush(self, *, level: int = 0) -> None:
        joined = "".join(self._inline)
        self._inline.clear()
        lines = (
            joined.split("\n")
            if self._pre_depth
            else [re.sub(" {2,}", " ", part).strip() for part in joined.split("\n")]
        )
        text = "\n".join(lines).strip("\n" if self._pre_depth else _OUTER_SPACE)
        if not text.strip():
            return
        prefix, self._prefix = self._prefix, ""
        if level:
            self._builder.add_heading(" ".join(text.split()), level)
            self._after_item = False
        else:
            self._add(prefix + text, is_item=bool(prefix))

    def _add(self, text: str, *, is_item: bool) -> None:
        self._builder.add(text, separator="\n" if is_item and self._after_item else "\n\n")
        self._after_item = is_item


def _facts(tree: LexborHTMLParser) -> dict[str, str]:
    title = tree.css_first("title")
    facts = {"title": title.text() if title is not None else ""}
    for name in ("description", "author"):
        meta = tree.css_first(f'meta[name="{name}"]')
        facts[name] = (meta.attributes.get("content") or "") if meta is not None else ""
    return {key: " ".join(value.split()) for key, value in facts.items() if value.strip()}
