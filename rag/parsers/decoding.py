"""Bytes → text, whatever the encoding, and the clean-up every text gets."""

import codecs
import io
import re
from pathlib import Path
from typing import NamedTuple

import charset_normalizer

from rag.errors import LimitExceededError, NoTextError
from rag.parsers.base import FileProbe, ParseLimits

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MAX_BYTES_PER_CHAR = 4
_SAMPLE_BYTES = 65_536
_HIGH_BYTES = re.compile(rb"[\x80-\xff]+")
_ASCII_LETTERS = re.compile(rb"[A-Za-z]")
_MAX_WESTERN_SHARE = 0.35
_WESTERN = frozenset(
    "äöüßàâæçèéêëîïôœùûÿáíóúñåøìòãõÄÖÜÀÂÆÇÈÉÊËÎÏÔŒÙÛŸÁÍÓÚÑÅØÌÒÃÕ€‚„…†•–—‘’“”‹›™¡¿£¥§©ª«¬®°±²´µ¶·»¼½¾×÷\xa0\xad"
)
_MIN_UTF8_SHARE = 0.1
"""Of the lines beyond ASCII: in other encodings hardly a line is UTF-8 by chance."""
_WIDE = ("gb", "big5", "euc_", "shift_jis", "cp932", "cp949", "cp950", "hz", "iso2022", "johab")
_UNWANTED = re.compile("[\x00\ufeff\ufffe\uffff\ud800-\udfff]")


class Decoded(NamedTuple):
    text: str
    encoding: str
    warnings: tuple[str, ...] = ()


def read_text(probe: FileProbe, limits: ParseLimits, *, encoding: str | None = None) -> Decoded:
    """Read a whole text file and clean it.

    Args:
        encoding: tried first; when it does not fit the bytes, the encoding is detected.

    Raises:
        NoTextError: the file has no bytes, or only white space.
        LimitExceededError: judged by size before the file is read, then by length.
    """
    check_size(probe, limits)
    decoded = decode(Path(probe.path).read_bytes(), encoding)
    text = clean(decoded.text)
    if not text.strip():
        raise NoTextError(f"'{probe.filename}' has no text: only white space")
    check_length(len(text), limits)
    return decoded._replace(text=text)


def check_size(probe: FileProbe, limits: ParseLimits) -> None:
    """Refuse an empty file, and one that cannot be within the character limit in any encoding."""
    if probe.size_bytes == 0:
        raise NoTextError(f"'{probe.filename}' has no text: the file is empty")
    if probe.size_bytes > _MAX_BYTES_PER_CHAR * limits.max_text_chars:
        raise LimitExceededError(
            f"'{probe.filename}' is {probe.size_bytes:,} bytes, more than {limits.max_text_chars:,} characters "
            "can take (LF_MAX_TEXT_CHARS); split the file or raise the limit"
        )


def check_length(length: int, limits: ParseLimits) -> None:
    if length > limits.max_text_chars:
        raise LimitExceededError(
            f"the text is longer than {limits.max_text_chars:,} characters (LF_MAX_TEXT_CHARS); "
            "split the file or raise the limit"
        )


def decode(raw: bytes, encoding: str | None = None) -> Decoded:
    """Decode with the byte order mark, else `encoding`, else UTF-8, else the most likely encoding.

    Where some lines are UTF-8 and others are not, each is read as what it is, and a warning counts the others.
    Never fails: bytes that fit nothing are read as Windows-1252 with replacement characters.
    """
    for candidate in (_bom(raw), encoding, _unmarked_utf16(raw), "utf-8"):
        if candidate is not None and (text := _try(raw, candidate)) is not None:
            return Decoded(text, candidate)
    if (mixed := _mixed(raw)) is not None:
        return mixed
    return Decoded(*_guessed(raw, _guess(raw)))


def _guessed(raw: bytes, guess: str | None) -> tuple[str, str]:
    if guess is not None and (text := _try(raw, guess)) is not None:
        return text, guess
    return raw.decode("cp1252", errors="replace"), "cp1252"


