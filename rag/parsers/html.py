"""HTML pages: what a reader of the page sees, block by block."""

import re
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field
from selectolax.lexbor import LexborHTMLParser, LexborNode

from rag.errors import NoTextError, UnreadableFileError
from rag.parsers import media
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.builder import DocumentBuilder
from rag.parsers.decoding import check_size, clean, decode
from rag.parsers.html_table import Cell, HtmlTable
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
_CONTENT = frozenset({"article", "main", "section", "blockquote", "dialog"})
_FURNITURE_ROLES = frozenset({"navigation", "banner", "contentinfo", "search"})
_HIDDEN_STYLE = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_ABSOLUTE = re.compile(r"(?:https?://|mailto:)[^\s]", re.IGNORECASE)
_MAX_ADDRESS_CHARS = 1000
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
    """Scripts, styles, form controls and what is hidden are dropped; tables become Markdown tables; preformatted text
    keeps its lines."""

    media_types: ClassVar[frozenset[str]] = frozenset({media.HTML})

    class Options(ComponentOptions):
        encoding: str | None = Field(None, description="Overrules what the page declares, if it fits the bytes.")
        extract_metadata: bool = Field(True, description="Keep title, description and author as metadata.")
        extract_links: bool = Field(True, description="Write the address of a link behind its text.")
        main_content_only: bool = Field(
            True, description="Leave out menus, and headers and footers of the site, unless nothing else is there."
        )

    def __init__(self, options: Options) -> None:
        self.options = options

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        check_size(probe, limits)
        raw = probe.path.read_bytes()
        text, encoding, warnings = decode(raw, self.options.encoding or declared_charset(raw))
        builder = DocumentBuilder("HTMLParser", limits)
        options = self.options
        tree = add_page(
            builder,
            text,
            probe.filename,
            extract_links=options.extract_links,
            main_content_only=options.main_content_only,
        )
        if not builder.has_text:
            raise NoTextError(f"'{probe.filename}' has no text: the page has nothing to read without its scripts")
        on_progress(1, 1)
        facts = _facts(tree) | {"encoding": encoding} if self.options.extract_metadata else {}
        return builder.build(metadata=facts, warnings=warnings)


def add_page(
    builder: DocumentBuilder, text: str, filename: str, *, extract_links: bool = True, main_content_only: bool = True
) -> LexborHTMLParser:
    """Append what a reader of the page sees; the chapters of books are pages, too."""
    text = clean(text)
    _check_depth(text, filename)
    tree = LexborHTMLParser(text)
    if tree.root is not None:
        walk = _Walk(builder, extract_links=extract_links, main_content_only=main_content_only)
        walk.run(tree.root)
        if main_content_only and not walk.has_written:
            _Walk(builder, extract_links=extract_links, main_content_only=False).run(tree.root)
    return tree


def declared_charset(raw: bytes) -> str | None:
    """The character set that a meta element near the top names."""
    found = _META_CHARSET.search(raw[:_PRESCAN_BYTES])
    if found is None:
        return None
    name = found.group(1).decode("ascii", errors="replace").lower()
    # Browsers read these as Windows-1252, and pages rely on it.
    return "cp1252" if name in {"iso-8859-1", "latin1", "latin-1", "us-ascii", "ascii"} else name


def _check_depth(text: str, filename: str) -> None:
    """Refuse runs of open tags: the time to build the tree grows with the square of its depth."""
    if text.count("<") <= _MAX_DEPTH:
        return
    depth = 0
    for closing, name in _TAG.findall(text):
        if name.lower() not in _NOT_NESTING:
            depth = max(0, depth - 1) if closing else depth + 1
        if depth > _MAX_DEPTH:
            raise UnreadableFileError(f"'{filename}' is damaged: elements nest deeper than {_MAX_DEPTH:,} levels")


