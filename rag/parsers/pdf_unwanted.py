"""Text of a PDF page that nobody is to read: taken off the page before its text is asked for."""

import ctypes
from dataclasses import dataclass
from math import atan2, pi
from typing import Any

import pypdfium2.raw as pdfium

_MAX_OBJECTS = 20_000
_MAX_DEPTH = 5
_MAX_LEANING = 0.03
"""Radians off a multiple of 90 degrees that a scan may lie crooked."""


@dataclass(frozen=True, slots=True)
class Unwanted:
    """
    Args:
        hidden: drawn invisibly (text render mode 3).
        diagonal: turned by another angle than a multiple of 90 degrees.
        crop: shares of the page at the left, top, right and bottom; what has its middle there is outside.
    """

    hidden: bool = False
    diagonal: bool = False
    crop: tuple[float, ...] | None = None

    def remove_from(self, page: Any) -> None:
        """For an open page, under the lock of pdfium."""
        found = []
        for index in range(min(_MAX_OBJECTS, pdfium.FPDFPage_CountObjects(page))):
            part = pdfium.FPDFPage_GetObject(page, index)
            if self._is_one(page, part):
                found.append(part)
            elif pdfium.FPDFPageObj_GetType(part) == pdfium.FPDF_PAGEOBJ_FORM:
                self._clean_form(page, part, 1)
        for part in found:
            if pdfium.FPDFPage_RemoveObject(page, part):
                pdfium.FPDFPageObj_Destroy(part)

    def _clean_form(self, page: Any, form: Any, depth: int) -> None:
        """A drawing inside of the page; where its text stands on the page is not known, so it is not cropped."""
        found = []
        for index in range(min(_MAX_OBJECTS, pdfium.FPDFFormObj_CountObjects(form))):
            part = pdfium.FPDFFormObj_GetObject(form, index)
            if pdfium.FPDFPageObj_GetType(part) == pdfium.FPDF_PAGEOBJ_FORM and depth < _MAX_DEPTH:
                self._clean_form(page, part, depth + 1)
            elif pdfium.FPDFPageObj_GetType(part) == pdfium.FPDF_PAGEOBJ_TEXT and self._is_unseen(part):
                found.append(part)
        for part in found:
            if pdfium.FPDFFormObj_RemoveObject(form, part):
                pdfium.FPDFPageObj_Destroy(part)

    def _is_one(self, page: Any, part: Any) -> bool:
        if pdfium.FPDFPageObj_GetType(part) != pdfium.FPDF_PAGEOBJ_TEXT:
            return False
        return self._is_unseen(part) or (self.crop is not None and _is_outside(page, part, self.crop))

    def _is_unseen(self, part: Any) -> bool:
        if self.hidden and pdfium.FPDFTextObj_GetTextRenderMode(part) == pdfium.FPDF_TEXTRENDERMODE_INVISIBLE:
            return True
        return self.diagonal and _is_diagonal(part)


def _is_diagonal(part: Any) -> bool:
    matrix = pdfium.FS_MATRIX()
    if not pdfium.FPDFPageObj_GetMatrix(part, matrix):
        return False
    leaning = atan2(matrix.b, matrix.a) % (pi / 2)
    return _MAX_LEANING < leaning < pi / 2 - _MAX_LEANING


def _is_outside(page: Any, part: Any, crop: tuple[float, ...]) -> bool:
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    if not pdfium.FPDFPageObj_GetBounds(part, left, bottom, right, top):
        return False
    x = (left.value + right.value) / 2 / max(1.0, pdfium.FPDF_GetPageWidthF(page))
    y = 1 - (bottom.value + top.value) / 2 / max(1.0, pdfium.FPDF_GetPageHeightF(page))
    return bool(x < crop[0] or y < crop[1] or x > 1 - crop[2] or y > 1 - crop[3])
