"""A file's pages → segments, each of one category."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rag.splitting.asking import Answers, Ask, ask_about
from rag.splitting.boundaries import starts
from rag.splitting.evidence import Embed, Evidence, Labels, weigh
from rag.splitting.labels import Category, Page
from rag.splitting.segments import Policy, Segment, make_segments
from rag.splitting.smoothing import chances

SURE, SURE_ALONE = 0.9, 0.5
"""A model is not asked about pages that are as clear without it: with their neighbours, and by themselves."""
MAX_ASKED = 240


@dataclass(frozen=True, slots=True)
class Looked:
    """What pages say of themselves; `starts`: of each, the chance that a document begins with it."""

    evidence: Evidence
    starts: Sequence[float]


def look(
    pages: Sequence[Page],
    categories: Sequence[Category],
    embed: Embed,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Looked:
    """Without any language model."""
    return Looked(weigh(pages, Labels(categories), embed, on_progress), starts(pages))


def ask_model(
    pages: Sequence[Page], categories: Sequence[Category], looked: Looked, ask: Ask, *, allows_none: bool
) -> Looked:
    """Have a model say what is doubtful: at most `MAX_ASKED` pages, the most doubtful ones."""
    scores = looked.evidence.scores if allows_none else looked.evidence.scores[:, :-1]
    alone = chances(scores, [1.0] * len(pages)).max(axis=1)
    together = chances(scores, looked.starts).max(axis=1)
    sure = np.minimum(together / SURE, alone / SURE_ALONE)
    doubtful = [at for at in sure.argsort().tolist() if sure[at] < 1 and pages[at].text.strip()]
    if not doubtful:
        return looked
    answers = ask_about(pages, sorted(doubtful[:MAX_ASKED]), categories, ask, allows_none=allows_none)
    return _told(looked, answers)


def split(categories: Sequence[Category], pages: Sequence[Page], looked: Looked, policy: Policy) -> list[Segment]:
    names, numbers = [each.name for each in categories], [each.number for each in pages]
    return make_segments(names, numbers, looked.evidence.scores, looked.starts, policy)


def _told(looked: Looked, answers: Answers) -> Looked:
    scores, begins = looked.evidence.scores.copy(), list(looked.starts)
    for at, answer in answers.items():
        scores[at, answer.label] = scores[at].max() + answer.weight
        if at:
            begins[at] = answer.starts
    return Looked(replace(looked.evidence, scores=scores), begins)
