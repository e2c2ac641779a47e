"""Every option of every retrieval strategy that LlamaFarm documents: it has an effect, or a warning names it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.assemble import Assembly
from config.project import ProjectConfig
from config.settings import Settings
from config.warnings import project_warnings
from rag.errors import BadRequestError, InvalidInputError
from rag.retrievers.base import Query, Retrieval
from rag.types import Record

TEXTS = [f"paragraph {number} on {'wool' if number % 3 else 'hay'} and number {number * 37}" for number in range(60)]
QUESTION = "what is said of wool and hay?"
MODELS = [
    {"name": "quotes", "provider": "extractive"},
    {"name": "ranker", "provider": "universal", "model": "bge", "base_url": "http://127.0.0.1:9"},
]


def project(type_name: str, config: dict[str, Any]) -> ProjectConfig:
    database = {
        "name": "main", "type": "MemoryStore",
        "embedding_strategies": [{"name": "e", "type": "HashEmbedder", "config": {"dimension": 64}}],
        "retrieval_strategies": [{"name": "s", "type": type_name, "config": config}],
    }  # fmt: skip
    return ProjectConfig.parse(
        {
            "version": "v1",
            "name": "p",
            "namespace": "n",
            "runtime": {"models": MODELS},
            "rag": {"databases": [database]},
        }
    )


def warned(type_name: str, **config: Any) -> str:
    return "\n".join(project_warnings(project(type_name, config)))


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., Retrieval]:
    """(type, config) → what the strategy finds among sixty chunks, assembled as the server does."""
    assembly = Assembly(Settings(_env_file=None, data_dir=tmp_path), lambda *_: lambda pairs: pairs)

    def run(type_name: str, question: str = QUESTION, stages: Any = None, **config: Any) -> Retrieval:
        found = project(type_name, config)
        database = found.database()
        store, embedder = assembly.store("n", "p", database), assembly.embedder(database)
        if not store.stats().chunk_count:
            vectors = embedder.embed_documents(TEXTS)
            store.upsert([
                Record(f"{n:02d}", text, vectors[n], f"set/{n}", "g",
                       {"filename": f"{n}.txt", "n": n, "date": f"{1960 + n}-01-01"})
                for n, text in enumerate(TEXTS)
            ])  # fmt: skip
        return assembly.retriever(found, database, None, stages)[1].retrieve(Query(question))

    return run


PARTS = [{"type": "basic", "weight": 0.5}, {"type": "bm25", "weight": 1.0}]
FACTORS = {"similarity_weight": 0.0, "recency_weight": 1.0, "length_weight": 0.0, "metadata_weight": 0.0}
# Options that change the answer: (type, what stands beside the option, option, value).
EFFECTS: list[tuple[str, dict[str, Any], str, Any]] = [
    ("BasicSimilarityStrategy", {}, "top_k", 3),
    ("BasicSimilarityStrategy", {}, "score_threshold", 0.8),
    ("BasicSimilarityStrategy", {}, "similarity_threshold", 0.8),
    ("BasicSimilarityStrategy", {}, "max_results", 2),
    ("VectorRetriever", {}, "top_k", 3),
    ("MetadataFilteredStrategy", {}, "top_k", 3),
    ("MetadataFilteredStrategy", {}, "filters", {"n": {"$gte": 50}}),
    ("MetadataFilteredStrategy", {}, "default_filters", {"n": {"$gte": 50}}),
    ("MetadataFilteredStrategy", {"filters": {"n": {"$gte": 50}}}, "filter_mode", "post"),
    ("MetadataFilteredStrategy", {"filters": {"n": {"$gte": 50}}, "filter_mode": "post"}, "fallback_multiplier", 6),
    ("MultiQueryStrategy", {}, "num_queries", 1),
    ("MultiQueryStrategy", {}, "top_k", 3),
    ("MultiQueryStrategy", {}, "aggregation_method", "max"),
    ("MultiQueryStrategy", {"aggregation_method": "max"}, "aggregation_method", "mean"),
    ("MultiQueryStrategy", {"aggregation_method": "max"}, "aggregation_method", "reciprocal_rank"),
    ("MultiQueryStrategy", {}, "query_weights", [0.0, 1.0]),
    ("MultiQueryStrategy", {"top_k": 4, "search_multiplier": 1}, "search_multiplier", 10),
    ("RerankedStrategy", {}, "initial_k", 60),
    ("RerankedStrategy", {}, "final_k", 3),
    ("RerankedStrategy", {}, "rerank_factors", FACTORS),
    ("RerankedStrategy", {"rerank_factors": {**FACTORS, "similarity_weight": 1.0}}, "normalize_scores", False),
    ("HybridUniversalStrategy", {}, "strategies", PARTS),
    ("HybridUniversalStrategy", {"strategies": PARTS}, "combination_method", "rank_fusion"),
    ("HybridUniversalStrategy", {"strategies": PARTS}, "combination_method", "score_fusion"),
    ("HybridUniversalStrategy", {}, "final_k", 3),
    ("HybridUniversalStrategy", {"strategies": PARTS}, "normalize_scores", False),
    ("HybridUniversalStrategy", {}, "diversity_boost", 0.9),
    ("HybridUniversalStrategy", {"strategies": PARTS}, "diversity_boost", 0.9),
    ("HybridUniversalStrategy", {}, "dense_weight", 0.01),
    ("HybridUniversalStrategy", {"dense_weight": 0.1}, "sparse_weight", 1.0),
    ("CrossEncoderRerankedStrategy", {"model_name": "ranker"}, "final_k", 3),
    ("CrossEncoderRerankedStrategy", {"model_name": "ranker"}, "base_strategy_config", {"score_threshold": 0.8}),
    ("CrossEncoderRerankedStrategy",
     {"model_name": "ranker", "base_strategy_config": {"filters": {"n": {"$gte": 50}}}},
     "base_strategy", "MetadataFilteredStrategy"),
    ("MultiTurnRAGStrategy", {"model_name": "quotes"}, "final_top_k", 3),
    ("MultiTurnRAGStrategy", {"model_name": "quotes"}, "complexity_threshold", 20),
    ("MultiTurnRAGStrategy", {"model_name": "quotes"}, "base_strategy_config", {"score_threshold": 0.8}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("type_name", "beside", "option", "value"), EFFECTS, ids=lambda each: each if isinstance(each, str) else ""
)  # fmt: skip
def test_an_option_changes_the_answer(
    ask: Callable[..., Retrieval], type_name: str, beside: dict[str, Any], option: str, value: Any
) -> None:
    before, after = ask(type_name, **beside), ask(type_name, **{**beside, option: value})
    shown = [([(hit.id, round(hit.score, 9)) for hit in found.hits], found.notes) for found in (before, after)]
    assert shown[0] != shown[1]
    assert f".{option}: " not in warned(type_name, **{**beside, option: value})


# Options without effect, as they stand: (type, config, what the warning says).
NAMED: list[tuple[str, dict[str, Any], str]] = [
    ("BasicSimilarityStrategy", {"distance_metric": "manhattan"}, "distance_metric = 'manhattan': has no effect"),
    ("BasicSimilarityStrategy", {"distance_metric": "dot"}, "the database is stored with 'cosine'"),
    ("BasicSimilarityStrategy", {"include_metadata": False}, "include_metadata: Accepted"),
    ("BasicSimilarityStrategy", {"odd": 1}, "config: retriever 'BasicSimilarityStrategy': option 'odd' has no effect"),
    ("MetadataFilteredStrategy", {"fallback_multiplier": 5}, "has an effect with filter_mode post only"),
    ("MultiQueryStrategy", {"query_weights": [1], "aggregation_method": "max"}, "aggregation_method weighted only"),
    ("MultiQueryStrategy", {"query_weights": [7]}, "query_weights[0] = 7; accepted: a number of at most 1"),
    ("HybridUniversalStrategy", {"strategies": PARTS, "dense_weight": 1}, "dense_weight: has no effect beside"),
    ("HybridUniversalStrategy", {"strategies": [{"type": "basic", "config": {"odd": 1}}]},
     "config.strategies[0].config: retriever 'BasicSimilarityStrategy': option 'odd' has no effect here"),
    ("CrossEncoderRerankedStrategy", {"model_name": "ranker", "base_strategy_config": {"odd": 1}},
     "config.base_strategy_config: retriever 'BasicSimilarityStrategy': option 'odd' has no effect here"),
    ("CrossEncoderRerankedStrategy", {"model_name": "ranker", "timeout": 5}, "timeout = 5; accepted: a number of"),
    ("CrossEncoderRerankedStrategy", {"model_name": "ranker", "base_strategy_config": {"top_k": 5}},
     "config.base_strategy_config.top_k: has no effect here"),
    ("MultiTurnRAGStrategy", {"model_name": "quotes", "api_key": "k"}, "api_key: Accepted; keys belong to"),
    ("MultiTurnRAGStrategy", {"model_name": "quotes", "reranker_config": {"model_name": "ranker"}},
     "reranker_config: has an effect with enable_reranking only"),
    ("MultiTurnRAGStrategy",
     {"model_name": "quotes", "enable_reranking": True, "reranker_config": {"model_name": "ranker", "final_k": 3}},
     "reranker_config.final_k: has no effect here"),
    ("GraphRetriever", {"depth": 3}, "option 'depth' has no effect"),
    ("hybrid", {"reranker": {"type": "llm", "odd": 1}}, "config.reranker: reranker 'llm': option 'odd' has no effect"),
    ("hybrid", {"reranker": "magic"}, "config.reranker.type = 'magic': no reranker has this name"),
    ("hybrid", {"reranker": {"type": "llm", "model_name": "none"}}, "reranker.model_name = 'none': no model under"),
    ("hybrid", {"reranker": 3}, "reranker: expected the name of a type"),
    ("hybrid", {"query_transform": ["hyde", {"type": "multi_query", "num_queries": 99}]},
     "config.query_transform[1].num_queries = 99; accepted: a number of at most 10"),
    ("hybrid", {"expand": {"type": "neighbours", "before": -1}}, "config.expand.before = -1"),
    ("hybrid", {"collapse_duplicates": "no"}, "collapse_duplicates: expected true or false"),
]  # fmt: skip


@pytest.mark.parametrize(("type_name", "config", "text"), NAMED, ids=lambda each: str(each)[:50])
def test_what_has_no_effect_or_is_wrong_is_named(type_name: str, config: dict[str, Any], text: str) -> None:
    assert text in warned(type_name, **config)


@pytest.mark.parametrize(
    ("type_name", "config"),
    [
        ("BasicSimilarityStrategy", {"distance_metric": "cosine", "top_k": 5, "score_threshold": 0.5}),
        ("MultiTurnRAGStrategy", {
            "model_name": "quotes", "max_sub_queries": 2, "min_query_length": 12, "sub_query_top_k": 8,
            "max_workers": 2, "enable_reranking": True, "reranker_strategy": "CrossEncoderRerankedStrategy",
            "reranker_config": {"model_name": "ranker", "initial_k": 20, "timeout": 20},
            "dedup_similarity_threshold": 0.9}),
        ("hybrid", {
            "query_transform": ["conversational", {"type": "expansion", "terms": 3}],
            "reranker": {"type": "cross_encoder", "model": "some/model", "timeout_s": 3, "device": "cpu"},
            "collapse_duplicates": True, "expand": {"type": "parent"}}),
    ],
)  # fmt: skip
def test_what_has_an_effect_is_not_warned_of(type_name: str, config: dict[str, Any]) -> None:
    assert warned(type_name, **config) == ""


def test_unknown_options_inside_do_not_keep_a_strategy_from_working(ask: Callable[..., Retrieval]) -> None:
    parts = [{"type": "basic", "config": {"odd": 1, "top_k": 3}}, {"type": "bm25"}]
    assert ask("HybridUniversalStrategy", strategies=parts).hits
    assert ask("CrossEncoderRerankedStrategy", model_name="ranker", base_strategy_config={"odd": 1}).hits


def test_a_request_puts_its_stages_in_the_place_of_the_configured(ask: Callable[..., Retrieval]) -> None:
    config = {"reranker": "llm", "query_transform": {"type": "multi_query", "method": "rules"}}
    configured = ask("hybrid", **config)
    assert [note.split(" ")[0] for note in configured.notes] == ["multi_query:", "reranker"]
    assert "reranker 'llm' was skipped: model 'quotes' only quotes files" in configured.notes[1]
    without = ask("hybrid", stages={"reranker": False, "query_transform": False}, **config)
    assert without.notes == ()
    assert without.hits == ask("hybrid").hits


def test_a_stage_of_a_request_is_taken_by_the_letter(
    ask: Callable[..., Retrieval], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No variable of the server is put into what a request says; an option that is not known is refused."""
    monkeypatch.setenv("FARM_SECRET", "s3cret")
    folder = {"type": "cross_encoder", "model": "/nowhere/${FARM_SECRET}"}
    for configured in ({}, {"reranker": {**folder, "model": "/nowhere/s3cret-or-not"}}):
        with pytest.raises(InvalidInputError, match=r"model '/nowhere/\$\{FARM_SECRET\}' loaded"):
            ask("hybrid", stages={"reranker": folder}, **configured)
    with pytest.raises(InvalidInputError, match="option 'odd' is not known"):
        ask("hybrid", stages={"reranker": {"type": "llm", "odd": 1}})


