"""Text a person typed → a query of the word index that can only ever mean words and phrases; BM25 → a score."""

import re

MAX_TERMS = 64
"""Distinct terms taken from one query, in order; a pasted page does not become a thousand look-ups."""

MIDPOINT = 10.0
"""The BM25 value whose score is 0.5: about what two rare words of the query found in one chunk add up to."""

PHRASE_BOOST = "^1.5"
"""What is found as it was written says more than its parts, of which a chunk may hold many."""

STOP_WORDS = frozenset(
    """a about after all also am an and any are as at be because been before being between both but by can could
    did do does doing during each for from had has have having he her here hers him his how i if in into is it its
    itself me more most my no nor not of off on once only or other our ours out over own same she should so some
    such than that the their theirs them then there these they this those through to too under until up us very
    was we were what when where which while who whom whose why will with would you your yours""".split()  # noqa: SIM905
)

_PHRASE = re.compile(r'"([^"]+)"|“([^”]+)”|„([^“”]+)[“”]|«([^»]+)»|「([^」]+)」|『([^』]+)』')
_WORD = re.compile(r"[^\W_]+")
_SIGNS = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_IDEOGRAPH = re.compile(f"[{_SIGNS}]")
_RUN = re.compile(f"[{_SIGNS}]+|[^{_SIGNS}]+")
# "boundary-layer" is two words; as a phrase it lowered nDCG@10 on Cranfield from 0.377 to 0.369.
_PIECE = re.compile(r"[^\W\d_]+|\d+")
_GROUPED = re.compile(r"\d{1,3}(?:[.,'’]\d{3})+(?:[.,]\d+)?")
_UNGROUPED = re.compile(r"\d{4,9}(?:[.,]\d+)?")
_PLAIN_COMPOUND = re.compile(r"\W*[a-z]+(?:['’-][a-z]+)*\W*")


def terms(text: str) -> list[str]:
    """The words and phrases of `text`, each a quoted string; none means that there is nothing to look for.

    English stop words are left out unless nothing else is left. What is written as one token with digits, capitals
    or signs (`ZX-4471-Q`, `208.24(d)`), or in quotes, is added as a phrase, so that the chunk with exactly that ranks
    first. Every term is a quoted string: NEAR, column names, `*`, `^` and parentheses are text like any other.
    """
    # A backslash would let the quote behind it end nothing.
    clean = (
        text.replace("\x00", " ").replace("\\", " ").encode(errors="replace").decode()
    )  # half a surrogate pair cannot be bound
    phrases = [each for each in quoted(clean) if len(_WORD.findall(each)) > 1]
    tokens = clean.replace('"', " ").split()
    phrases += [token for token in tokens if len(_WORD.findall(token)) > 1 and not _PLAIN_COMPOUND.fullmatch(token)]
    words = [part for token in tokens for part in _WORD.findall(token)]
    phrases += [other for token in tokens for other in spellings(token)]
    telling = [word for word in words if word.lower() not in STOP_WORDS] or words
    whole = dict.fromkeys(phrase.replace('"', " ") for phrase in phrases)
    parts = dict.fromkeys(part for word in telling for part in _parts(word.lower()) if part not in whole)
    return [*(f'"{each}"{PHRASE_BOOST}' for each in whole), *(f'"{each}"' for each in parts)][:MAX_TERMS]


def quoted(text: str) -> list[str]:
    """What stands in quotes of any kind, without them."""
    return ["".join(each) for each in _PHRASE.findall(text)]


def spellings(token: str) -> list[str]:
    """How else a code or a number may be written, as words: `ZX-4471-Q` and `zx4471q`, `1.234,56` and `1234.56`."""
    if not any(sign.isdigit() for sign in token):
        return []
    words, pieces = _WORD.findall(token.lower()), _PIECE.findall(token.lower())
    joined = "".join(
        piece if number and piece.isdigit() != pieces[number - 1].isdigit() else f" {piece}"
        for number, piece in enumerate(pieces)
    )
    found = [" ".join(pieces), joined.strip()]
    bare = token.strip(".,;:!?()[]")
    if _GROUPED.fullmatch(bare):
        whole, *rest = re.split(r"[.,](?=\d+$)", bare) if not re.search(r"[.,'’]\d{3}$", bare) else [bare]
        found.append(" ".join(["".join(_WORD.findall(whole)), *rest]))
    elif _UNGROUPED.fullmatch(bare):
        whole, *rest = re.split(r"[.,]", bare)
        found.append(" ".join([f"{int(whole):,}".replace(",", " "), *rest]))
    return [each for each in dict.fromkeys(found) if each and each != " ".join(words)]


def _parts(word: str) -> list[str]:
    """The word itself, or every two neighbours of what is written without spaces."""
    if word.isascii() or not _IDEOGRAPH.search(word):
        return [word]
    runs = [match.group() for match in _RUN.finditer(word)]
    return [run[start : start + 2] for run in runs for start in range(max(1, len(run) - 1))]


def spaced(text: str) -> str:
    """Set every ideograph apart: scripts without spaces are indexed sign by sign, and found by pairs of signs."""
    return text if text.isascii() else _IDEOGRAPH.sub(r" \g<0> ", text)


def squash(bm25: float) -> float:
    """Map BM25 (0 and up, higher is better) to [0, 1): x / (x + MIDPOINT), which keeps the order."""
    value = max(bm25, 0.0)
    return value / (value + MIDPOINT)
