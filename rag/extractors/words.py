"""Words and what is no keyword."""

import re

WORD = re.compile(r"[^\W\d_](?:[\w'’-]*\w)?")

_SMALL_WORDS = (
    "a about above after again all also am an and any are as at be because been before being below between both "
    "but by can could did do does doing down during each few for from further had has have having he her here hers "
    "him his how i if in into is it its itself just may me might more most must my no nor not now of off on once "
    "only or other our out over own per said same shall she should so some such than that the their them then "
    "there these they this those through to too under until up upon us very via was we were what when where which "
    "while who whom whose why will with within without would yet you your"
)
STOP_WORDS = frozenset(_SMALL_WORDS.split())


def words(text: str) -> list[str]:
    return WORD.findall(text)


def content_words(text: str) -> list[str]:
    """Words in lower case without stop words and single letters."""
    lowered = (word.lower() for word in WORD.findall(text))
    return [word for word in lowered if len(word) > 1 and word not in STOP_WORDS]
