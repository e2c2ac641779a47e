"""What was measured, as JSON, and which configuration to use: only what is more than noise is recommended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rag.evaluation import metrics
from rag.evaluation.run import PRIMARY, SHOWN_CHARS, Miss, Outcome

SIGNIFICANT = 0.05
WORTH = 0.01
"""A smaller gain of the deciding measure is no reason to change anything."""
TOLERANCE = 0.01
"""Configurations that are this close to the best and cheaper are preferred to it."""
FEW_QUESTIONS = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """The position of the recommended outcome, the sentence that says why, and how it compares with the present one."""

    chosen: int
    is_change: bool
    reason: str
    gain: float
    p_value: float | None


def recommend(outcomes: Sequence[Outcome], current: int, *, excluded: frozenset[int] = frozenset()) -> Verdict | None:
    """Choose between what was measured; None when nothing could be.

    What is in use stays, unless another is better by more than `WORTH` and by more than chance (Holm-adjusted paired
    randomisation test). Of those that are, and that cannot be told from the best of them, the cheapest is chosen.

    Args:
        current: position of what is in use.
        excluded: positions that these questions cannot judge fairly.
    """
    able = [at for at, each in enumerate(outcomes) if each.error is None and at not in excluded]
    if not able:
        return None
    if outcomes[current].error is not None:
        best = max(able, key=lambda at: outcomes[at].mean(PRIMARY))
        reason = f"what is in use could not be measured ({outcomes[current].error}); this one scored highest"
        return Verdict(best, best != current, reason, 0.0, None)
    others = [at for at in able if at != current]
    base = outcomes[current].values[PRIMARY]
    p_values = dict(
        zip(
            others,
            metrics.adjusted([metrics.paired_p_value(outcomes[at].values[PRIMARY], base) for at in others]),
            strict=True,
        )
    )
    gains = {at: outcomes[at].mean(PRIMARY) - outcomes[current].mean(PRIMARY) for at in others}
    better = [at for at in others if p_values[at] < SIGNIFICANT and gains[at] > WORTH]
    if not better:
        return _stay(outcomes, current, gains, p_values)
    best = max(better, key=lambda at: gains[at])
    close = [at for at in better if gains[best] - gains[at] <= TOLERANCE]
    chosen = min(close, key=lambda at: _cost(outcomes[at]))
    why_cheapest = (
        "" if chosen == best else f"; {_named(outcomes[best])} is no more than {TOLERANCE:g} better, and costs more"
    )
    reason = (
        f"{PRIMARY} {outcomes[current].mean(PRIMARY):.3f} → {outcomes[chosen].mean(PRIMARY):.3f} over "
        f"{len(base)} questions, more than chance explains (p = {_shown_p(p_values[chosen])}, adjusted for "
        f"{len(others)} comparisons){why_cheapest}"
    )
    return Verdict(chosen, True, reason, gains[chosen], p_values[chosen])


def _stay(outcomes: Sequence[Outcome], current: int, gains: dict[int, float], p_values: dict[int, float]) -> Verdict:
    best = max(gains, key=lambda at: gains[at], default=None)
    if best is None or gains[best] <= 0:
        reason = "nothing that was tried scored higher than what is in use"
    elif gains[best] <= WORTH:
        reason = f"{_named(outcomes[best])} scored highest, but only {gains[best]:.3f} higher: not worth a change"
    else:
        reason = (
            f"{_named(outcomes[best])} scored {gains[best]:.3f} higher, which {len(outcomes[best].values[PRIMARY])} "
            f"questions cannot tell from chance (p = {_shown_p(p_values[best])}); more questions would"
        )
    return Verdict(current, False, reason, 0.0, None)


def configuration(outcome: Outcome, base: Outcome | None) -> dict[str, Any]:
    """One line of the table."""
    cutting = outcome.cutting
    described: dict[str, Any] = {
        "strategy": outcome.strategy,
        "chunking": cutting.name,
        "chunk_count": cutting.chunk_count,
        "mean_chunk_chars": round(cutting.mean_chars, 1),
        "is_temporary": cutting.is_temporary,
        "error": outcome.error,
        "notes": list(outcome.notes)[:5],
    }
    if outcome.error is not None:
        return described
    latencies = outcome.latencies_ms
    context = outcome.context_chars
    return {
        **described,
        "metrics": {name: _told(values) for name, values in outcome.values.items()},
        "latency_ms": {
            "p50": round(metrics.percentile(latencies, 0.5), 3),
            "p95": round(metrics.percentile(latencies, 0.95), 3),
        },
        "context_chars": round(sum(context) / max(1, len(context))),
        "against_current": _compared(outcome, base),
        "worst": [_miss(miss) for miss in outcome.misses],
    }


def _compared(outcome: Outcome, base: Outcome | None) -> dict[str, float] | None:
    if base is None or base is outcome or base.error is not None:
        return None
    p_value = metrics.paired_p_value(outcome.values[PRIMARY], base.values[PRIMARY])
    return {"difference": round(outcome.mean(PRIMARY) - base.mean(PRIMARY), 4), "p_value": round(p_value, 4)}


def _told(values: Sequence[float]) -> dict[str, float]:
    low, high = metrics.interval(values)
    return {"mean": round(sum(values) / len(values), 4), "low": round(low, 4), "high": round(high, 4)}


def _miss(miss: Miss) -> dict[str, Any]:
    targets = miss.question.targets
    return {
        "id": miss.question.id,
        "question": miss.question.text[:SHOWN_CHARS],
        "ndcg@10": round(miss.ndcg, 4),
        "expected": [
            {"file": each.file, "passage": each.passage and each.passage[:SHOWN_CHARS], "pages": list(each.pages)}
            for each in targets[:3]
        ],
        "expected_count": len(targets),
        "found": [
            {
                "file": str(hit.metadata.get("filename") or ""),
                "page": hit.metadata.get("page_start"),
                "score": round(hit.score, 4),
                "content": hit.text[:SHOWN_CHARS],
            }
            for hit in miss.hits
        ],
    }


def _cost(outcome: Outcome) -> tuple[bool, float, int]:
    """Cutting anew is work; then what an answer waits for, in steps that noise does not cross; then room."""
    latency = metrics.percentile(outcome.latencies_ms, 0.5)
    return outcome.cutting.is_temporary, round(latency / 10), outcome.cutting.chunk_count


def _named(outcome: Outcome) -> str:
    is_cut_anew = outcome.cutting.is_temporary
    return f"'{outcome.strategy}'" + (f" over chunks of '{outcome.cutting.name}'" if is_cut_anew else "")


def _shown_p(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"
