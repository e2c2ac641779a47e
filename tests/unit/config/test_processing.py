"""What makes a generation another one, and what is only warned about."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.processing import fingerprints, generation_name, plan_processing
from config.project import ProjectConfig
from config.rag_section import DataProcessingStrategy, EmbeddingStrategy
from rag.chunkers.tokens import EstimatedCounter
from rag.errors import ConfigError, InvalidInputError

STRATEGY: dict[str, Any] = {
    "name": "plain",
    "parsers": [
        {
            "type": "MarkdownParser",
            "config": {"chunk_size": 300, "chunk_strategy": "headings"},
            "file_include_patterns": ["*.md"],
            "priority": 10,
        },
        {"type": "TextParser", "config": {"encoding": "utf-8"}, "file_extensions": [".txt"], "priority": 20},
    ],
    "extractors": [{"type": "KeywordExtractor", "config": {"max_keywords": 5}, "priority": 5}],
}
EMBEDDING: dict[str, Any] = {"name": "e", "type": "HashEmbedder", "config": {"dimension": 64}}


def prints(strategy: Any = STRATEGY, embedding: Any = EMBEDDING) -> tuple[str, str]:
    return fingerprints(DataProcessingStrategy.model_validate(strategy), EmbeddingStrategy.model_validate(embedding))


def changed(path: str, value: Any, base: dict[str, Any] = STRATEGY) -> dict[str, Any]:
    result = copy.deepcopy(base)
    *parents, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    place: Any = result
    for part in parents:
        place = place[part]
    place[last] = value
    return result


@pytest.mark.parametrize(
    ("path", "value", "parse_changes"),
    [
        ("parsers.0.config.chunk_size", 301, False),
        ("parsers.0.config.chunk_strategy", "paragraphs", False),
        ("parsers.0.config.chunk_overlap", 1, False),
        ("parsers.1.config.encoding", "latin-1", True),
        ("parsers.1.config.clean_text", False, True),
        ("parsers.0.type", "TextParser", True),
        ("parsers.0.file_include_patterns", ["*.markdown"], True),
        ("parsers.1.file_extensions", [".log"], True),
        ("parsers.0.priority", 30, True),
        ("extractors.0.type", "EntityExtractor", False),
        ("extractors.0.config.max_keywords", 6, False),
        ("extractors.0.file_include_patterns", ["*.md"], False),
        ("extractors", [], False),
    ],
)
def test_what_shapes_chunks_changes_the_generation_and_what_shapes_text_also_the_text(
    path: str, value: Any, parse_changes: bool
) -> None:
    everything, parse_only = prints(changed(path, value))
    assert everything != prints()[0]
    assert (parse_only != prints()[1]) is parse_changes


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "renamed"),
        ("description", "words"),
        ("parsers.0.priority", 11),
        ("parsers.0.mime_types", ["text/x"]),
        ("parsers.0.fallback_parser", "TextParser"),
        ("extractors.0.condition", "never"),
        ("extractors.0.priority", 90),
    ],
)
def test_what_shapes_nothing_changes_nothing(path: str, value: Any) -> None:
    assert prints(changed(path, value)) == prints()


@pytest.mark.parametrize(
    ("path", "value", "changes"),
    [
        ("type", "OllamaEmbedder", True),
        ("config.dimension", 65, True),
        ("config.model", "other", True),
        ("config.normalize", False, True),
        ("name", "renamed", False),
        ("config.base_url", "http://elsewhere", False),
        ("config.api_key", "secret", False),
        ("config.batch_size", 7, False),
        ("config.device", "cuda", False),
        ("config.timeout", 3, False),
        ("config.circuit_breaker", {"failure_threshold": 2}, False),
    ],
)
def test_a_model_changes_the_generation_and_how_it_is_reached_does_not(path: str, value: Any, changes: bool) -> None:
    everything, parse_only = prints(embedding=changed(path, value, EMBEDDING))
    assert (everything != prints()[0]) is changes
    assert parse_only == prints()[1]


def test_the_order_of_parsers_of_equal_priority_counts() -> None:
    level = [{**entry, "priority": 1} for entry in STRATEGY["parsers"]]
    assert prints({**STRATEGY, "parsers": level}) != prints({**STRATEGY, "parsers": level[::-1]})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3),
    max_leaves=6,
)
CONFIGS = st.dictionaries(st.text(min_size=1, max_size=6), VALUES, max_size=4)


def shuffled(value: Any) -> Any:
    """The same with the keys of every mapping in the opposite order."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    return [shuffled(entry) for entry in value] if isinstance(value, list) else value


