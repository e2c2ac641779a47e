"""What an evaluation may try: names that are known, sizes that are numbers."""

import copy
from typing import Any

import pytest
import yaml

from config.evaluation import read_cut, read_strategies, snippet
from config.project import ProjectConfig
from rag.errors import BadRequestError, NotFoundError

RAW: dict[str, Any] = {
    "version": "v1",
    "name": "p",
    "namespace": "n",
    "runtime": {"models": [{"name": "m", "provider": "extractive"}]},
    "rag": {
        "databases": [
            {
                "name": "main",
                "type": "MemoryStore",
                "embedding_strategies": [{"name": "e", "type": "HashEmbedder"}],
                "retrieval_strategies": [
                    {"name": "mixed", "type": "HybridRetriever", "config": {"top_k": 5}},
                    {"name": "near", "type": "VectorRetriever", "default": True, "config": {"score_threshold": 0.2}},
                ],
            },
            {"name": "bare", "type": "MemoryStore"},
        ],
        "data_processing_strategies": [
            {"name": "plain", "parsers": [{"type": "auto", "config": {"chunk_size": 500, "chunk_overlap": 300}}]},
            {"name": "fine", "parsers": [{"type": "auto", "config": {"chunk_size": 100}}]},
        ],
    },
    "datasets": [{"name": "docs", "database": "main", "data_processing_strategy": "plain"}],
}


@pytest.fixture
def config() -> ProjectConfig:
    return ProjectConfig.parse(copy.deepcopy(RAW))


def test_what_is_in_use_comes_first_and_what_is_the_same_is_not_tried_twice(config: ProjectConfig) -> None:
    names = read_strategies([], config, config.database("main"))
    assert names == ["near", "mixed", "semantic", "keyword", "mmr"]
    assert read_strategies(["keyword"], config, config.database("main")) == ["near", "keyword"]
    assert read_strategies(["keyword"], config, config.database("bare")) == ["semantic", "keyword"]


def test_an_unknown_strategy_is_refused_with_the_known_ones(config: ProjectConfig) -> None:
    with pytest.raises(NotFoundError, match=r"'best' not found. Available: mixed, near, semantic"):
        read_strategies(["best"], config, config.database("main"))


def test_a_chunking_is_a_strategy_or_a_chunker_with_sizes(config: ProjectConfig) -> None:
    assert read_cut("fine", config).of(config, "plain").name == "fine"
    parser = read_cut("headings:200:20", config).of(config, "plain").parsers[0]
    assert parser.config == {"chunk_strategy": "headings", "chunk_size": 200, "chunk_overlap": 20}
    smaller = read_cut("sentences:200", config).of(config, "plain").parsers[0]
    assert "chunk_overlap" not in smaller.config, "the configured overlap is larger than the size"


@pytest.mark.parametrize("text", ["unknown", "unknown:3", ""])
def test_an_unknown_chunking_is_refused_with_the_known_ones(config: ProjectConfig, text: str) -> None:
    with pytest.raises(NotFoundError, match=r"plain, fine.*headings"):
        read_cut(text, config)


@pytest.mark.parametrize("text", ["headings:x", "headings:-1", "headings:1:2:3", "headings:9999999", "headings:10:20",
                                  "headings:", "full:100:10", "headings:٣"])  # fmt: skip
def test_a_size_that_is_none_is_refused(config: ProjectConfig, text: str) -> None:
    with pytest.raises(BadRequestError):
        read_cut(text, config)


def test_the_snippet_names_the_strategy_and_keeps_the_others(config: ProjectConfig) -> None:
    found = yaml.safe_load(snippet(config, config.database("main"), "keyword", read_cut("current", config)))
    (database,) = found["rag"]["databases"]
    assert database["default_retrieval_strategy"] == "keyword"
    assert [each["name"] for each in database["retrieval_strategies"]] == ["mixed", "near", "keyword"]
    assert set(found) == {"rag"}
    assert "data_processing_strategies" not in found["rag"]


def test_the_snippet_says_how_files_are_to_be_cut(config: ProjectConfig) -> None:
    database = config.database("main")
    anew = yaml.safe_load(snippet(config, database, "near", read_cut("headings:200", config)))
    (strategy,) = anew["rag"]["data_processing_strategies"]
    assert strategy["name"] == "plain"
    assert strategy["parsers"][0]["config"]["chunk_strategy"] == "headings"
    other = yaml.safe_load(snippet(config, database, "near", read_cut("fine", config)))
    assert other["datasets"] == [{"name": "docs", "data_processing_strategy": "fine"}]