def test_a_stage_that_names_an_unknown_model_is_refused(ask: Callable[..., Retrieval]) -> None:
    named = {"model_name": "none"}
    for stages in ({"reranker": {"type": "remote", **named}}, {"query_transform": {"type": "hyde", **named}}):
        with pytest.raises(BadRequestError, match=r"Model 'none' not found\. Available: quotes, ranker"):
            ask("hybrid", **stages)
        with pytest.raises(BadRequestError, match="Model 'none' not found"):
            ask("hybrid", stages=stages)


@pytest.mark.parametrize(
    "model", ["~nobody-has-this-name/x", "/etc", "./here", "org/not-held", "not-held", "../../etc", "/" + "a" * 300]
)
@pytest.mark.parametrize("spelling", ["model", "model_path"])
def test_a_request_has_no_weights_loaded_that_the_project_does_not_name(
    ask: Callable[..., Retrieval], model: str, spelling: str
) -> None:
    chosen = {"type": "cross_encoder", spelling: model}
    with pytest.raises(InvalidInputError, match=r"cannot have model.*Write it into.*POST /v1/models/download"):
        ask("hybrid", stages={"reranker": chosen})
    for kind in ("hybrid", "bm25"):  # named by a strategy: the search goes on without what cannot be had
        (note,) = ask(kind, reranker={"type": "cross_encoder", "model": model}, stages={"reranker": chosen}).notes
        assert "reranker 'cross_encoder' was skipped" in note


@pytest.mark.parametrize("option", [{"hf_token": "hf-1"}, {"device": "cuda:1"}], ids=str)
def test_options_of_the_machine_are_not_taken_from_a_request(
    ask: Callable[..., Retrieval], option: dict[str, str]
) -> None:
    with pytest.raises(InvalidInputError, match=f"option '{next(iter(option))}' cannot be given in a query"):
        ask("hybrid", stages={"reranker": {"type": "cross_encoder", **option}})


def test_a_request_may_name_what_this_machine_holds(
    ask: Callable[..., Retrieval], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(tmp_path))
    (note,) = ask("hybrid", stages={"reranker": {"type": "cross_encoder", "model": "org/held"}}).notes
    assert "reranker 'cross_encoder' was skipped: model 'org/held' has no config.json" in note
    assert ask("hybrid", stages={"reranker": {"type": "cross_encoder"}}).notes
