"""What a PDF carries besides its text: links, notes, form fields, its outline and its XMP facts."""

import ctypes
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from rag.parsers.decoding import clean
from rag.parsers.pdf_headings import OutlineEntry
from rag.parsers.pdf_page import Page

_MAX_ANNOTATIONS = 2_000
_MAX_OUTLINE_ENTRIES = 5_000
_MAX_URL_CHARS = 2_000
_MAX_FACT_CHARS = 2_000
_MAX_XMP_FILE_BYTES = 200_000_000
_LINK_TOLERANCE = 6.0
_NOTES = frozenset(
    {
        pdfium.FPDF_ANNOT_TEXT, pdfium.FPDF_ANNOT_FREETEXT, pdfium.FPDF_ANNOT_HIGHLIGHT, pdfium.FPDF_ANNOT_UNDERLINE,
        pdfium.FPDF_ANNOT_SQUIGGLY, pdfium.FPDF_ANNOT_STRIKEOUT, pdfium.FPDF_ANNOT_STAMP, pdfium.FPDF_ANNOT_CARET,
        pdfium.FPDF_ANNOT_SQUARE, pdfium.FPDF_ANNOT_CIRCLE, pdfium.FPDF_ANNOT_LINE, pdfium.FPDF_ANNOT_POLYGON,
    }
)  # fmt: skip


def link_targets(pdf: Any, page: Page, style: str = "address") -> dict[int, str]:
    """Position in the page's text → what to write behind the character there: ` (https://…)`; of style `markdown`,
    `[` behind the character before the link and `](https://…)` behind its end.

    A link over several lines is written once, behind its end; one that shows its own address is not written again.
    """
    if not pdfium.FPDFPage_GetAnnotCount(page.handle):
        return {}
    places = list(_links(pdf, page))
    found: dict[int, str] = {}
    for index, (url, box) in enumerate(places):
        goes_on = index + 1 < len(places) and places[index + 1][0] == url
        if style == "markdown":
            _bracket(page, places, index, found, goes_on=goes_on)
            continue
        if goes_on or _bare(url) in _bare(page.text_within(box.left, box.bottom, box.right, box.top)):
            continue
        position = page.char_at(box.right - 0.5, (box.bottom + box.top) / 2, _LINK_TOLERANCE)
        if position is not None:
            found[_word_end(page.text, position)] = f" ({url})"
    return found


def _bracket(page: Page, places: list[tuple[str, Any]], index: int, found: dict[int, str], *, goes_on: bool) -> None:
    """Open the link at its first box, close it at its last one. `-1 - start` stands for "before the character"."""
    url, box = places[index]
    middle = (box.bottom + box.top) / 2
    if not index or places[index - 1][0] != url:
        start = page.char_at(box.left + 0.5, middle, _LINK_TOLERANCE)
        if start is not None:
            found[-1 - start] = "["
    if not goes_on:
        end = page.char_at(box.right - 0.5, middle, _LINK_TOLERANCE)
        if end is not None:
            target = url.replace("(", "%28").replace(")", "%29")
            found[_word_end(page.text, end)] = f"]({target})"


def _word_end(text: str, position: int) -> int:
    """The last character of the word at a position; of the word before where a link reaches just into the next."""
    if position and text[position].isalnum() and text[position - 1].isspace():
        position -= 1
    while position and text[position].isspace():
        position -= 1
    while position + 1 < len(text) and text[position].isalnum() and text[position + 1].isalnum():
        position += 1
    return position


def notes(page: Page) -> list[str]:
    """What people have written on the page: comments, highlights with a text, text boxes."""
    found = []
    for annotation in _annotations(page):
        if pdfium.FPDFAnnot_GetSubtype(annotation) in _NOTES:
            text = clean(
                _string(lambda *args, each=annotation: pdfium.FPDFAnnot_GetStringValue(each, b"Contents", *args))
            )
            if text.strip():
                found.append(f"Note: {text.strip()}")
    return found


def form_fields(pdf: Any, page: Page) -> list[str]:
    """`name: value` of each field that is filled in; `pdf` has its forms initialised."""
    if pdf.formenv is None:
        return []
    form, found = pdf.formenv.raw, {}
    for annotation in _annotations(page):
        if pdfium.FPDFAnnot_GetSubtype(annotation) != pdfium.FPDF_ANNOT_WIDGET:
            continue
        name = _string(lambda *args, each=annotation: pdfium.FPDFAnnot_GetFormFieldName(form, each, *args))
        value = _string(lambda *args, each=annotation: pdfium.FPDFAnnot_GetFormFieldValue(form, each, *args))
        if value.strip() and value != "Off":
            found[clean(name).strip()] = " ".join(clean(value).split())
    return [f"{name}: {value}" for name, value in found.items()]


