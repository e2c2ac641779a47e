"""Pictures of text (photographs, scans, screenshots), read by OCR."""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Final

from rag.errors import LimitExceededError, NoTextError, UnreadableFileError
from rag.parsers import media, ocr
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.builder import DocumentBuilder
from rag.parsers.decoding import clean
from rag.parsers.ocr import OcrLanguages, UseOcr
from rag.registry import ComponentOptions
from rag.types import Document

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS: Final = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")
_DAMAGE = (SyntaxError, ValueError, EOFError, TypeError, LookupError, ArithmeticError, struct.error, zlib.error)
"""What decoders raise for bytes that make no sense."""


class ImageParser:
    """Each picture of a TIFF is a page; of a moving GIF the first picture is read."""

    media_types: ClassVar[frozenset[str]] = media.IMAGE_TYPES

    class Options(ComponentOptions):
        use_ocr: UseOcr = True
        ocr_languages: OcrLanguages = "eng"

    def __init__(self, options: Options) -> None:
        self.options = options

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        if probe.size_bytes == 0:
            raise NoTextError(f"'{probe.filename}' has no text: the file is empty")
        self._check_ocr(probe)
        builder = DocumentBuilder("ImageParser", limits)
        empty: list[int] = []
        with _pictures(probe, limits) as pictures:
            for number, (picture, count) in enumerate(pictures, start=1):
                text = self._read(picture, probe)
                if text:
                    builder.add_page(number, text)
                else:
                    builder.add_page(number, "")
                    empty.append(number)
                on_progress(number, count)
        if not builder.has_text:
            raise NoTextError(f"'{probe.filename}' has no text: OCR found none in the picture")
        return builder.build(metadata={"ocr": True}, empty_pages=empty, page_count=number)

    def _check_ocr(self, probe: FileProbe) -> None:
        if not self.options.use_ocr:
            raise UnreadableFileError(f"'{probe.filename}' is a picture, and use_ocr is off for it")
        if not ocr.is_available():
            raise UnreadableFileError(
                f"'{probe.filename}' is a picture; reading it needs Tesseract, which is not on PATH: "
                f"{ocr.HOW_TO_INSTALL}"
            )

    def _read(self, picture: "Image", probe: FileProbe) -> str:
        try:
            return clean(ocr.read_image(picture, languages=self.options.ocr_languages))
        except ocr.OcrError as error:
            raise UnreadableFileError(f"'{probe.filename}': {error}") from error


@contextmanager
def _pictures(probe: FileProbe, limits: ParseLimits) -> Iterator[Iterator[tuple["Image", int]]]:
    """Every page with the number of pages, upright; a picture of too many pixels is never unpacked."""
    from PIL import Image

    with _readable(probe):
        image = Image.open(probe.path, formats=_FORMATS)
    with image:
        yield _pages(image, probe, limits)


def _pages(image: "Image", probe: FileProbe, limits: ParseLimits) -> Iterator[tuple["Image", int]]:
    from PIL import ImageOps

    with _readable(probe):
        count = int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1
    if count > limits.max_pages:
        raise LimitExceededError(
            f"'{probe.filename}' has {count:,} pages, more than {limits.max_pages:,} (LF_MAX_PAGES); split the file"
        )
    for index in range(count):
        with _readable(probe):
            image.seek(index)
            _check_pixels(image, probe)
            page = ImageOps.exif_transpose(image)
        yield page, count


def _check_pixels(image: "Image", probe: FileProbe) -> None:
    pixels = image.width * image.height
    if pixels > ocr.MAX_PIXELS:
        raise LimitExceededError(
            f"'{probe.filename}' has {pixels:,} pixels, more than {ocr.MAX_PIXELS:,}; scale the picture down"
        )


@contextmanager
def _readable(probe: FileProbe) -> Iterator[None]:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, and of sizes, which are judged here
            yield
    except Image.DecompressionBombError as error:
        raise LimitExceededError(f"'{probe.filename}' has too many pixels; scale the picture down") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise UnreadableFileError(f"'{probe.filename}' is damaged: its picture cannot be unpacked") from error
    except _DAMAGE as error:
        raise UnreadableFileError(f"'{probe.filename}' is damaged: its picture cannot be unpacked") from error
