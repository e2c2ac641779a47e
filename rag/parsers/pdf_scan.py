"""Pages that are only pictures: rendered and read by OCR."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pypdfium2

from rag.parsers.ocr import OcrError, read_image

MAX_PAGES: Final = 500
"""Recognising a page takes seconds: more than these would hold a worker for an hour."""

_DOTS_PER_INCH = 300
_MAX_PIXELS = 40_000_000
_MAX_FAILURES = 2


@dataclass(slots=True)
class Scans:
    texts: dict[int, str] = field(default_factory=dict)
    """1-based page → its text, for pages with some."""
    warnings: list[str] = field(default_factory=list)


def read_scans(
    pdf: Any, numbers: Sequence[int], lock: threading.Lock, *, languages: str, on_page: Callable[[], None]
) -> Scans:
    """Recognise the text of pages.

    Args:
        numbers: 1-based.
        lock: held while pdfium renders, not while the picture is read.
        on_page: called after each page; may raise CancelledTaskError.
    """
    scans, failures = Scans(), 0
    if len(numbers) > MAX_PAGES:
        scans.warnings.append(f"OCR has read {MAX_PAGES} of {len(numbers)} pages without text; split the file.")
    for number in numbers[:MAX_PAGES]:
        try:
            with lock:
                picture = _rendered(pdf, number - 1)
            text = read_image(picture, languages=languages) if picture is not None else ""
        except (OcrError, pypdfium2.PdfiumError) as error:
            failures += 1
            scans.warnings.append(f"Page {number}: {error}.")
            if failures == _MAX_FAILURES:
                break
            continue
        if text.strip():
            scans.texts[number] = text.strip()
        on_page()
    return scans


def _rendered(pdf: Any, index: int) -> Any:
    """A picture of the page in grey; None if nothing is on it."""
    page = pdf[index]
    try:
        if next(iter(page.get_objects(max_depth=1)), None) is None:
            return None
        width, height = page.get_size()
        scale = _DOTS_PER_INCH / 72
        scale = min(scale, (_MAX_PIXELS / max(1.0, width * height)) ** 0.5)
        return page.render(scale=scale, grayscale=True).to_pil()
    finally:
        page.close()
