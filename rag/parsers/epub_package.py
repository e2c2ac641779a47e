"""What an EPUB says of itself: which pages it has, in which order, and what its chapters are called."""

import posixpath
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from selectolax.lexbor import LexborHTMLParser

from rag.errors import EncryptedFileError
from rag.parsers.decoding import clean, decode
from rag.parsers.markup import parse_markup

_CONTAINER: Final = "META-INF/container.xml"
_ENCRYPTION: Final = "META-INF/encryption.xml"
_FONT_KEYS: Final = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
"""Ways to scramble fonts, which no one needs to read the words."""
_SELF_CLOSED: Final = re.compile(r"<([a-zA-Z][\w:-]*)((?:\s[^<>]*)?)/>")
_VOID: Final = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
)
_DC: Final = "{http://purl.org/dc/elements/1.1/}"
_PAGES: Final = frozenset({"application/xhtml+xml", "text/html", "application/x-dtbook+xml"})


@dataclass(frozen=True, slots=True)
class Page:
    """`chapter` is its name in the table of contents; None for the pages that go on with the chapter before."""

    part: str
    chapter: str | None


class Book:
    """Raises EncryptedFileError for one that is locked, KeyError or SyntaxError for a damaged one."""

    def __init__(self, archive: zipfile.ZipFile, filename: str) -> None:
        self._archive = archive
        self._names = set(archive.namelist())
        self._check_rights(filename)
        rootfile = next(parse_markup(archive.read(_CONTAINER)).iter("{*}rootfile"), None)
        if rootfile is None:
            raise KeyError("it does not say where its table of pages is")
        self._folder = posixpath.dirname(rootfile.get("full-path") or "")
        self._package = parse_markup(archive.read(rootfile.get("full-path") or ""))
        self._manifest = {each.get("id"): each for each in self._package.iter("{*}item")}

    @property
    def facts(self) -> dict[str, str]:
        creators = ", ".join(_line(each.text) for each in self._package.iter(f"{_DC}creator") if each.text)
        values = {"title": self._package.findtext(f".//{_DC}title"), "author": creators}
        values["language"] = self._package.findtext(f".//{_DC}language")
        return {key: text for key, value in values.items() if (text := _line(value))}

    def pages(self) -> list[Page]:
        """In reading order, without cover and table of contents."""
        chapters = self._chapters()
        skipped = set(self._apparatus())
        entries = (self._manifest.get(each.get("idref")) for each in self._package.iter("{*}itemref"))
        parts = [self._part(each) for each in entries if each is not None and each.get("media-type") in _PAGES]
        return [Page(part, chapters.get(part)) for part in dict.fromkeys(parts) if part not in skipped]

    def text(self, part: str) -> str | None:
        """As HTML; None for a page that is listed and not there."""
        return _as_html(decode(self._archive.read(part))[0]) if part in self._names else None

    def _check_rights(self, filename: str) -> None:
        if _ENCRYPTION not in self._names:
            return
        root = parse_markup(self._archive.read(_ENCRYPTION))
        methods = [each.get("Algorithm") for each in root.iterfind(".//{*}EncryptedData/{*}EncryptionMethod")]
        if any(method not in _FONT_KEYS for method in methods):
            raise EncryptedFileError(f"'{filename}' is locked by its seller (DRM); its text cannot be read")

    def _part(self, item: Any) -> str:
        return posixpath.normpath(posixpath.join(self._folder, unquote(item.get("href") or "")))

    def _apparatus(self) -> Iterator[str]:
        for item in self._manifest.values():
            if "nav" in (item.get("properties") or "").split():
                yield self._part(item)
        for reference in self._package.iter("{*}reference"):
            if reference.get("type") in {"cover", "toc"}:
                yield _target(self._folder, reference.get("href"))

    def _chapters(self) -> dict[str, str]:
        """Page → the first name that the table of contents has for it."""
        for item in self._manifest.values():
            part = self._part(item)
            if "nav" in (item.get("properties") or "").split() and (text := self.text(part)) is not None:
                return _named(_nav_entries(text), posixpath.dirname(part))
        for item in self._manifest.values():
            part = self._part(item)
            if item.get("media-type") == "application/x-dtbncx+xml" and part in self._names:
                return _named(_ncx_entries(parse_markup(self._archive.read(part))), posixpath.dirname(part))
        return {}


def _named(entries: Iterator[tuple[str | None, str]], folder: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for href, label in entries:
        if label:
            found.setdefault(_target(folder, href), label)
    return found


def _nav_entries(text: str) -> Iterator[tuple[str | None, str]]:
    """Only of the table of contents: a list of pages or of landmarks has other names."""
    navs = LexborHTMLParser(clean(text)).css("nav")
    contents = [nav for nav in navs if "toc" in (nav.attributes.get("epub:type") or "").split()] or navs[:1]
    for nav in contents:
        for link in nav.css("a"):
            yield link.attributes.get("href"), _line(link.text())


def _ncx_entries(root: Any) -> Iterator[tuple[str | None, str]]:
    for point in root.iter("{*}navPoint"):
        content = point.find("{*}content")
        yield None if content is None else content.get("src"), _line(point.findtext("{*}navLabel/{*}text"))


def _as_html(text: str) -> str:
    """Books are XML, where any element may close itself; in HTML an empty title would swallow the page."""
    return _SELF_CLOSED.sub(
        lambda found: found[0] if found[1].lower() in _VOID else f"<{found[1]}{found[2]}></{found[1]}>", text
    )


def _target(folder: str, href: str | None) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote((href or "").partition("#")[0])))


def _line(text: str | None) -> str:
    return " ".join(clean(text or "").split())
