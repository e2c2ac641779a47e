"""Of which type a whole document is: one of the offered ones, or none."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rag.splitting.evidence import MEANING, Embed, Labels, excerpt
from rag.splitting.labels import Category, Page

MAX_PAGES = 16
"""Of a long document, its first pages are looked at, and some of the others at equal distances."""
FIRST_PAGES = 8
MAX_CHARS = 12_000
SHOWN_WORDS = 5


@dataclass(frozen=True, slots=True)
class Classified:
    """`name` is None when no type fits; `confidence` lies in [0, 1]."""

    name: str | None
    confidence: float
    reasoning: str


def classify(pages: Sequence[Page], categories: Sequence[Category], embed: Embed) -> Classified:
    """By words and meaning. A document without text is of no type."""
    chosen = sample(pages)
    if not chosen:
        return Classified(None, 0.0, "the document has no text")
    labels = Labels(categories)
    text = "\n".join(page.text for page in chosen)
    vectors = np.asarray(embed([*(excerpt(page.text) for page in chosen), *(each.text for each in labels.all)]))
    near = (vectors[: len(chosen)] @ vectors[len(chosen) :].T).mean(axis=0)
    words = np.array(labels.by_words(text))
    odds = labels.gathered((words + MEANING * (near - near.mean()))[None, :])[0]
    chances = np.exp(odds - odds.max())
    chances /= chances.sum()
    best = int(chances.argmax())
    confidence = in_hundredths(float(chances[best]))
    if best == len(categories):
        closest = int(chances[:-1].argmax())
        return Classified(None, confidence, _no_type(labels, closest, text))
    return Classified(categories[best].name, confidence, _because(labels, best, text, near, chances))


def in_hundredths(chance: float) -> float:
    """More digits would say more than is known; what is not certain is not 1."""
    return 1.0 if chance >= 1 else min(round(chance, 2), 0.99)


def sample(pages: Sequence[Page]) -> list[Page]:
    with_text = [page for page in pages if page.text.strip()]
    if len(with_text) <= MAX_PAGES:
        return with_text
    places = np.linspace(FIRST_PAGES, len(with_text) - 1, MAX_PAGES - FIRST_PAGES).astype(int).tolist()
    return [*with_text[:FIRST_PAGES], *(with_text[at] for at in places)]


def sampled_text(pages: Sequence[Page]) -> str:
    """What a model is shown."""
    chosen = sample(pages)
    each_chars = MAX_CHARS // max(len(chosen), 1)
    return "\n\n".join(f"[page {page.number}]\n{page.text.strip()[:each_chars]}" for page in chosen)


def _because(labels: Labels, best: int, text: str, near: np.ndarray, chances: np.ndarray) -> str:
    name = labels.categories[best].name
    shared = labels.shared_words(best, text)[:SHOWN_WORDS]
    parts = [f"The document has words of '{name}': {', '.join(shared)}." if shared else f"It has no word of '{name}'."]
    parts.append(f"Its meaning is near to that type by {near[best]:.2f} (1 is equal).")
    if len(labels.categories) > 1:
        order = np.argsort(-chances[: len(labels.categories)])
        second = next(int(at) for at in order if int(at) != best)
        chance = f"of {chances[second]:.2f}" if chances[second] >= 0.01 else "below 0.01"
        parts.append(f"Next comes '{labels.categories[second].name}' with a chance {chance}.")
    return " ".join(parts)


def _no_type(labels: Labels, closest: int, text: str) -> str:
    name = labels.categories[closest].name
    shared = labels.shared_words(closest, text)[:SHOWN_WORDS]
    words = f"shares {', '.join(shared)}" if shared else "shares no word with the document"
    return (
        f"No rule fits: the closest, '{name}', {words}, and other kinds of documents are nearer in words and meaning."
    )
