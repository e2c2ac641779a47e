"""Whatever a file says without effect is named."""

from typing import Any

import pytest

from config.project import ProjectConfig
from config.warnings import project_warnings


def warned(**sections: Any) -> str:
    base = {"version": "v1", "name": "p", "namespace": "n", "runtime": {"models": []}}
    return "\n".join(project_warnings(ProjectConfig.parse({**base, **sections})))


def test_a_plain_project_has_no_warnings() -> None:
    assert warned() == ""


def test_unknown_types_are_named_with_the_known_ones() -> None:
    unknown = [{"name": "x", "type": "Nope"}]
    text = warned(
        rag={
            "databases": [
                {"name": "a", "type": "Nope", "embedding_strategies": unknown, "retrieval_strategies": unknown}
            ],
            "data_processing_strategies": [{"name": "s", "parsers": [{"type": "Nope"}], "extractors": ["Nope"]}],
        }
    )
    for path in (
        "rag.databases[0].type",
        "rag.databases[0].embedding_strategies[0].type",
        "rag.databases[0].retrieval_strategies[0].type",
        "rag.data_processing_strategies[0].parsers[0].type",
        "rag.data_processing_strategies[0].extractors[0].type",
    ):
        assert f"{path} = 'Nope': no " in text
    assert "ChromaStore" in text


def test_options_that_are_unknown_or_change_nothing_are_named_and_no_variable_is_read() -> None:
    text = warned(
        rag={
            "databases": [
                {
                    "name": "a",
                    "type": "ChromaStore",
                    "config": {"host": "h", "port": 1, "odd": "${NOT_SET_ANYWHERE}"},
                    "embedding_strategies": [
                        {"name": "e", "type": "SentenceTransformerEmbedder", "config": {"cache_folder": "/etc"}}
                    ],
                    "retrieval_strategies": [
                        {"name": "r", "type": "HybridUniversalStrategy", "config": {"boost": 0.5}},
                        {"name": "f", "type": "MetadataFilteredStrategy", "config": {"fallback_multiplier": 4}},
                    ],
                }
            ],
            "data_processing_strategies": [
                {"name": "s", "parsers": [{"type": "TextParser", "mime_types": ["a/b"], "fallback_parser": "x"}]}
            ],
        }
    )
    for key in ("host", "port", "odd", "cache_folder", "boost", "fallback_multiplier", "mime_types"):
        assert key in text
    assert "fallback_parser: kept, never evaluated" in text


def test_keys_of_models_without_effect_are_named() -> None:
    model = {"name": "m", "provider": "extractive", "instructor_mode": "tools", "encoder_config": {"a": 1}}
    text = warned(
        runtime={"models": [{**model, "keep_loaded": True}]},
    )
    for key in ("runtime.models[0].instructor_mode", "encoder_config", "keep_loaded"):
        assert key in text


def test_values_that_a_component_will_refuse_are_named_with_what_is_accepted() -> None:
    text = warned(
        rag={
            "databases": [
                {
                    "name": "a",
                    "type": "ChromaStore",
                    "config": {"distance_metric": "bogus", "collection_name": "${NAME}"},
                    "embedding_strategies": [
                        {"name": "e", "type": "OpenAIEmbedder", "config": {"model": "m", "api_key": ["sk-1"]}}
                    ],
                    "retrieval_strategies": [
                        {"name": "r", "type": "BasicSimilarityStrategy", "config": {"top_k": "many"}},
                        {"name": "s", "type": "BasicSimilarityStrategy", "config": {"top_k": "${TOP_K}"}},
                    ],
                }
            ]
        }
    )
    path = "rag.databases[0]"
    assert f"{path}.config.distance_metric = 'bogus'; accepted: 'cosine', 'l2', 'ip', 'euclidean' or 'dot'" in text
    assert f"{path}.retrieval_strategies[0].config.top_k = 'many'; accepted: a whole number" in text
    assert f"{path}.embedding_strategies[0].config.api_key" in text
    assert "sk-1" not in text
    assert "retrieval_strategies[1]" not in text
    assert "collection_name" not in text


def processing(**strategy: Any) -> str:
    return warned(
        rag={
            "databases": [{"name": "a", "type": "MemoryStore"}],
            "data_processing_strategies": [{"name": "s", **strategy}],
        }
    )


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"chunk_overlap": -5}, "option 'chunk_overlap' = -5"),
        ({"chunk_size": 100, "chunk_overlap": 500}, "chunk_overlap = 500 must be smaller than chunk_size = 100"),
        ({"chunk_strategy": "semantic", "semantic_buffer_size": 99}, "option 'semantic_buffer_size' = 99"),
        (
            {"chunk_strategy": "semantic", "semantic_breakpoint_percentile_threshold": 10},
            "option 'semantic_breakpoint_percentile_threshold' = 10",
        ),
    ],
)
def test_options_of_cutting_that_fail_every_file_are_named_before_one_is_processed(
    config: dict[str, Any], said: str
) -> None:
    text = processing(parsers=[{"type": "TextParser_Python", "config": config}])
    assert "rag.data_processing_strategies[0].parsers[0].config: chunker" in text or "config: chunk_overlap" in text
    assert said in text
    assert "no file can be processed with it until this is corrected" in text


def test_options_of_an_extractor_that_leave_it_out_are_named_under_each_of_their_spellings() -> None:
    extractor = {"type": "KeywordExtractor", "config": {"max_keywords": 0}}
    text = processing(parsers=[{"type": "TextParser_Python"}], extractors=[extractor])
    assert "rag.data_processing_strategies[0].extractors[0].config" in text
    assert "the extractor is left out until this is corrected" in text


def test_strategies_and_stores_that_cannot_do_what_they_say_are_named() -> None:
    strategies = [
        {"name": "g", "type": "GraphRetriever"},
        {"name": "c", "type": "CrossEncoderRerankedStrategy", "config": {"model_name": "nix"}},
        {"name": "m", "type": "MultiTurnRAGStrategy", "config": {"model_name": "${SOME_MODEL}"}},
    ]
    text = warned(rag={"databases": [{"name": "a", "type": "QdrantStore", "retrieval_strategies": strategies}]})
    assert "'GraphRetriever': it needs a database that is not supported; nearest vectors are used instead" in text
    assert "retrieval_strategies[1].config.model_name = 'nix': no model under runtime.models has this name" in text
    assert "SOME_MODEL" not in text
    assert "'QdrantStore': no address: set config.url" in text


def test_a_store_for_one_process_is_named_because_a_server_is_several() -> None:
    embedded = {"name": "a", "type": "QdrantStore", "config": {"path": "here"}}
    (sentence,) = [each for each in warned(rag={"databases": [embedded]}).split("\n") if "path" in each]
    assert "rag.databases[0].config.path: For one process alone (tests, scripts)" in sentence
    assert "a running server cannot use it" in sentence
