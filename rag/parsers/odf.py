"""OpenDocument files: packages, paragraphs and what their styles say."""

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from rag.errors import EncryptedFileError
from rag.parsers.archive import readable_package
from rag.parsers.base import FileProbe
from rag.parsers.decoding import clean
from rag.parsers.markup import linked, parse_markup

OFFICE: Final = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
TEXT: Final = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
TABLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
STYLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
DRAW: Final = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
SVG: Final = "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}"
PRESENTATION: Final = "{urn:oasis:names:tc:opendocument:xmlns:presentation:1.0}"
PARAGRAPH, HEADING = f"{TEXT}p", f"{TEXT}h"
_META: Final = "{urn:oasis:names:tc:opendocument:xmlns:meta:1.0}"
_DC: Final = "{http://purl.org/dc/elements/1.1/}"
_XLINK: Final = "{http://www.w3.org/1999/xlink}href"
_HANGING: Final = frozenset({f"{TEXT}note", f"{OFFICE}annotation"})
_NOT_READ: Final = frozenset(
    {
        f"{TEXT}tracked-changes",
        f"{OFFICE}annotation-end",
        f"{TEXT}page-number",
        f"{TEXT}page-count",
        f"{TEXT}ruby-text",
        f"{SVG}title",
        f"{SVG}desc",
    }
)
SHAPES: Final = frozenset(
    f"{DRAW}{name}"
    for name in ("text-box", "custom-shape", "rect", "ellipse", "circle", "polygon", "path", "caption", "connector")
)
_BOXES: Final = SHAPES | {f"{DRAW}object", f"{DRAW}image"}
_MARKS: Final = {f"{TEXT}tab": "\t", f"{TEXT}line-break": "\n"}
_SPACES: Final = re.compile(r"[ \t\r\n]+")
_MAX_SPACES: Final = 100
_MAX_REPEAT: Final = 1_048_576


@contextmanager
def opened_odf(probe: FileProbe) -> Iterator[zipfile.ZipFile]:
    """Raises EncryptedFileError for a file behind a password, UnreadableFileError for a damaged one."""
    with readable_package(probe), zipfile.ZipFile(probe.path) as archive:
        manifest = archive.read("META-INF/manifest.xml") if "META-INF/manifest.xml" in archive.namelist() else b""
        if b"encryption-data" in manifest:
            raise EncryptedFileError(f"'{probe.filename}': password required; save it without a password and try again")
        yield archive


def facts_of(archive: zipfile.ZipFile) -> dict[str, str]:
    """Title, author and subject, as far as they are given."""
    if "meta.xml" not in archive.namelist():
        return {}
    root = parse_markup(archive.read("meta.xml"))
    author = root.findtext(f".//{_META}initial-creator") or root.findtext(f".//{_DC}creator")
    values = {
        "title": root.findtext(f".//{_DC}title"), "author": author, "subject": root.findtext(f".//{_DC}subject")
    }  # fmt: skip
    return {key: text for key, value in values.items() if (text := clean(value or "").strip())}


class Inline:
    """The words of a paragraph, and what hangs on it: notes, comments and text boxes."""

    def __init__(self, paragraph: Any) -> None:
        self.hanging: list[Any] = []
        self.boxes: list[Any] = []
        self._parts: list[str] = []
        self._read(paragraph)
        self.text = clean("".join(self._parts)).strip()

    def _read(self, element: Any) -> None:
        self._add(element.text)
        for child in element:
            start = len(self._parts)
            self._see(child)
            if child.tag == f"{TEXT}a":
                self._parts[start:] = [linked("".join(self._parts[start:]), child.get(_XLINK))]
            self._add(child.tail)

    def _see(self, child: Any) -> None:
        tag = child.tag
        if tag == f"{TEXT}s":
            self._parts.append(" " * min(repeat(child, f"{TEXT}c"), _MAX_SPACES))
        elif tag in _MARKS:
            self._parts.append(_MARKS[tag])
        elif tag in _HANGING:
            self.hanging.append(child)
            if tag == f"{TEXT}note":
                self._parts.append(f"[^{note_mark(child)}]")
        elif tag in _BOXES:
            self.boxes.append(child)
        elif tag not in _NOT_READ and isinstance(tag, str):
            self._read(child)

    def _add(self, text: str | None) -> None:
        if text:
            self._parts.append(_SPACES.sub(" ", text))


def note_mark(note: Any) -> str:
    return " ".join((note.findtext(f"{TEXT}note-citation") or "*").split())


def plain_text(element: Any) -> str:
    """All paragraphs inside on one line each."""
    return "\n".join(text for each in element.iter(PARAGRAPH, HEADING) if (text := Inline(each).text))


def repeat(element: Any, name: str) -> int:
    """A count that is 1 where it is not given, never beyond what a table can hold."""
    value = element.get(name) or "1"
    return min(int(value), _MAX_REPEAT) if value.isdecimal() and len(value) < 10 else 1
