"""Text a person typed → an FTS5 query that can only ever mean words and phrases; BM25 → a score."""

import re

MAX_TERMS = 64
"""Distinct terms taken from one query, in order; a pasted page does not become a thousand look-ups."""

MIDPOINT = 10.0
"""The BM25 value whose score is 0.5: about what two rare words of the query found in one chunk add up to."""

STOP_WORDS = frozenset(
    """a about after all also am an and any are as at be because been before being between both but by can could
    did do does doing during each for from had has have having he her here hers him his how i if in into is it its
    itself me more most my no nor not of off on once only or other our ours out over own same she should so some
    such than that the their theirs them then there these they this those through to too under until up us very
    was we were what when where which while who whom whose why will with would you your yours""".split()  # noqa: SIM905
)

_PHRASE = re.compile(r'"([^"]+)"')
_WORD = re.compile(r"[^\W_]+")
# "boundary-layer" is two words; as a phrase it lowered nDCG@10 on Cranfield from 0.377 to 0.369.
_PLAIN_COMPOUND = re.compile(r"\W*[a-z]+(?:['’-][a-z]+)*\W*")


def match_expression(text: str) -> str:
    """Build the FTS5 expression for `text`; an empty one means that there is nothing to look for.

    Words are OR-ed without English stop words (kept when nothing else is left). What is written as one token
    with digits, capitals or signs (`ZX-4471-Q`, `208.24(d)`), or in quotes, is added as a phrase, so that the chunk
    with exactly that ranks first.
    Every term is a quoted string: NEAR, column names, `*`, `^` and parentheses are text like any other.
    """
    clean = text.replace("\x00", " ").encode(errors="replace").decode()  # half a surrogate pair cannot be bound
    phrases = [each for each in _PHRASE.findall(clean) if len(_WORD.findall(each)) > 1]
    tokens = clean.replace('"', " ").split()
    phrases += [token for token in tokens if len(_WORD.findall(token)) > 1 and not _PLAIN_COMPOUND.fullmatch(token)]
    words = [part for token in tokens for part in _WORD.findall(token)]
    telling = [word for word in words if word.lower() not in STOP_WORDS] or words
    terms = list(dict.fromkeys([*phrases, *(word.lower() for word in telling)]))[:MAX_TERMS]
    return " OR ".join('"' + term.replace('"', " ") + '"' for term in terms)


def squash(bm25: float) -> float:
    """Map BM25 (0 and up, higher is better) to [0, 1): x / (x + MIDPOINT), which keeps the order."""
    value = max(bm25, 0.0)
    return value / (value + MIDPOINT)
