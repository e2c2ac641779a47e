"""What a question asks for by its exact form (`ZX-4471-Q`, 761225, "a quoted phrase"), and which hits hold it.

An embedding does not spell: to a question that is nothing but a code, all chunks are about equally near, and it takes a
chunk full of other codes for the nearest. A weighted mean with it can lose what the words found, so exact forms count
beside both, by what is asked and found, with nothing to be tuned to a collection.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from rag.retrievers.fuse import Values
from rag.stores.ledger import INDEXED_METADATA
from rag.stores.lexical import MAX_TERMS, STOP_WORDS, quoted, spaced, spellings
from rag.types import Hit

_WORD = re.compile(r"[^\W_]+")
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")
# A year, "4,000", "65-year-old", "type-2": they stand in many sentences that mean something else by them.
_AMOUNT = re.compile(r"(?:\d{1,3}(?:[.,]\d{3})+|\d{1,4})(?:[.,:]\d+)?-?[a-z]*(?:-[a-z]+)*|[a-z]{3,}-\d{1,2}")
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|[\w-]{2,}(?:\.[\w-]{2,})+")
"""Of a mail box, a computer, or a file: `maire@example.org`, `handbook.pdf`."""
_THOUSANDS = re.compile(r"(?<![\d.,])(\d{1,3}(?:[ \u00a0\u202f]\d{3})+)(?!\d)")
_LONGEST_PIECE = 3
"""Letters of a word that may be a piece of a code beside digits: `ZX 4471 Q`, `RFC 6455`; one less in small ones."""
_SHORT = 3
"""Letters and digits below which a token ("4", "3D", "Q3") is commoner than a word: headings and formulas have it."""


@dataclass(frozen=True, slots=True)
class ExactTerm:
    """Its words with single spaces between and around them, as `_plain` writes a text."""

    words: str
    doubt: float
    """0: a code, which names one thing; 0.5: other words of a form of their own (`call_later`, a quoted phrase); 1: a
    number, which others may have too; 2: a name, a quoted word, or short."""
    others: tuple[str, ...] = ()
    """How else it may be written."""


def exact_terms(text: str) -> tuple[list[ExactTerm], float]:
    """What `text` asks for by its form, and the share of that in its telling words.

    These are quoted phrases, tokens with a digit or an underscore, addresses and file names, codes with spaces inside,
    and names of two words and more.
    """
    phrases = [_plain(each) for each in quoted(text)]
    found = [ExactTerm(phrase, _doubt_of_quoted(phrase.strip())) for phrase in phrases]
    rest = text
    for each in quoted(text):
        rest = rest.replace(each, " ")
    tokens = [_EDGES.sub("", token) for token in _THOUSANDS.sub(_without_spaces, rest).split()]
    exact = [token for token in tokens if _is_exact(token)]
    found += [_term(token, _doubt(token)) for token in exact]
    found += [_term(" ".join(run), 0) for run in _runs(tokens, _is_piece) if _is_code(run)]
    names = [run for run in _runs(tokens, _is_name) if len(run) > 1]
    found += [_term(" ".join(run), 2) for run in names]
    telling = [token for token in tokens if token in exact or (token and token.lower() not in STOP_WORDS)]
    asked_count = len(phrases) + len(exact) + sum(len(run) for run in names)
    distinct = [term for term in dict.fromkeys(found) if term.words.strip()][:MAX_TERMS]
    return distinct, min(1.0, asked_count / max(1, len(phrases) + len(telling)))


def _without_spaces(number: re.Match[str]) -> str:
    return re.sub(r"\s", ",", number.group())


def _term(text: str, doubt: float) -> ExactTerm:
    return ExactTerm(_plain(text), doubt, tuple(_plain(each) for each in spellings(text)))


def _is_exact(token: str) -> bool:
    return any(sign.isdigit() or sign == "_" for sign in token) or _ADDRESS.fullmatch(token) is not None


def _is_piece(token: str) -> bool:
    if token.isdigit():
        return True
    longest = _LONGEST_PIECE if token.isupper() else _LONGEST_PIECE - 1
    return token.isalnum() and len(token) <= longest and token.lower() not in STOP_WORDS


def _is_code(run: Sequence[str]) -> bool:
    return len(run) > 1 and any(len(each) >= _SHORT and each.isdigit() for each in run) and not "".join(run).isdigit()


def _is_name(token: str) -> bool:
    return token[:1].isupper() and len(token) > 1 and token[1:].islower() and token.lower() not in STOP_WORDS


def _runs(tokens: Sequence[str], belongs: Callable[[str], bool]) -> list[list[str]]:
    """Neighbours that belong, as long as there are any."""
    return [list(run) for is_in, run in groupby(tokens, belongs) if is_in]


def exact_matches(text: str, hits: Sequence[Hit]) -> tuple[Values, float]:
    """How much of what is asked for exactly each hit holds, in [0, 1], and what that counts beside all else (1).

    What one hit alone has counts 1: that hit stands above all others. The more have it, and for plain numbers and
    names from the first on, the more it counts as its share of the question only: `TypeError` in a sentence on
    something else is a word like others, asked for alone it is the question. Short ones count the square of that: "4"
    alone is a search for 4, "wing flutter at mach 4" is not. A term that no candidate holds says nothing. File names
    and headings are searched as well, as BM25 does.
    """
    terms, share = exact_terms(text)
    if not terms:
        return {}, 0.0
    bodies = {hit.id: _Searched(hit) for hit in hits}
    holders = {term: _holders(term, bodies) for term in terms}
    weights = {term: share ** max(term.doubt, math.log10(len(found))) for term, found in holders.items() if found}
    total = sum(weights.values())
    values = {
        key: sum(weight for term, weight in weights.items() if key in holders[term]) / total if total else 0.0
        for key in bodies
    }
    return values, max(weights.values(), default=0.0)


def _holders(term: ExactTerm, bodies: Mapping[str, "_Searched"]) -> set[str]:
    ways = [(words, words.split()) for words in (term.words, *term.others)]
    return {key for key, body in bodies.items() for words, each in ways if body.has(words, each)}


def _doubt(token: str) -> float:
    if sum(map(str.isalnum, token)) < _SHORT:
        return 2
    if not any(sign.isdigit() or sign == "@" for sign in token):
        return 0.5
    return 1 if _AMOUNT.fullmatch(token) else 0


def _doubt_of_quoted(phrase: str) -> float:
    if " " not in phrase:
        return 2
    return 0 if any(sign.isdigit() for sign in phrase) else 0.5


class _Searched:
    """What of a hit is searched. Reading it word by word takes long, so that is done for those it may be in only."""

    def __init__(self, hit: Hit) -> None:
        self._texts = [hit.text]
        for key in INDEXED_METADATA:
            if key in hit.metadata:
                self._texts.append(str(hit.metadata[key]))
        self._letters = _folded("\n".join(self._texts))
        self._plain: str | None = None

    def has(self, words: str, each: Sequence[str]) -> bool:
        """Whether `words` stand here next to each other; `each` are the single ones."""
        for word in each:
            if not _has_word(self._letters, word):
                return False
        if len(each) == 1:
            return True
        if self._plain is None:
            self._plain = "\n".join(map(_plain, self._texts))
        return words in self._plain


def _plain(text: str) -> str:
    """As the full-text index reads it: words only, without case and accents, signs of Chinese and the like apart."""
    return f" {' '.join(_WORD.findall(_folded(text)))} "


def _folded(text: str) -> str:
    """Without case and accents, signs of Chinese and the like apart."""
    if text.isascii():
        return text.casefold()
    text = unicodedata.normalize("NFKD", text)
    for sign in set(text):  # far fewer than there are characters
        if unicodedata.combining(sign):
            text = text.replace(sign, "")
    return spaced(text.casefold())


def _has_word(text: str, word: str) -> bool:
    """Whether `word` stands there between what is no letter and no digit."""
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        if not text[at - 1 : at].isalnum() and not text[end : end + 1].isalnum():
            return True
        at = text.find(word, at + 1)
    return False