class _Walk:
    """One pass over the tree with a stack of its own: pages may be nested deeper than Python can recurse."""

    def __init__(self, builder: DocumentBuilder, *, extract_links: bool, main_content_only: bool) -> None:
        self._builder = builder
        self._extract_links = extract_links
        self._main_content_only = main_content_only
        self._content_depth = 0  # of open articles, sections and the like: their headers are not the site's
        self._links: list[int] = []  # per open link: where its text begins in `_inline`
        self._tables: list[HtmlTable] = []  # those that are open
        self.has_written = False
        self._inline: list[str] = []
        self._cells: list[Cell] | None = None
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
                self._leave(tag, node)
            elif tag == "-text":
                self._inline.append(self._text(node))
            elif not self._is_dropped(tag, node):
                self._enter(tag, node)
                stack.append((node, True))
                stack.extend((child, False) for child in reversed(list(node.iter(include_text=True))))
        self._flush()

    def _is_dropped(self, tag: str, node: LexborNode) -> bool:
        if tag in _DROPPED or tag.startswith(("-", "!")):
            return True
        attributes = node.attributes
        if attributes and _is_hidden(attributes):
            return True
        if not self._main_content_only:
            return False
        if tag == "nav" or (attributes and attributes.get("role") in _FURNITURE_ROLES):
            return True
        if self._content_depth or tag not in {"header", "footer"}:
            return False
        return tag == "footer" or node.css_first("h1") is None

    def _text(self, node: LexborNode) -> str:
        text = node.text_content or ""
        return text if self._pre_depth else _SPACE.sub(" ", text)

    def _enter(self, tag: str, node: LexborNode) -> None:
        if tag == "br":
            self._inline.append("\n")
        elif tag == "img":
            self._inline.append(" " + (node.attributes.get("alt") or "") + " ")
        elif tag == "a":
            self._links.append(len(self._inline))
        elif tag == "tr":
            self._flush()
            self._cells = []
        elif tag in _BLOCKS:
            self._soft_break()
            self._open_block(tag)

    def _open_block(self, tag: str) -> None:
        self._content_depth += tag in _CONTENT
        if tag == "table":
            if self._cells:  # in a cell of another one: what stands before it is a row of its own
                self._end_cell({})
                self._end_row()
            self._tables.append(HtmlTable())
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

    def _leave(self, tag: str, node: LexborNode) -> None:
        if tag == "a":
            self._end_link(node.attributes.get("href") or "")
        elif tag in {"td", "th"}:
            self._end_cell(node.attributes)
        elif tag == "tr":
            self._end_row()
        elif tag in _BLOCKS:
            self._soft_break(level=int(tag[1]) if re.fullmatch("h[1-6]", tag) else 0)
            self._close_block(tag)

    def _close_block(self, tag: str) -> None:
        self._content_depth -= tag in _CONTENT
        if tag == "pre":
            self._pre_depth -= 1
        elif tag == "li":
            self._prefix = ""
        elif tag in {"ul", "ol"} and self._lists:
            self._lists.pop()
        elif tag == "table" and self._tables:
            self._tables.pop()
        elif tag in {"thead", "tbody", "tfoot"} and self._tables:
            self._tables[-1].end_group()

    def _end_link(self, target: str) -> None:
        begin = self._links.pop() if self._links else 0
        address = "".join(target.split())
        if not self._extract_links or not _ABSOLUTE.match(address) or len(address) > _MAX_ADDRESS_CHARS:
            return
        address = address.removeprefix("mailto:")
        shown = "".join(self._inline[begin:])
        if _bare(address) not in _bare(shown):
            self._inline.append(f" ({address})")

    def _soft_break(self, *, level: int = 0) -> None:
        """End a block; inside a table cell it is only a space."""
        if self._cells is None:
            self._flush(level=level)
        else:
            self._inline.append(" ")

    def _end_cell(self, attributes: Mapping[str, str | None]) -> None:
        if self._cells is not None:
            self._cells.append(Cell.of(_SPACE.sub(" ", "".join(self._inline)).strip(), attributes))
            self._inline.clear()
        else:  # the cell of a layout table, whose inner table has ended its row
            self._flush()

    def _end_row(self) -> None:
        cells, self._cells = self._cells or [], None
        self._inline.clear()
        table = self._tables[-1] if self._tables else HtmlTable()
        if not (texts := table.place(cells)):
            return
        self._add("| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |", is_item=True)
        if self._tables and table.row_count == 1 and len(texts) > 1:
            self._add("| " + " | ".join(["---"] * len(texts)) + " |", is_item=True)

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
            self.has_written = True
            self._after_item = False
        else:
            self._add(prefix + text, is_item=bool(prefix))

    def _add(self, text: str, *, is_item: bool) -> None:
        self.has_written = True
        self._builder.add(text, separator="\n" if is_item and self._after_item else "\n\n")
        self._after_item = is_item


def _facts(tree: LexborHTMLParser) -> dict[str, str]:
    title = tree.css_first("title")
    facts = {"title": title.text() if title is not None else ""}
    for name in ("description", "author"):
        meta = tree.css_first(f'meta[name="{name}"]')
        facts[name] = (meta.attributes.get("content") or "") if meta is not None else ""
    return {key: " ".join(value.split()) for key, value in facts.items() if value.strip()}


def _is_hidden(attributes: Mapping[str, str | None]) -> bool:
    if "hidden" in attributes or attributes.get("aria-hidden") == "true":
        return True
    style = attributes.get("style")
    return bool(style) and _HIDDEN_STYLE.search(style or "") is not None


def _bare(address: str) -> str:
    """An address without what people leave out when they write it."""
    return "".join(address.lower().split()).split("://", 1)[-1].removeprefix("www.").rstrip("/")
