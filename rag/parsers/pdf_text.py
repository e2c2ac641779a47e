"""Repairs of the text that pdfium takes from a page."""

import re
from collections.abc import Sequence

PDFIUM_HYPHEN = "\ufffe"
"""pdfium's stand-in for a hyphen at a line end; the line break after it is already gone."""

HYPHEN_MARK = "\x02"
"""What stands for it here, since U+FFFE is no character and does not survive the clean-up."""

_LONG_LEFT_CHARS, _LONG_RIGHT_CHARS = 5, 7
_FIRST_OF_COMPOUNDS = frozenset(
    ("well", "self", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
)
"""English words that hardly begin another word but with one of these endings."""
_ENDINGS = ("ness", "ish", "less", "hood", "same", "fold", "some")
_WORD = re.compile(r"\w+(?:-\w+)*")
_BROKEN_WORD = re.compile(rf"(?<!\w)(\w++){HYPHEN_MARK}(\w+)")
_SPELLED = {
    "\uf0b7": "•", "\uf0a7": "▪", "\uf0d8": "➢", "\uf0fc": "✓", "\uf0a8": "◦", "\uf02d": "-", "\xad": "",
    "\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl", "\ufb05": "st", "\ufb06": "st",
}  # fmt: skip
"""Private code points of the Symbol and Wingdings fonts at the head of list items, soft hyphens, and ligatures."""

_LIST_ITEM = re.compile(r"[ \t]*(?:[•▪◦➢✓–—*-]|\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})[.)])\s")


def join_hyphenated(pages: Sequence[str]) -> list[str]:
    """Decide for each word broken at a line end whether its hyphen belongs to it.

    The rest of the document is the judge: the joined word or the hyphenated one may occur elsewhere.
    Without such evidence the hyphen stays between two words of the document, between a word and a
    long second half, behind words such as `well` and `self`, before capitals and digits, and within
    a web address or a longer chain of hyphens; anything else was broken to fill the line.
    """
    if not any(HYPHEN_MARK in page for page in pages):
        return list(pages)
    known: set[str] = set()
    for page in pages:
        unbroken = _BROKEN_WORD.sub(" ", page) if HYPHEN_MARK in page else page
        known.update(_WORD.findall(unbroken.lower()))
    known.update(part for word in [word for word in known if "-" in word] for part in word.split("-"))

    def repair(found: re.Match[str]) -> str:
        left, right = found.group(1), found.group(2)
        around = found.string[max(0, found.start() - 1) : found.start()] + found.string[found.end() : found.end() + 1]
        keeps = _is_chained(around) or _keeps_hyphen(left, right, known)
        return f"{left}-{right}" if keeps else left + right

    return [_BROKEN_WORD.sub(repair, page).replace(HYPHEN_MARK, "-") if HYPHEN_MARK in page else page for page in pages]


def tidy(text: str) -> str:
    """Trim line ends, show bullets of symbol fonts as bullets and ligatures as letters."""
    if not text.isascii():
        for char, spelled in _SPELLED.items():
            if char in text:
                text = text.replace(char, spelled)
    if " \n" in text or "\t" in text or "\xa0" in text:
        text = "\n".join([line.rstrip(" \t\xa0") for line in text.split("\n")])
    return text.strip()


def is_list_item(line: str) -> bool:
    return _LIST_ITEM.match(line) is not None


def _keeps_hyphen(left: str, right: str, known: set[str]) -> bool:
    left_lower, right_lower = left.lower(), right.lower()
    if left_lower + right_lower in known:
        return False
    if f"{left_lower}-{right_lower}" in known:
        return True
    if not right.isalpha() or not left.isalpha() or right[0].isupper():
        return True
    if left_lower in _FIRST_OF_COMPOUNDS:
        return not right_lower.startswith(_ENDINGS)
    is_long = len(left) >= _LONG_LEFT_CHARS and len(right) >= _LONG_RIGHT_CHARS
    return left_lower in known and (is_long or right_lower in known)


def _is_chained(around: str) -> bool:
    return any(mark in around for mark in "-/_=")