def outline(pdf: Any) -> list[OutlineEntry]:
    """The entries of the outline, in order; those that lead to no page too."""
    found = []
    try:
        for entry in islice(pdf.get_toc(), _MAX_OUTLINE_ENTRIES):
            target = entry.get_dest()
            page = target.get_index() if target is not None else None
            title = " ".join(clean(entry.get_title()).split())
            if title:
                found.append(OutlineEntry(title, entry.level + 1, page))
    except (pypdfium2.PdfiumError, UnicodeDecodeError):
        return found
    return found


def outline_text(entries: list[OutlineEntry]) -> str:
    return "; ".join(entry.title for entry in entries)[:_MAX_FACT_CHARS]


def xmp_facts(path: Path) -> dict[str, str]:
    """What the XMP packet says: pdfium does not read it, so pypdf does."""
    from pypdf import PdfReader  # slow to import, and few ask for it

    from rag.parsers.pdf_fallback import PYPDF_ERRORS

    if path.stat().st_size > _MAX_XMP_FILE_BYTES:
        return {}
    try:
        packet = PdfReader(io.BytesIO(path.read_bytes())).xmp_metadata
        if packet is None:
            return {}
        values: dict[str, Any] = {
            "xmp_title": packet.dc_title,
            "xmp_creator": packet.dc_creator,
            "xmp_description": packet.dc_description,
            "xmp_keywords": packet.pdf_keywords,
            "xmp_subject": packet.dc_subject,
            "xmp_language": packet.dc_language,
            "xmp_rights": packet.dc_rights,
            "xmp_creator_tool": packet.xmp_creator_tool,
            "xmp_created": packet.xmp_create_date,
            "xmp_modified": packet.xmp_modify_date,
        }
    except PYPDF_ERRORS:
        return {}
    shown = {key: _shown(value) for key, value in values.items() if value}
    return {key: value[:_MAX_FACT_CHARS] for key, value in shown.items() if value}


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("x-default") or next(iter(value.values()), "")
    if isinstance(value, list | tuple):
        value = ", ".join(str(each) for each in value)
    return " ".join(clean(str(value)).split())


def _links(pdf: Any, page: Page) -> Iterator[tuple[str, Any]]:
    for annotation in _annotations(page):
        if pdfium.FPDFAnnot_GetSubtype(annotation) != pdfium.FPDF_ANNOT_LINK:
            continue
        action = pdfium.FPDFLink_GetAction(pdfium.FPDFAnnot_GetLink(annotation))
        if not action or pdfium.FPDFAction_GetType(action) != pdfium.PDFACTION_URI:
            continue
        length = min(_MAX_URL_CHARS, pdfium.FPDFAction_GetURIPath(pdf.raw, action, None, 0))
        buffer = ctypes.create_string_buffer(max(1, length))
        pdfium.FPDFAction_GetURIPath(pdf.raw, action, buffer, length)
        url = "".join(clean(buffer.value.decode("utf-8", errors="replace")).split())
        box = pdfium.FS_RECTF()
        if url and pdfium.FPDFAnnot_GetRect(annotation, box):
            yield url, box


def _annotations(page: Page) -> Iterator[Any]:
    for index in range(min(_MAX_ANNOTATIONS, pdfium.FPDFPage_GetAnnotCount(page.handle))):
        annotation = pdfium.FPDFPage_GetAnnot(page.handle, index)
        if not annotation:
            continue
        try:
            yield annotation
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)


def _string(get: Any) -> str:
    """A string that pdfium writes as UTF-16 with a zero at its end."""
    size = get(None, 0)
    if size <= 2:
        return ""
    buffer = (ctypes.c_ushort * ((size + 1) // 2))()
    get(buffer, size)
    return bytes(buffer)[: size - 2].decode("utf-16-le", errors="replace")


def _bare(url: str) -> str:
    """An address without what people leave out when they write it."""
    return "".join(url.lower().split()).removeprefix("mailto:").split("://", 1)[-1].removeprefix("www.").rstrip("/")
