"""Repairs of the text that pdfium takes from a page."""

import re
from collections.abc import Sequence

PDFIUM_HYPHEN = "\ufffe"
"""pdfium's stand-in for a hyphen at a line end; the line break after it is already gone."""

HYPHEN_MARK = "\x02"
"""What stands for it here, since U+FFFE is no character and does not survive the clean-up."""

_LONG_LEFT_CHARS, _LONG_RIGHT_CHARS = 5, 7
_WORD = re.compile(r"\w+(?:-\w+)*")
_BROKEN_WORD = re.compile(rf"(\w+){HYPHEN_MARK}(\w+)")
_TRAILING_SPACE = re.compile(r"[ \t\xa0]+\n")
_SYMBOLS = str.maketrans(
    {
        "\uf0b7": "•", "\uf0a7": "▪", "\uf0d8": "➢", "\uf0fc": "✓", "\uf0a8": "◦", "\uf02d": "-",
        "\xad": None,
    }
)  # fmt: skip
"""Private code points of the Symbol and Wingdings fonts that stand at the head of list items."""


def join_hyphenated(pages: Sequence[str]) -> list[str]:
    """Decide for each word broken at a line end whether its hyphen belongs to it.

    The rest of the document is the judge: the joined word or the hyphenated one may occur elsewhere.
    Without such evidence the hyphen stays between two words of the document, between a word and a
    long second half, before capitals and digits, and within a web address or a longer chain of
    hyphens; anything else was broken to fill the line.
    """
    if not any(HYPHEN_MARK in page for page in pages):
        return list(pages)
    unbroken = (_WORD.findall(_BROKEN_WORD.sub(" ", page)) for page in pages)
    known = {word.lower() for words in unbroken for found in words for word in (found, *found.split("-"))}

    def repair(found: re.Match[str]) -> str:
        left, right = found.group(1), found.group(2)
        around = found.string[max(0, found.start() - 1) : found.start()] + found.string[found.end() : found.end() + 1]
        keeps = _is_chained(around) or _keeps_hyphen(left, right, known)
        return f"{left}-{right}" if keeps else left + right

    return [_BROKEN_WORD.sub(repair, page).replace(HYPHEN_MARK, "-") for page in pages]


def tidy(text: str) -> str:
    """Trim line ends and show bullets of symbol fonts as bullets."""
    return _TRAILING_SPACE.sub("\n", text.translate(_SYMBOLS)).strip()


def _keeps_hyphen(left: str, right: str, known: set[str]) -> bool:
    left_lower, right_lower = left.lower(), right.lower()
    if left_lower + right_lower in known:
        return False
    if f"{left_lower}-{right_lower}" in known:
        return True
    if not right.isalpha() or not left.isalpha() or right[0].isupper():
        return True
    is_long = len(left) >= _LONG_LEFT_CHARS and len(right) >= _LONG_RIGHT_CHARS
    return left_lower in known and (is_long or right_lower in known)


def _is_chained(around: str) -> bool:
    return any(mark in around for mark in "-/_=")
