"""Words of questions and documents, brought to forms that can be compared."""

import re
from functools import lru_cache

WORD = re.compile(r"[^\W_]+(?:[-_.'’][^\W_]+)*", re.UNICODE)
_IDEOGRAPHS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{2,}")
DIGIT = re.compile(r"\d")
_STOP_TEXT = (
    "a about after all also an and any are as at be been before by can could did do does for from had has have he her "
    "his how i if in into is it its many may me much my no not of on or our shall she should so some such tell "
    "than that the their them then there these they this those to us was we were what when where which who whom whose "
    "why will with would you your der die das den dem des ein eine einer und oder ist sind war wie was wer wo wann im "
    "in zu auf für mit von le la les un une des et ou est sont que qui dans pour sur el los las y es son en con por"
)
_STOP_WORDS = frozenset(_STOP_TEXT.split())
_SAME_STEMS = {"cost": "pric"}
"""A price list does not say what people ask for."""
_ENDINGS = ("ingly", "edly", "ings", "ing", "ies", "ied", "es", "ed", "s", "ly")


def terms(text: str) -> list[str]:
    """Words in lower case, without stop words and common endings; pairs of signs where words have no spaces."""
    found = []
    for word in WORD.findall(text.lower()):
        if word in _STOP_WORDS:
            continue
        if not word.isascii() and _IDEOGRAPHS.fullmatch(word):
            found += [word[index : index + 2] for index in range(len(word) - 1)]
        else:
            stem = _stem(word)
            found.append(_SAME_STEMS.get(stem, stem))
    return found


@lru_cache(maxsize=20_000)
def _stem(word: str) -> str:
    if is_exact(word):
        return word
    word = word.removesuffix("'s").removesuffix("’s")
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 3 and word[-1] in "ey" else word


def is_exact(term: str) -> bool:
    return any(character.isdigit() for character in term) or "_" in term


def is_code(term: str) -> bool:
    """An identifier: a plain number is often there by chance."""
    return is_exact(term) and not term.isdigit()