@given(CONFIGS, CONFIGS)
def test_the_order_of_keys_never_counts_and_no_value_breaks_the_fingerprint(
    parser: dict[str, Any], embedder: dict[str, Any]
) -> None:
    one = prints(changed("parsers.0.config", parser), changed("config", embedder, EMBEDDING))
    other = prints(changed("parsers.0.config", shuffled(parser)), changed("config", shuffled(embedder), EMBEDDING))
    assert one == other


@given(CONFIGS, CONFIGS)
def test_the_snapshot_that_workers_read_has_the_fingerprint_of_its_own_snapshot(
    parser: dict[str, Any], embedder: dict[str, Any]
) -> None:
    """The API computes generations from the snapshot; the worker reads it back from a JSON column."""
    strategy = {**EMBEDDING, "config": embedder}
    raw = {
        "version": "v1",
        "name": "p",
        "namespace": "n",
        "runtime": {"models": [{"name": "m", "provider": "extractive", "model": "x"}]},
        "rag": {
            "databases": [{"name": "main", "type": "MemoryStore", "embedding_strategies": [strategy]}],
            "data_processing_strategies": [changed("parsers.0.config", parser)],
        },
    }  # fmt: skip
    snapshot = ProjectConfig.parse(raw).model_dump(mode="json", by_alias=True, exclude_none=True)
    api, worker = (ProjectConfig.parse(each) for each in (snapshot, json.loads(json.dumps(snapshot))))
    assert _of(api) == _of(worker)


def _of(config: ProjectConfig) -> tuple[str, str]:
    return fingerprints(config.strategy("plain"), config.database("main").embedding_strategy_in_use())


def test_a_generation_belongs_to_one_file_and_one_set_of_options() -> None:
    names = {generation_name(file, options) for file in ("a", "b") for options in ("x", "y")}
    assert len(names) == 4
    assert generation_name("a", "x") == generation_name("a", "x")


def plan(strategy: Any, embedding: Any = EMBEDDING) -> Any:
    parsed = DataProcessingStrategy.model_validate(strategy), EmbeddingStrategy.model_validate(embedding)
    return plan_processing(*parsed, EstimatedCounter(512))


def test_a_plan_has_the_routes_in_order_of_priority_without_a_warning() -> None:
    found = plan(STRATEGY)
    assert [route.name for route in found.parse_routes] == ["MarkdownParser", "TextParser"]
    assert [route.include_patterns for route in found.parse_routes] == [("*.md",), ("*.txt",)]
    assert [route.chunk_strategy for route in found.parse_routes] == ["headings", "sentences"]
    assert [route.name for route in found.extract_routes] == ["KeywordExtractor"]
    assert found.warnings == ()
    assert (found.fingerprint, found.parse_fingerprint) == prints()


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("parsers.0.type", "NoSuchParser", "parser 'NoSuchParser' is not known and is left out"),
        ("extractors.0.type", "NoSuchExtractor", "extractor 'NoSuchExtractor' is not known and is left out"),
        ("parsers.0.config.colour", "red", "parser 'MarkdownParser': option 'colour' has no effect here"),
        ("extractors.0.config.colour", "red", "extractor 'KeywordExtractor': option 'colour' has no effect here"),
        (
            "parsers.0.config.chunk_strategy",
            "shreds",
            "parser 'MarkdownParser': chunk_strategy 'shreds' is not known; 'headings' is used",
        ),
        (
            "parsers.0.config.chunk_strategy",
            ["rows"],
            "parser 'MarkdownParser': chunk_strategy '['rows']' is not known; 'headings' is used",
        ),
    ],
)
def test_what_is_not_known_is_warned_about(path: str, value: Any, sentence: str) -> None:
    assert plan(changed(path, value)).warnings == (sentence,)


def test_an_option_of_the_embedder_that_is_not_known_is_warned_about() -> None:
    embedding = changed("config.colour", "red", EMBEDDING)
    assert plan(STRATEGY, embedding).warnings == ("embedder 'HashEmbedder': option 'colour' has no effect here",)


def test_a_strategy_without_a_known_parser_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'plain' has no parser that is known.*names Odd.*TextParser"):
        plan({"name": "plain", "parsers": [{"type": "Odd"}]})


def test_a_wrong_value_is_an_error_that_names_option_and_value() -> None:
    with pytest.raises(InvalidInputError, match=r"chunk_size.*-1"):
        plan(changed("parsers.0.config.chunk_size", -1))


def test_an_extractor_with_a_wrong_value_is_left_out_with_a_warning() -> None:
    made = plan(changed("extractors.0.config.max_keywords", "many"))
    assert not made.extract_routes
    (warning,) = made.warnings
    assert "is left out" in warning
    assert "'max_keywords' = 'many'" in warning
