"""Comparing token by token."""

from types import SimpleNamespace

import numpy as np
import pytest

from rag.embedders.hash import HashEmbedder
from rag.embedders.sentence_transformer import SentenceTransformerEmbedder
from rag.errors import InvalidInputError, UpstreamError
from rag.rerankers import late_interaction
from rag.rerankers.late_interaction import LateInteractionReranker
from rag.types import Matrix

ALPHABET = "abcdefghijklmnopqrstuvwxyz"


class Letters:
    """Each letter is a token with a direction of its own."""

    def embed_tokens(self, texts: list[str]) -> list[Matrix]:
        return [np.eye(26, dtype=np.float32)[[ALPHABET.index(sign) for sign in text]] for text in texts]


def reranker(embedder: object, **options: float) -> LateInteractionReranker:
    return LateInteractionReranker(LateInteractionReranker.Options(**options), embedder=embedder, models=None)  # type: ignore[arg-type]


def test_the_share_of_the_question_that_a_passage_has_is_its_relevance() -> None:
    assert reranker(Letters()).rerank("abcd", ["xyz", "abx", "dcba", ""]) == [0, 0.5, 1, 0]


def test_a_batcher_around_the_embedder_is_looked_through() -> None:
    assert reranker(SimpleNamespace(inner=SimpleNamespace(inner=Letters()))).rerank("ab", ["ab"]) == [1]


def test_an_embedder_without_token_vectors_is_refused_with_the_remedy() -> None:
    with pytest.raises(InvalidInputError, match="SentenceTransformerEmbedder, or another reranker"):
        reranker(HashEmbedder(HashEmbedder.Options(dimension=8))).rerank("a", ["a"])


def test_over_its_time_it_gives_up_and_says_how_far_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 3.0, 9.0])
    monkeypatch.setattr(late_interaction, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with pytest.raises(UpstreamError, match="read 8 of 20 passages after 2 s"):
        reranker(Letters(), timeout_s=2).rerank("a", ["a"] * 20)


def test_the_model_gives_a_unit_row_for_each_token_whatever_stands_beside_a_text() -> None:
    embedder = SentenceTransformerEmbedder(SentenceTransformerEmbedder.Options(device="cpu", precision="fp32"))
    texts = ["boundary layer", "", "the flow over a swept wing at high speed", "word " * 600]
    together = embedder.embed_tokens(texts)
    counts = [embedder.token_counter.count(text) for text in texts[:3]]
    assert [len(rows) for rows in together] == [*counts, embedder.token_counter.max_tokens]
    for rows in together:
        assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)
    (alone,) = embedder.embed_tokens(texts[2:3])
    assert np.allclose(together[2], alone, atol=1e-3)
    assert embedder.embed_tokens([]) == []
