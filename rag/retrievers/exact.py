"""What a question asks for by its exact form (`ZX-4471-Q`, 761225, "a quoted phrase"), and which hits hold it.

An embedding does not spell: to a question that is nothing but a code, all chunks are about equally near, and it takes a
chunk full of other codes for the nearest. A weighted mean with it can lose what the words found, so exact forms count
beside both, by what is asked and found, with nothing to be tuned to a collection.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from rag.retrievers.fuse import Values
from rag.stores.ledger import INDEXED_METADATA
from rag.stores.lexical import MAX_TERMS, STOP_WORDS
from rag.types import Hit

_QUOTED = re.compile(r'"([^"]+)"|“([^”]+)”|„([^“”]+)[“”]')
_WORD = re.compile(r"[^\W_]+")
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")
# A year, "4,000", "65-year-old", "type-2": they stand in many sentences that mean something else by them.
_AMOUNT = re.compile(r"(?:\d{1,3}(?:[.,]\d{3})+|\d{1,4})(?:[.,:]\d+)?-?[a-z]*(?:-[a-z]+)*|[a-z]{3,}-\d{1,2}")
_SHORT = 3
"""Letters and digits below which a token ("4", "3D", "Q3") is commoner than a word: headings and formulas have it."""


@dataclass(frozen=True, slots=True)
class ExactTerm:
    """Its words with single spaces between and around them, as `_plain` writes a text."""

    words: str
    doubt: int
    """0: names one thing; 1: a number, which others may have too; 2: short as well."""


def exact_terms(text: str) -> tuple[list[ExactTerm], float]:
    """Quoted phrases and tokens with a digit or an underscore, and their share of the telling words of `text`."""
    quoted = [ExactTerm(_plain("".join(each)), 0) for each in _QUOTED.findall(text)]
    tokens = [_EDGES.sub("", token) for token in _QUOTED.sub(" ", text).split()]
    exact = [token for token in tokens if any(sign.isdigit() or sign == "_" for sign in token)]
    telling = [token for token in tokens if token in exact or (token and token.lower() not in STOP_WORDS)]
    found = [*quoted, *(ExactTerm(_plain(token), _doubt(token)) for token in exact)]
    distinct = [term for term in dict.fromkeys(found) if term.words.strip()][:MAX_TERMS]
    return distinct, (len(quoted) + len(exact)) / max(1, len(quoted) + len(telling))


def exact_matches(text: str, hits: Sequence[Hit]) -> tuple[Values, float]:
    """How much of what is asked for exactly each hit holds, in [0, 1], and what that counts beside all else (1).

    A name of one thing counts 1: with it, a hit that holds every such term stands above all that hold none. What half
    of the candidates hold does not tell them apart (`COVID-19` among papers on it); that, and plain numbers, count as
    much as their share of the question, and short ones its square: "4" alone is a search for 4, "wing flutter at mach
    4" is not. A term that no candidate holds says nothing. File names and headings are searched as well, as BM25 does.
    """
    terms, share = exact_terms(text)
    if not terms:
        return {}, 0.0
    bodies = {hit.id: _Searched(hit) for hit in hits}
    holders = {term: {key for key, body in bodies.items() if body.holds(term)} for term in terms}
    weights = {
        term: share ** (term.doubt if 2 * len(found) < len(bodies) else max(1, term.doubt))
        for term, found in holders.items()
        if found
    }
    total = sum(weights.values())
    values = {
        key: sum(weight for term, weight in weights.items() if key in holders[term]) / total if total else 0.0
        for key in bodies
    }
    return values, max(weights.values(), default=0.0)


def _doubt(token: str) -> int:
    if sum(map(str.isalnum, token)) < _SHORT:
        return 2
    return 1 if _AMOUNT.fullmatch(token) else 0


class _Searched:
    """What of a hit is searched. Reading it word by word takes long, so that is done for those it may be in only."""

    def __init__(self, hit: Hit) -> None:
        self._texts = [hit.text, *(str(hit.metadata[key]) for key in INDEXED_METADATA if key in hit.metadata)]
        joined = "\n".join(self._texts)
        self._letters = joined.casefold() if joined.isascii() else None
        self._plain: str | None = None

    def holds(self, term: ExactTerm) -> bool:
        if self._letters is not None and not all(word in self._letters for word in term.words.split()):
            return False
        if self._plain is None:
            self._plain = "\n".join(map(_plain, self._texts))
        return term.words in self._plain


def _plain(text: str) -> str:
    """As the full-text index reads it: words only, without case and accents."""
    if not text.isascii():
        text = "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))
    return f" {' '.join(_WORD.findall(text.casefold()))} "
