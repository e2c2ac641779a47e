"""Several rankings of hits → one. Pure functions from chunk id to value; none of them touches a store.

Two kinds of value are kept apart. A *fused* value in [0, 1] only orders the hits of one query. `on_scale` turns it
into a score that a threshold can be compared with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rag.types import Hit, Vector

RANK_CONSTANT = 60
"""Damping of `reciprocal_rank`, in ranks; the value of the paper."""

Values = dict[str, float]


def reciprocal_rank(rankings: Sequence[Sequence[str]], weights: Sequence[float], k: int = RANK_CONSTANT) -> Values:
    """Sum weight / (k + rank) over the rankings, divided by what a hit that is first everywhere would get.

    Source:
        Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion", SIGIR 2009.
    """
    total = sum(weights) / (k + 1)
    fused: Values = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for rank, chunk_id in enumerate(dict.fromkeys(ranking), start=1):
            fused[chunk_id] = fused.get(chunk_id, 0.0) + weight / (k + rank)
    return {chunk_id: min(1.0, value / total) if total else 0.0 for chunk_id, value in fused.items()}


def weighted_mean(rankings: Sequence[Mapping[str, float]], weights: Sequence[float]) -> Values:
    """Mean of the values. A hit that a ranking lacks counts there as its last one: it cannot have scored more."""
    total = sum(weights)
    sums: Values = {}
    for ranking in rankings:
        sums |= dict.fromkeys(ranking, 0.0)
    if not total:
        return sums
    # Plain loops: this runs several times for each query, over hundreds of hits, and a generator for each takes thrice
    # as long.
    for ranking, weight in zip(rankings, weights, strict=True):
        low = min(ranking.values(), default=0.0)
        for chunk_id in sums:
            sums[chunk_id] += weight * ranking.get(chunk_id, low)
    return {chunk_id: value / total for chunk_id, value in sums.items()}


def highest(rankings: Sequence[Mapping[str, float]], weights: Sequence[float]) -> Values:
    """The highest weighted value of each hit; the largest weight counts as 1."""
    top = max(weights, default=0.0)
    fused: Values = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for chunk_id, value in ranking.items():
            fused[chunk_id] = max(fused.get(chunk_id, 0.0), value * weight / top if top else 0.0)
    return fused


def min_max(values: Mapping[str, float]) -> Values:
    """Stretch to [0, 1]; where all are equal, all are 1."""
    if not values:
        return {}
    low, high = min(values.values()), max(values.values())
    spread = high - low
    return {key: (value - low) / spread if spread > 0 else 1.0 for key, value in values.items()}


def on_scale(fused: Mapping[str, float], low: float, high: float) -> Values:
    """Place fused values between two scores, in the same order: `high` is for a hit that is best in everything."""
    return {key: min(1.0, max(0.0, low + value * (high - low))) for key, value in fused.items()}


def merge(rankings: Sequence[Sequence[Hit]], values: Mapping[str, float], stage: str = "fused") -> list[Hit]:
    """One hit per id with its value as score, best first; the scores of all earlier stages are kept."""
    merged: dict[str, tuple[Hit, dict[str, float], Vector | None]] = {}
    for hit in (each for ranking in rankings for each in ranking):
        if hit.id not in merged:
            merged[hit.id] = hit, dict(hit.scores), hit.vector
            continue
        known, scores, vector = merged[hit.id]
        merged[hit.id] = known, {**hit.scores, **scores}, hit.vector if vector is None else vector
    # Made directly: `dataclasses.replace` takes ten times as long, and there are hundreds for each query.
    scored = [
        Hit(hit.id, hit.text, value, hit.file_key, hit.generation, hit.metadata, {**scores, stage: value}, vector)
        for hit, scores, vector in merged.values()
        for value in (values[hit.id],)
    ]
    return sorted(scored, key=lambda hit: (-hit.score, hit.id))


def with_score(hit: Hit, stage: str, value: float) -> Hit:
    """The hit with the score of one more stage noted; its own score stays."""
    return replace(hit, scores={**hit.scores, stage: value})
