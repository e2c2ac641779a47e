"""Ways to weigh the phrases of a text. Each returns (phrase, weight), heaviest first; weights compare only within one
call."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from rag.extractors.named_patterns import named_pattern
from rag.extractors.words import WORD

Weighted = list[tuple[str, float]]

_PHRASE_END = re.compile(r"[^\w\s'’-]+|\n\s*\n")
_DAMPING = 0.85
_WINDOW = 4


def phrases(text: str, stop_words: Collection[str], max_words: int) -> list[tuple[str, ...]]:
    """Runs of words between stop words and punctuation, in lower case; longer runs are left out."""
    found: list[tuple[str, ...]] = []
    for part in _PHRASE_END.split(_without_addresses(text)):
        run: list[str] = []
        for word in [*(word.lower() for word in WORD.findall(part)), ""]:
            if word and word not in stop_words:
                run.append(word)
                continue
            if 0 < len(run) <= max_words:
                found.append(tuple(run))
            run = []
    return found


def rake(found: Sequence[tuple[str, ...]]) -> Weighted:
    """Rose, Engel, Cramer and Cowley, "Automatic keyword extraction from individual documents", 2010."""
    degree: Counter[str] = Counter()
    frequency: Counter[str] = Counter()
    for phrase in found:
        for word in phrase:
            degree[word] += len(phrase)
            frequency[word] += 1
    return _ranked({phrase: sum(degree[word] / frequency[word] for word in phrase) for phrase in found})


def yake(found: Sequence[tuple[str, ...]], sentence_count: int) -> Weighted:
    """A short form of Campos et al., "YAKE!", 2020: early and frequent words weigh more, common neighbours less."""
    first: dict[str, int] = {}
    frequency: Counter[str] = Counter()
    neighbours: dict[str, set[str]] = defaultdict(set)
    for position, phrase in enumerate(found):
        for index, word in enumerate(phrase):
            first.setdefault(word, position)
            frequency[word] += 1
            neighbours[word].update(phrase[max(0, index - 1) : index + 2])
    spread = {word: len(neighbours[word]) / (frequency[word] + sentence_count) for word in frequency}
    weight = {word: frequency[word] / (math.log(math.e + first[word]) * (1 + spread[word])) for word in frequency}
    return _ranked({phrase: sum(weight[word] for word in phrase) / math.sqrt(len(phrase)) for phrase in found})


def tfidf(found: Sequence[tuple[str, ...]], part_frequency: Mapping[str, int], part_count: int) -> Weighted:
    """Weighs words by how much more often they stand here than in the other parts of the document."""
    frequency = Counter(word for phrase in found for word in phrase)
    return _ranked(
        {
            (word,): count * (math.log((1 + part_count) / (1 + part_frequency.get(word, 0))) + 1)
            for word, count in frequency.items()
        }
    )


def textrank(found: Sequence[tuple[str, ...]], iterations: int = 20) -> Weighted:
    """Mihalcea and Tarau, "TextRank: bringing order into text", 2004, over words that stand near each other."""
    order = [word for phrase in found for word in phrase]
    linked: dict[str, set[str]] = {word: set() for word in order}
    for index, word in enumerate(order):
        for other in order[index + 1 : index + _WINDOW]:
            if other != word:
                linked[word].add(other)
                linked[other].add(word)
    rank = dict.fromkeys(order, 1.0)
    for _ in range(iterations):
        # Sorted: the order of a set would change the last digits from run to run.
        rank = {
            word: 1 - _DAMPING + _DAMPING * sum(rank[other] / len(linked[other]) for other in sorted(linked[word]))
            for word in rank
        }
    return _ranked({phrase: sum(rank[word] for word in phrase) / math.sqrt(len(phrase)) for phrase in found})


def _without_addresses(text: str) -> str:
    """Parts of an address are no words; a sign in its place ends a phrase."""
    for name in ("url", "email"):
        text = named_pattern(name).sub("|", text)
    return text


def _ranked(weights: Mapping[tuple[str, ...], float]) -> Weighted:
    ordered = sorted(weights.items(), key=lambda entry: -entry[1])
    return [(" ".join(phrase), weight) for phrase, weight in ordered]
