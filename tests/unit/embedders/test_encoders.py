from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.embedders import embedders
from rag.embedders.encoders import SentenceTransformerEncoder, batches_by_length
from rag.embedders.sentence_transformer import SentenceTransformerEmbedder
from rag.embedders.weights import DEFAULT_MODEL, locate

TEXTS = ["short", "a somewhat longer sentence about rivers and bridges", "word " * 200, "Öl und 数字", "a b c d"] * 3


def test_batches_hold_every_text_once_longest_first_within_both_limits() -> None:
    lengths = [3, 50, 7, 7, 120, 1, 30]
    batches = list(batches_by_length(lengths, max_batch_tokens=60, max_batch_texts=3))
    assert batches == [[4], [1], [6, 2], [3, 0, 5]]


def test_no_texts_give_no_batches() -> None:
    assert list(batches_by_length([], max_batch_tokens=10, max_batch_texts=10)) == []


@pytest.fixture(scope="module")
def reference() -> Any:
    """Vectors of sentence-transformers itself, with its own tokenizer and its defaults."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(locate(DEFAULT_MODEL).folder), device="cpu", local_files_only=True)
    return model.encode(TEXTS, normalize_embeddings=True)


@pytest.mark.model
@pytest.mark.xdist_group("embedding-model")
@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16"])
def test_packed_path_agrees_with_sentence_transformers(precision: str, reference: Any) -> None:
    embedder = embedders.build("SentenceTransformerEmbedder", {"device": "cpu", "precision": precision})
    assert type(embedder._encoder).__name__ == "BertEncoder"  # type: ignore[attr-defined]
    cosines = (embedder.embed_documents(TEXTS) * reference).sum(axis=1)
    assert cosines.min() >= 0.999


@pytest.mark.model
@pytest.mark.xdist_group("embedding-model")
def test_a_batch_that_is_rounded_up_gives_the_vectors_of_one_that_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = embedders.build("SentenceTransformerEmbedder", {"device": "cpu", "precision": "fp32"})
    rounded = embedder.embed_documents(TEXTS)
    monkeypatch.setattr("rag.embedders.bert.ROWS_OF_A_STEP", 1)
    exact = embedder.embed_documents(TEXTS)
    assert rounded.shape == exact.shape == (len(TEXTS), embedder.dimension)
    np.testing.assert_allclose(rounded, exact, atol=1e-6)


@pytest.mark.model
@pytest.mark.xdist_group("embedding-model")
def test_general_path_agrees_with_sentence_transformers(reference: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a machine without the private operators does."""

    def unavailable(*args: object) -> None:
        raise AttributeError("no such operator")

    monkeypatch.setattr("rag.embedders.sentence_transformer._load", _uncached_load())
    monkeypatch.setattr("rag.embedders.bert.packed_linear", unavailable)
    embedder = SentenceTransformerEmbedder(SentenceTransformerEmbedder.Options(device="cpu", precision="fp32"))
    assert isinstance(embedder._encoder, SentenceTransformerEncoder)
    np.testing.assert_allclose(embedder.embed_documents(TEXTS), reference, atol=1e-5)


def _uncached_load() -> Any:
    from rag.embedders import sentence_transformer

    return sentence_transformer._load.__wrapped__


@pytest.mark.model
@pytest.mark.xdist_group("embedding-model")
def test_packed_layers_that_compute_something_else_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rag.embedders.packed_linear import plain_linear

    def wrong(weight: Any, bias: Any, activation: Any) -> Any:
        return plain_linear(weight.flip(0), bias, activation)

    monkeypatch.setattr("rag.embedders.sentence_transformer._load", _uncached_load())
    monkeypatch.setattr("rag.embedders.bert.packed_linear", wrong)
    embedder = SentenceTransformerEmbedder(SentenceTransformerEmbedder.Options(device="cpu", precision="fp32"))
    assert isinstance(embedder._encoder, SentenceTransformerEncoder)
