"""What every embedder promises, asked of each of them."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from rag.embedders import counter_for, embedders
from rag.embedders.base import Embedder
from rag.embedders.batching import BatchingEmbedder
from rag.errors import EmbeddingError, UnknownComponentError
from tests.unit.embedders.embedding_server import EmbeddingServer, running_server

SENTENCES = [
    "The cat sat on the warm mat in the kitchen.",
    "A cat is sleeping on the kitchen mat.",
    "Interest rates of the central bank rose sharply.",
    "x",
    "Ein Satz mit Umlauten: Öl, Übermut, Äpfel – und 数字.",
]

real_model = [pytest.mark.model, pytest.mark.xdist_group("embedding-model")]
Build = Callable[[EmbeddingServer], Embedder]


def _batched(server: EmbeddingServer) -> Embedder:
    return BatchingEmbedder(embedders.build("HashEmbedder", {"dimension": 64}))


BUILDS: dict[str, Build] = {
    "hash": lambda server: embedders.build("HashEmbedder", {"dimension": 64}),
    "batching-hash": _batched,
    "ollama": lambda server: embedders.build("OllamaEmbedder", {"base_url": server.url, "max_retries": 0}),
    "openai": lambda server: embedders.build(
        "OpenAIEmbedder", {"base_url": f"{server.url}/v1", "batch_size": 2, "max_retries": 0}
    ),
    "universal-server": lambda server: embedders.build("UniversalEmbedder", {"base_url": server.url}),
    "universal-here": lambda server: embedders.build("UniversalEmbedder", {"device": "cpu"}),
    "minilm": lambda server: embedders.build("SentenceTransformerEmbedder", {"device": "cpu"}),
    "minilm-fp32": lambda server: embedders.build("HuggingFaceEmbedder", {"device": "cpu", "precision": "fp32"}),
    "batching-minilm": lambda server: BatchingEmbedder(
        embedders.build("SentenceTransformerEmbedder", {"device": "cpu"}), max_wait_ms=2
    ),
}
LOCAL_MODEL = {"universal-here", "minilm", "minilm-fp32", "batching-minilm"}


def _params(names: list[str]) -> list[object]:
    return [pytest.param(name, marks=real_model if name in LOCAL_MODEL else []) for name in names]


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with running_server() as server:
        yield server


@pytest.fixture(params=_params(list(BUILDS)))
def embedder(request: pytest.FixtureRequest, server: EmbeddingServer) -> Iterator[Embedder]:
    embedder = BUILDS[request.param](server)
    yield embedder
    embedder.close()


@pytest.fixture(params=_params(sorted(LOCAL_MODEL)))
def local_model(request: pytest.FixtureRequest, server: EmbeddingServer) -> Iterator[Embedder]:
    embedder = BUILDS[request.param](server)
    yield embedder
    embedder.close()


def test_vectors_are_unit_length_float32_of_the_dimension(embedder: Embedder) -> None:
    vectors = embedder.embed_documents(SENTENCES)
    assert vectors.shape == (len(SENTENCES), embedder.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_rows_stand_in_the_order_of_the_texts(embedder: Embedder) -> None:
    together = embedder.embed_documents(SENTENCES)
    backwards = embedder.embed_documents(SENTENCES[::-1])[::-1]
    alone = np.concatenate([embedder.embed_documents([text]) for text in SENTENCES])
    assert (together * backwards).sum(axis=1).min() >= 0.999
    assert (together * alone).sum(axis=1).min() >= 0.999
    np.testing.assert_allclose(together, alone, atol=1e-2)


def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    assert embedder.embed_documents([]).shape == (0, embedder.dimension)


def test_query_and_document_of_one_text_are_alike(embedder: Embedder) -> None:
    query = embedder.embed_query(SENTENCES[0])
    assert query.shape == (embedder.dimension,)
    assert float(query @ embedder.embed_documents(SENTENCES[:1])[0]) > 0.9


def test_related_texts_are_closer_than_unrelated_ones(embedder: Embedder) -> None:
    first, related, unrelated = embedder.embed_documents(SENTENCES[:3])
    assert first @ related > first @ unrelated + 0.1


def test_threads_get_their_own_rows(embedder: Embedder) -> None:
    texts = [[f"{text} {number}" for text in SENTENCES[:3]] for number in range(6)]
    expected = [embedder.embed_documents(group) for group in texts]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(embedder.embed_documents, texts))
        queries = list(pool.map(embedder.embed_query, [group[0] for group in texts]))
    for rows, wanted, query in zip(found, expected, queries, strict=True):
        assert (rows * wanted).sum(axis=1).min() >= 0.999
        assert query @ wanted[0] > 0.9


def test_counter_has_a_positive_window(embedder: Embedder) -> None:
    counter = embedder.token_counter
    assert counter.max_tokens > 0
    assert counter.count("two words") >= 2
    assert embedder.model_id


def test_text_of_exactly_the_window_is_embedded_and_one_token_more_is_refused(local_model: Embedder) -> None:
    window = local_model.token_counter.max_tokens
    fitting = " ".join(["word"] * window)
    assert local_model.token_counter.count(fitting) == window == 254
    assert local_model.embed_documents([fitting]).shape == (1, 384)
    with pytest.raises(EmbeddingError, match=r"257 tokens.*256"):
        local_model.embed_documents([f"{fitting} word"])


def test_query_above_the_window_is_cut(local_model: Embedder) -> None:
    fitting = " ".join(["word"] * local_model.token_counter.max_tokens)
    cut = local_model.embed_query(fitting + " word" * 50)
    assert cut @ local_model.embed_query(fitting) >= 0.999


@pytest.mark.parametrize("name", ["ollama", "openai", "universal-server"])
@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        pytest.param(lambda texts: [[0.0] * 64 for _ in texts], "zero", id="zero"),
        pytest.param(lambda texts: [[float("nan")] * 64 for _ in texts], "not finite", id="nan"),
        pytest.param(lambda texts: [[1.0] * 63 for _ in texts], "length 63", id="short"),
        pytest.param(lambda texts: [[] for _ in texts], "length 0", id="empty"),
        pytest.param(lambda texts: [[1.0] * 64 for _ in texts[1:]], "vectors for 3 texts", id="count"),
    ],
)
def test_unusable_vectors_never_leave(
    name: str, vectors: Callable[[list[str]], list[list[float]]], message: str, server: EmbeddingServer
) -> None:
    embedder = BUILDS[name](server)
    assert embedder.dimension == 64
    server.vectors = vectors
    with pytest.raises(EmbeddingError) as raised:
        embedder.embed_documents(["first text", "second text", "third text"][: 2 if name == "openai" else 3])
    assert message.replace("3 texts", "2 texts" if name == "openai" else "3 texts") in str(raised.value)
    embedder.close()


@pytest.mark.parametrize("name", embedders.names)
def test_counter_for_needs_no_model(name: str) -> None:
    assert counter_for(name, {}).max_tokens > 0


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownComponentError, match="OllamaEmbedder"):
        embedders.build("VoyageEmbedder", {})