def _mixed(raw: bytes) -> Decoded | None:
    """Lines of UTF-8 among lines of another encoding; None where hardly a line is UTF-8."""
    utf8_count, other_count, sample = 0, 0, bytearray()
    for line in io.BytesIO(raw):
        if line.isascii():
            continue
        if _try(line, "utf-8") is not None:
            utf8_count += 1
        else:
            other_count += 1
            sample += line[: max(0, _SAMPLE_BYTES - len(sample))]
    if utf8_count < _MIN_UTF8_SHARE * (utf8_count + other_count):
        return None
    guess = _guess(bytes(sample))
    if guess is not None and guess.startswith(_WIDE) and _try(raw, guess) is not None:
        return None
    text = io.StringIO()
    for line in io.BytesIO(raw):
        decoded = _try(line, "utf-8")
        text.write(_other_line(line, guess) if decoded is None else decoded)
    lines = "1 line is" if other_count == 1 else f"{other_count:,} lines are"
    warning = f"The file is UTF-8, but {lines} not: read as {guess or 'cp1252'}."
    return Decoded(text.getvalue(), "utf-8", (warning,))


def _other_line(line: bytes, guess: str | None) -> str:
    """UTF-8 with a few wrong bytes, or another encoding altogether."""
    text = line.decode("utf-8", errors=_WRONG_AS_WESTERN)
    beyond = len(text) - sum(map(str.isascii, text))
    wrong = len(line) - len(line.decode("utf-8", errors="ignore").encode())
    return text if beyond >= 2 * wrong else _guessed(line, guess)[0]


def _as_western(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", errors="replace"), error.end


_WRONG_AS_WESTERN = "paddock-wrong-as-western"
codecs.register_error(_WRONG_AS_WESTERN, _as_western)


def clean(text: str) -> str:
    """Bring line ends to a newline; drop NULs, lone surrogates and code points that are no characters."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii():
        return text.replace("\0", "")
    return _UNWANTED.sub("", text)


def looks_like_utf16(head: bytes) -> bool:
    return _bom(head) in {"utf-16", "utf-32"} or _unmarked_utf16(head) is not None


def _bom(raw: bytes) -> str | None:
    return next((name for mark, name in _BOMS if raw.startswith(mark)), None)


def _unmarked_utf16(raw: bytes) -> str | None:
    """UTF-16 without a mark: Western text has a zero in every other byte, and in no other place."""
    sample = raw[:_SAMPLE_BYTES]
    pairs = len(sample) // 2
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if pairs >= 2 and odd > 0.5 * pairs and even < 0.02 * pairs:
        return "utf-16-le"
    if pairs >= 2 and even > 0.5 * pairs and odd < 0.02 * pairs:
        return "utf-16-be"
    return None


def _try(raw: bytes, encoding: str) -> str | None:
    try:
        return raw.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


def _guess(raw: bytes) -> str | None:
    # The detector's time grows with its input and its verdict does not change much after some pages;
    # the sample begins at the first byte outside of ASCII, since those before say nothing.
    first = _HIGH_BYTES.search(raw)
    begin = max(0, first.start() - 1024) if first else 0
    sample = raw[begin : begin + _SAMPLE_BYTES]
    if _is_western(sample):
        return "cp1252"
    best = charset_normalizer.from_bytes(sample).best()
    return best.encoding if best is not None else None


def _is_western(sample: bytes) -> bool:
    """Few accented letters, each among plain ones: Windows-1252, where the detector errs on short texts.

    Other alphabets come in runs of high bytes; the Slavic languages of Windows-1250 use bytes that no Western text has.
    """
    runs = _HIGH_BYTES.findall(sample)
    high_count = sum(map(len, runs))
    letter_count = high_count + len(_ASCII_LETTERS.findall(sample))
    if high_count > 1.5 * len(runs) or high_count > _MAX_WESTERN_SHARE * letter_count:
        return False
    text = b"".join(runs).decode("cp1252", errors="replace")
    if "õ" in text and "ã" not in text:  # not Portuguese: likely the Hungarian ő
        return False
    return all(char in _WESTERN for char in text)
