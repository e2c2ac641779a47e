"""Text in pictures, read by the program Tesseract where it is installed."""

import io
import os
import shutil
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AliasChoices, Field

from rag.errors import UnreadableFileError

if TYPE_CHECKING:
    from PIL.Image import Image  # at run time only where there is a picture to read

PROGRAM: Final = "tesseract"
HOW_TO_INSTALL: Final = (
    "install Tesseract on the machine of the workers (Debian: apt install tesseract-ocr; macOS: brew install tesseract)"
)
MAX_PIXELS: Final = 80_000_000
"""A sheet of A3 at 600 dots per inch has 70 million."""
TIMEOUT_S: Final = 60.0
"""Noise can keep the program busy for as long as it is let."""
_POLL_S = 0.5
_SMALL_PIXELS = 1_000
"""A picture lower than this is enlarged: letters need some 20 pixels of height."""

UseOcr = Annotated[bool, Field(description="Read pictures of text with Tesseract, where it is installed.")]
OcrLanguages = Annotated[
    str,
    Field(
        validation_alias=AliasChoices("ocr_languages", "languages"),
        pattern=r"^[A-Za-z0-9_]+(\+[A-Za-z0-9_]+)*$",
        description="Tesseract's codes of the languages to expect, such as eng or deu+fra; each has to be installed.",
    ),
]


class OcrError(UnreadableFileError):
    """Tesseract is not there, took too long or gave up; the message says which."""


def is_available() -> bool:
    """Whether the program is on PATH."""
    return shutil.which(PROGRAM) is not None


def read_image(image: "Image", *, languages: str = "eng", timeout_s: float = TIMEOUT_S) -> str:
    """The text of a picture, line by line, paragraphs parted by a blank line; "" if there is none.

    For scanned pages render at some 300 dots per inch. One picture is read on one core.

    Args:
        image: of at most MAX_PIXELS pixels, in any mode.
        languages: see OcrLanguages.

    Raises:
        OcrError: no Tesseract on PATH (see `is_available`), a language that is not installed, too many pixels,
            longer than `timeout_s`.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise OcrError(f"reading pictures needs Tesseract, which is not on PATH: {HOW_TO_INSTALL}")
    if image.width * image.height > MAX_PIXELS:
        raise OcrError(f"the picture has {image.width * image.height:,} pixels, more than {MAX_PIXELS:,}")
    command = [program, "stdin", "stdout", "-l", languages, "--psm", "3"]
    code, out, error = _run(command, _as_portable_map(image), timeout_s)
    if code:
        raise OcrError(_reason(error, languages))
    return "\n".join(line.rstrip() for line in out.replace("\f", "").split("\n")).strip()


def _as_portable_map(image: "Image") -> bytes:
    """Grey on white, in a format without compression."""
    from PIL import Image

    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.new("RGBA", layer.size, "white")
        image.alpha_composite(layer)
    grey = image.convert("L")
    if grey.height < _SMALL_PIXELS and grey.width < 2 * _SMALL_PIXELS:
        grey = grey.resize((grey.width * 2, grey.height * 2), Image.Resampling.BICUBIC)
    packed = io.BytesIO()
    grey.save(packed, format="PPM")
    return packed.getvalue()


def _run(command: list[str], given: bytes, timeout_s: float) -> tuple[int, str, str]:
    """Returns (exit code, output, errors). The process never outlives this call, not even a cancelled one."""
    end = time.monotonic() + timeout_s
    pipe, one_core = subprocess.PIPE, {**os.environ, "OMP_THREAD_LIMIT": "1"}
    with tempfile.TemporaryFile(prefix="paddock-") as source:  # a pipe is not filled on after a wait is over
        source.write(given)
        source.seek(0)
        with subprocess.Popen(command, stdin=source, stdout=pipe, stderr=pipe, env=one_core) as process:
            try:
                out, error = _finished(process, end)
            except subprocess.TimeoutExpired as expired:
                raise OcrError(f"Tesseract took longer than {timeout_s:g} seconds for a picture") from expired
            finally:
                process.kill()
    return process.returncode, out.decode(errors="replace"), error.decode(errors="replace")


def _finished(process: subprocess.Popen[bytes], end: float) -> tuple[bytes, bytes]:
    """What it wrote; raises TimeoutExpired when the time is over."""
    while True:
        try:
            # In short waits: whoever cancels this thread is heard between two of them.
            return process.communicate(timeout=_POLL_S)
        except subprocess.TimeoutExpired:
            if time.monotonic() > end:
                raise


def _reason(error: str, languages: str) -> str:
    if "Failed loading language" in error or "couldn't load any languages" in error:
        return (
            f"Tesseract lacks a language of '{languages}': install it (Debian: apt install tesseract-ocr-<code>) "
            "or change ocr_languages"
        )
    lines = [line for line in error.splitlines() if line.strip()]
    return f"Tesseract failed: {lines[-1][:200] if lines else 'it said nothing'}"
