"""Asks every question of every configuration and keeps what each was worth."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from rag.errors import CancelledTaskError, RagError
from rag.evaluation import metrics
from rag.evaluation.questions import Question, Ranking, rank
from rag.pipelines.query import QueryPipeline
from rag.retrievers.base import Query, Retriever
from rag.types import Hit

DEPTH_OF_FILES = 3
"""Where a whole file is looked for, so many times more hits are asked for: several may be of one file."""
MAX_DEPTH = 1000
MAX_NOTES = 5
WORST_COUNT = 5
SHOWN_HITS = 3
SHOWN_CHARS = 200


@dataclass(frozen=True, slots=True)
class Cutting:
    """How the chunks that are searched were made.

    Args:
        name: as it was asked for; `current` is what the database holds.
        is_temporary: whether they are in memory for this evaluation alone: latency is then that of no database.
    """

    name: str
    chunk_count: int
    mean_chars: float
    is_temporary: bool


@dataclass(frozen=True, slots=True)
class Configuration:
    """`open` builds the retriever; it may raise what is wrong with the strategy's options."""

    strategy: str
    cutting: Cutting
    open: Callable[[], Retriever]


@dataclass(frozen=True, slots=True)
class Miss:
    """A question that a configuration did badly at, and what it found instead."""

    question: Question
    ndcg: float
    hits: tuple[Hit, ...]


@dataclass(slots=True)
class Outcome:
    """What one configuration did. `error` is set where it could not be asked; it then has no values.

    `values`: measure → one value per question, in their order. `context_chars`: characters of the first ten hits.
    """

    strategy: str
    cutting: Cutting
    values: dict[str, list[float]] = field(default_factory=dict)
    latencies_ms: list[float] = field(default_factory=list)
    context_chars: list[int] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    misses: list[Miss] = field(default_factory=list)
    error: str | None = None

    def mean(self, measure: str) -> float:
        values = self.values.get(measure) or [0.0]
        return sum(values) / len(values)


PRIMARY = "ndcg@10"
PRIMARY_K = 10


def measures(ks: Sequence[int]) -> list[str]:
    """Their names, the one that decides first."""
    return [PRIMARY, *(f"recall@{k}" for k in ks), *(f"hit@{k}" for k in ks), f"mrr@{_reach(ks)}"]


def run(
    configurations: Iterable[Configuration],
    questions: Sequence[Question],
    ks: Sequence[int],
    on_asked: Callable[[Configuration, int], None],
) -> list[Outcome]:
    """One outcome per configuration, in order. The first question is asked once before, so that all are timed warm.

    Args:
        on_asked: told of each answer with the number of questions asked so far; may raise CancelledTaskError.

    Raises:
        RagError: of the last configuration, when none could be asked.
    """
    outcomes, last_error = [], None
    for each in configurations:
        outcome = Outcome(each.strategy, each.cutting)
        try:
            _ask_all(each, questions, ks, outcome, on_asked)
        except CancelledTaskError:
            raise
        except RagError as error:
            last_error = error
            outcome = Outcome(each.strategy, each.cutting, error=error.message)
        outcomes.append(outcome)
    if last_error is not None and all(each.error for each in outcomes):
        raise last_error
    return outcomes


def _ask_all(
    configuration: Configuration,
    questions: Sequence[Question],
    ks: Sequence[int],
    outcome: Outcome,
    on_asked: Callable[[Configuration, int], None],
) -> None:
    pipeline = QueryPipeline(configuration.open())
    pipeline.run(Query(questions[0].text, top_k=_depth(questions[0], ks)))
    for number, question in enumerate(questions, start=1):
        started = time.perf_counter()
        found = pipeline.run(Query(question.text, top_k=_depth(question, ks)))
        outcome.latencies_ms.append((time.perf_counter() - started) * 1000)
        _judge(outcome, question, found.hits, ks)
        if len(outcome.notes) < MAX_NOTES:
            outcome.notes |= dict.fromkeys(found.notes)
        on_asked(configuration, number)


def _judge(outcome: Outcome, question: Question, hits: Sequence[Hit], ks: Sequence[int]) -> None:
    ranking = rank(question, hits)
    found = _values(question, ranking, ks)
    for name, value in found.items():
        outcome.values.setdefault(name, []).append(value)
    outcome.context_chars.append(sum(len(hit.text) for hit in hits[:PRIMARY_K]))
    if found[PRIMARY] < 1:
        outcome.misses.append(Miss(question, found[PRIMARY], tuple(hits[:SHOWN_HITS])))
        outcome.misses.sort(key=lambda miss: miss.ndcg)  # stable: of equals, the first ones asked stay
        del outcome.misses[WORST_COUNT:]


def _values(question: Question, ranking: Ranking, ks: Sequence[int]) -> dict[str, float]:
    grades = [target.grade for target in question.targets]
    gains = ranking.gains
    return {
        PRIMARY: metrics.ndcg(gains, grades, PRIMARY_K),
        **{f"recall@{k}": metrics.recall(ranking.counts, len(grades), k) for k in ks},
        **{f"hit@{k}": metrics.hit(gains, k) for k in ks},
        f"mrr@{_reach(ks)}": metrics.reciprocal_rank(gains, _reach(ks)),
    }


def _reach(ks: Sequence[int]) -> int:
    return max(PRIMARY_K, *ks)


def _depth(question: Question, ks: Sequence[int]) -> int:
    return min(MAX_DEPTH, _reach(ks) * (DEPTH_OF_FILES if question.is_about_files else 1))
