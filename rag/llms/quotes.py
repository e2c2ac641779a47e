"""Ranks what can be quoted against a question."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from rag.llms.excerpts import excerpt
from rag.llms.quotable_units import Unit, quotable_units
from rag.llms.quote_words import DIGIT, WORD, is_code, is_exact, terms
from rag.types import Hit

MAX_HITS = 20
MATCH_SHARE = 0.5
"""A chunk matches when it holds every code of the question, or this much of its words, weighted by rarity, …"""
SENTENCE_SHARE = 0.3
"""… or this much, and two of them in one sentence, …"""
MATCH_SCORE = 0.65
"""… or when the retriever is this sure of it: (1 + cosine) / 2 of unrelated texts stays below."""
HIT_WEIGHT = 0.5
"""How much of a sentence's rank comes from its chunk: the retriever also knows synonyms, which words do not show."""
CONTEXT_WEIGHT = 0.3
"""Credit for terms that stand elsewhere in the chunk: the subject is often named one sentence earlier."""
ABOVE_WEIGHT = 0.8
"""Credit for terms of the titles and column names above: they hold for every sentence and row under them."""
OTHER_ROW_FACTOR = 0.5
"""A row without a code that the question names and another place has is about another thing."""
EXACT_WEIGHT = 2.0
"""A number or an identifier of the question is seldom there by chance."""
NUMBER_BONUS = 0.15
SAME_SHARE = 0.8
"""Two sentences say the same when this share of the shorter one's words stands in the other."""
RELATIVE_FLOOR = 0.6
"""A further quote must be at least this good, compared with the best one."""

_NUMBER_TEXT = "when many much cost costs price year date percent number wann wieviel wieviele"
_NUMBER_WORDS = frozenset(_NUMBER_TEXT.split())


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence or a row, the 1-based number of its source, and how well it fits.

    Args:
        text: the document's own words, on one line; of a long one what stands around the question's words.
        is_match: whether it is about the question at all, as far as words and the retriever can tell.
    """

    text: str
    number: int
    score: float
    is_match: bool = True


class _Sentence(NamedTuple):
    """A unit, the number of its source, and the wanted terms that it holds and that stand above it."""

    unit: Unit
    number: int
    found: set[str]
    above: set[str]


def best_sentences(question: str, hits: Sequence[Hit], max_sentences: int) -> list[Quote]:
    """Rank the sentences and rows of `hits` against `question`.

    Returns:
        Best first; ties keep the order of the hits. No sentence twice, and none that shares no word with the question.
    """
    wanted = dict.fromkeys(terms(question))
    if not wanted:
        return []
    sentences = [
        _Sentence(unit, number, wanted.keys() & set(terms(unit.text)), wanted.keys() & set(terms(unit.above)))
        for number, hit in enumerate(hits[:MAX_HITS], 1)
        for unit in quotable_units(hit.text)
    ]
    weights = _weights(wanted, sentences)
    chunks: dict[int, set[str]] = {}
    for sentence in sentences:
        chunks.setdefault(sentence.number, set()).update(sentence.found, sentence.above)
    codes = {term for held in chunks.values() for term in held if is_code(term)}
    number_bonus = NUMBER_BONUS if _asks_for_number(question) else 0.0
    quotes = []
    for sentence in sentences:
        if not sentence.found:
            continue
        unit, hit_score, near = sentence.unit, hits[sentence.number - 1].score, chunks[sentence.number]
        score = _overlap(sentence, near, weights) / (1.0 + max(0, len(unit.text) - 200) / 2000)
        score += HIT_WEIGHT * hit_score + (number_bonus if DIGIT.search(unit.text) else 0.0)
        is_match = hit_score >= MATCH_SCORE or _is_match(sentence, near, weights)
        is_other = unit.is_row and not codes <= sentence.found | sentence.above
        score *= unit.factor * (OTHER_ROW_FACTOR if is_other else 1.0)
        quotes.append(Quote(unit.text, sentence.number, score, is_match))
    quotes.sort(key=lambda quote: -quote.score)
    return [replace(quote, text=excerpt(quote.text, weights)) for quote in _cut(quotes, max_sentences)]


def _overlap(sentence: _Sentence, near: set[str], weights: Mapping[str, float]) -> float:
    """The share of the question's words that the sentence has; those around it count for less."""
    above = sentence.above - sentence.found
    rest = set() if sentence.unit.is_row else near - sentence.found - above
    return (
        _share(sentence.found, weights) + ABOVE_WEIGHT * _share(above, weights) + CONTEXT_WEIGHT * _share(rest, weights)
    )


def _is_match(sentence: _Sentence, near: set[str], weights: Mapping[str, float]) -> bool:
    codes = {term for term in weights if is_code(term)}
    share = _share(near, weights)
    if share >= MATCH_SHARE or (codes and codes <= near):
        return True
    return not codes and share >= SENTENCE_SHARE and len(sentence.found) >= 2


def _share(found: Iterable[str], weights: Mapping[str, float]) -> float:
    return sum(weights[term] for term in found) / sum(weights.values())


def _asks_for_number(question: str) -> bool:
    """Whether the question is after a date or an amount, which a sentence without digits seldom gives."""
    return not _NUMBER_WORDS.isdisjoint(WORD.findall(question.lower()))


def _weights(wanted: Iterable[str], sentences: Sequence[_Sentence]) -> dict[str, float]:
    """Rarity of each wanted term among the sentences; exact ones count more. Terms found nowhere keep theirs."""
    counts = Counter(term for sentence in sentences for term in sentence.found)
    return {
        term: math.log(1 + (len(sentences) + 1) / (counts[term] + 0.5)) * (EXACT_WEIGHT if is_exact(term) else 1.0)
        for term in wanted
    }


def _cut(quotes: Sequence[Quote], max_sentences: int) -> list[Quote]:
    """The best ones, each statement once: of sentences that say the same, the one from the best source stands."""
    kept: list[Quote] = []
    words: list[set[str]] = []
    for quote in quotes:
        own = set(WORD.findall(quote.text.lower()))
        same = next((index for index, other in enumerate(words) if _says_the_same(own, other)), None)
        if same is not None:
            if quote.number < kept[same].number and len(own) >= SAME_SHARE * len(words[same]):
                kept[same], words[same] = quote, own
            continue
        if len(kept) == max_sentences or (kept and quote.score < RELATIVE_FLOOR * kept[0].score):
            break
        kept.append(quote)
        words.append(own)
    return kept


def _says_the_same(first: set[str], second: set[str]) -> bool:
    less, more = sorted((first, second), key=len)
    if any(is_exact(word) for word in less - more):
        return False  # rows of one table share their column names and differ in a number
    return len(less & more) >= SAME_SHARE * len(less)


def beginning(hits: Sequence[Hit]) -> Quote:
    best = max(range(len(hits)), key=lambda index: hits[index].score)
    flat = " ".join(hits[best].text.split())
    texts = [unit.text for unit in quotable_units(hits[best].text) if unit.factor == 1.0] or [flat]
    both = " ".join(texts[:2])
    text = both if both in flat else texts[0]
    return Quote(excerpt(text, {}), best + 1, hits[best].score, is_match=False)
