from collections.abc import Callable
from typing import Any

import pytest

from config.project import ProjectConfig
from rag.errors import BadRequestError, ConfigError, NotFoundError

Parse = Callable[..., ProjectConfig]

PARSERS = [{"type": "TextParser"}]
EMBEDDINGS = [{"name": "a", "type": "UniversalEmbedder"}, {"name": "b", "type": "OllamaEmbedder"}]
RETRIEVALS = [{"name": "x", "type": "BasicSimilarityStrategy"}, {"name": "y", "type": "MultiQueryStrategy"}]


def database(**keys: Any) -> dict[str, Any]:
    return {"name": "main", "type": "ChromaStore", **keys}


def system(text: str) -> dict[str, str]:
    return {"role": "system", "content": text}


# --- the whole file


def test_the_smallest_config_is_accepted(parse: Parse) -> None:
    config = parse()
    assert (config.prompts, config.datasets, config.rag, config.mcp) == ([], [], None, None)
    assert config.warnings() == []


@pytest.mark.parametrize("key", ["version", "name", "namespace", "runtime"])
def test_a_required_key_that_is_missing_is_named(minimal: dict[str, Any], key: str) -> None:
    del minimal[key]
    with pytest.raises(ConfigError) as caught:
        ProjectConfig.parse(minimal)
    assert str(caught.value) == f"llamafarm.yaml: {key} is missing; it is required"


def test_an_error_names_file_path_value_and_what_is_accepted(minimal: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        ProjectConfig.parse({**minimal, "rag": {"databases": [database(name="Main DB")]}}, file_name="llamafarm.yml")
    assert str(caught.value) == (
        "llamafarm.yml: rag.databases[0].name = 'Main DB'; accepted: a text matching ^[a-z][a-z0-9_]*$"
    )


def test_five_problems_are_shown_and_the_rest_counted(parse: Parse) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(datasets=[{"name": 1, "database": 2} for _ in range(4)])
    text = str(caught.value)
    assert text.count("accepted:") == 5
    assert text.endswith("; and 3 more")


def test_a_long_value_is_shortened_in_the_message(parse: Parse) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(version="v" * 10_000)
    assert len(str(caught.value)) < 300


def test_a_key_with_null_counts_as_absent(parse: Parse) -> None:
    config = parse(
        prompts=None, datasets=None, mcp=None, components=None, rag={"databases": None, "default_database": None}
    )
    assert config.databases == []
    assert config.warnings() == []


def test_unknown_keys_are_kept_and_named_wherever_they_stand(parse: Parse) -> None:
    config = parse(
        project_brief={"goal": 1},
        voice={"on": True},
        datasets=[{"name": "d", "database": "main", "files": ["ab"], "colour": "red"}],
        rag={
            "databases": [database(size=3, embedding_strategies=[{**EMBEDDINGS[0], "note": 1}])],
            "data_processing_strategies": [
                {"name": "s", "parsers": [{"type": "TextParser", "zip": 1}], "directory_config": {"recursive": True}}
            ],
            "magic": 1,
        },
    )
    text = "\n".join(config.warnings())
    for place in (
        "project_brief: unknown key, kept without effect",
        "voice: kept without effect",
        "datasets[0].files: ignored",
        "datasets[0].colour: unknown key",
        "rag.magic: unknown key",
        "rag.databases[0].size: unknown key",
        "rag.databases[0].embedding_strategies[0].note: unknown key",
        "rag.data_processing_strategies[0].parsers[0].zip: unknown key",
        "rag.data_processing_strategies[0].directory_config: ignored",
    ):
        assert place in text
    assert config.model_extra == {"project_brief": {"goal": 1}, "voice": {"on": True}}


def test_what_points_nowhere_is_a_warning_not_an_error(parse: Parse) -> None:
    config = parse(
        datasets=[{"name": "my set", "database": "gone", "data_processing_strategy": "gone"}],
        rag={
            "default_database": "gone",
            "databases": [
                database(
                    config={"persist_directory": "/x"},
                    default_embedding_strategy="gone",
                    default_retrieval_strategy="gone",
                )
            ],
        },
    )
    assert [warning.partition(":")[0] for warning in config.warnings()] == [
        "rag.databases[0].config.persist_directory",
        "rag.databases[0].default_embedding_strategy = 'gone'",
        "rag.databases[0].default_retrieval_strategy = 'gone'",
        "rag.default_database = 'gone'",
        "datasets[0].name = 'my set'",
        "datasets[0].database = 'gone'",
        "datasets[0].data_processing_strategy = 'gone'",
    ]


def test_the_schema_key_is_read_and_kept(parse: Parse) -> None:
    assert parse(schema="models.py::Answer").schema_reference == "models.py::Answer"


def test_an_mcp_server_needs_the_address_of_its_transport(parse: Parse) -> None:
    with pytest.raises(ConfigError, match=r"mcp\.servers\[0\]: command is missing; transport stdio needs it"):
        parse(mcp={"servers": [{"name": "a", "transport": "stdio"}]})
    with pytest.raises(
        ConfigError, match=r"mcp\.servers\[0\]\.transport = 'smoke'; accepted: 'stdio', 'http' or 'sse'"
    ):
        parse(mcp={"servers": [{"name": "a", "transport": "smoke"}]})


def test_a_header_never_shows_in_an_error(parse: Parse) -> None:
    with pytest.raises(ConfigError, match=r"headers\.X-Any = \*\*\*; accepted: a text"):
        parse(mcp={"servers": [{"name": "a", "transport": "http", "base_url": "x", "headers": {"X-Any": 123}}]})


def test_a_model_gets_the_mcp_servers_that_it_names_or_all(parse: Parse) -> None:
    servers = [{"name": name, "transport": "http", "base_url": "http://a/mcp"} for name in ("a", "b")]
    models = [{"name": str(names), "provider": "extractive", "mcp_servers": names} for names in (None, [], ["b", "c"])]
    config = parse(mcp={"servers": servers}, runtime={"models": models})

    found = [[server.name for server in config.mcp_servers_for(model)] for model in config.runtime.models]
    assert found == [["a", "b"], [], ["b"]]
    assert config.warnings() == [
        "runtime.models: model '['b', 'c']' names the MCP server 'c', which is not under mcp.servers"
    ]


def test_what_an_mcp_server_has_no_use_for_is_named(parse: Parse) -> None:
    stdio = {"name": "a", "transport": "stdio", "command": "x", "base_url": "http://a", "timeout": 3}
    http = {"name": "a", "transport": "http", "base_url": "http://a", "args": ["y"]}

    assert parse(mcp={"servers": [stdio, http]}).warnings() == [
        "mcp.servers[0].timeout: unknown key, kept without effect",
        "mcp.servers[0].base_url: has no effect with transport stdio",
        "mcp.servers[1].args: has no effect with transport http",
        "mcp.servers: the name 'a' is used more than once; each must be unique",
    ]


# --- prompts


def test_a_model_without_prompts_gets_every_set_in_file_order(parse: Parse) -> None:
    config = parse(
        runtime={"models": [{"name": "m", "provider": "ollama"}]},
        prompts=[{"name": "b", "messages": [system("1")]}, {"name": "a", "messages": [system("2")]}],
    )
    assert config.prompts_for(config.model()) == [system("1"), system("2")]


def test_a_model_with_prompts_gets_those_in_its_order(parse: Parse) -> None:
    sets = [{"name": name, "messages": [system(name)]} for name in "abc"]
    config = parse(runtime={"models": [{"name": "m", "provider": "ollama", "prompts": ["c", "a"]}]}, prompts=sets)
    assert config.prompts_for(config.model()) == [system("c"), system("a")]


def test_a_tool_message_keeps_its_call_id(parse: Parse) -> None:
    message = {"role": "tool", "content": "4", "tool_call_id": "t1"}
    config = parse(runtime={"provider": "ollama"}, prompts=[{"name": "a", "messages": [{**message, "odd": 1}]}])
    assert config.prompts_for(config.model()) == [message]


def test_flat_prompts_are_one_set_named_default(parse: Parse) -> None:
    config = parse(prompts=[system("1"), {"role": "user", "content": "2"}])
    assert [(entry.name, len(entry.messages)) for entry in config.prompts] == [("default", 2)]


def test_prompts_of_sections_become_one_system_message(parse: Parse) -> None:
    sections = [{"title": "Role", "content": ["You help.", "Briefly."]}, {"content": "Be kind."}, "Thanks."]
    config = parse(prompts=[{"name": "old", "sections": sections}])
    assert config.prompts[0].as_messages() == [system("Role\nYou help.\nBriefly.\nBe kind.\nThanks.")]


def test_prompt_names_are_unique_and_names_of_prompts_exist(parse: Parse) -> None:
    with pytest.raises(ConfigError, match="prompts: the name 'a' is used more than once"):
        parse(prompts=[{"name": "a"}, {"name": "a"}])
    with pytest.raises(ConfigError, match=r"model 'm' names the prompt set 'x'; accepted: .*\(a\)"):
        parse(runtime={"models": [{"name": "m", "provider": "ollama", "prompts": ["x"]}]}, prompts=[{"name": "a"}])


# --- datasets


def test_dataset_names_are_unique_whatever_their_case(parse: Parse) -> None:
    with pytest.raises(ConfigError, match="datasets: the name 'papers' is used more than once"):
        parse(datasets=[{"name": "papers", "database": "m"}, {"name": "Papers", "database": "m"}])


def test_a_dataset_that_names_no_strategy_uses_the_built_in_one(parse: Parse) -> None:
    dataset = parse(datasets=[{"name": "d", "database": "m"}]).dataset("d")
    assert (dataset.data_processing_strategy, dataset.auto_process) == ("universal_rag", False)


def test_an_unknown_dataset_is_not_found(parse: Parse) -> None:
    with pytest.raises(NotFoundError, match=r"^Dataset x not found$"):
        parse().dataset("x")


# --- databases


def test_a_database_is_found_by_name_then_default_then_first(parse: Parse) -> None:
    entries = [database(name="one"), database(name="two")]
    config = parse(rag={"databases": entries})
    assert (config.database("two").name, config.database().name) == ("two", "one")
    assert parse(rag={"databases": entries, "default_database": "two"}).database().name == "two"


def test_the_ways_of_not_finding_a_database(parse: Parse) -> None:
    with pytest.raises(BadRequestError, match=r"^RAG not configured for this project$"):
        parse().database("x")
    with pytest.raises(BadRequestError, match=r"^No database specified and no default available$"):
        parse(rag={}).database()
    with pytest.raises(NotFoundError, match=r"^Database 'x' not found\. Available: \w+$"):
        parse(rag={"databases": [database()]}).database("x")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"default_embedding_strategy": "b", "embedding_strategies": EMBEDDINGS}, ("b", "OllamaEmbedder")),
        ({"embedding_strategies": EMBEDDINGS}, ("a", "UniversalEmbedder")),
        ({"default_embedding_strategy": "gone", "embedding_strategies": EMBEDDINGS}, ("a", "UniversalEmbedder")),
        ({}, ("default", "OllamaEmbedder")),
    ],
    ids=["configured", "first", "configured one is gone", "none"],
)
def test_the_embedding_strategy_in_use(parse: Parse, keys: dict[str, Any], expected: tuple[str, str]) -> None:
    strategy = parse(rag={"databases": [database(**keys)]}).database().embedding_strategy_in_use()
    assert (strategy.name, strategy.type) == expected


@pytest.mark.parametrize(
    ("keys", "requested", "expected"),
    [
        ({"retrieval_strategies": RETRIEVALS, "default_retrieval_strategy": "y"}, "x", "x"),
        ({"retrieval_strategies": RETRIEVALS, "default_retrieval_strategy": "y"}, None, "y"),
        ({"retrieval_strategies": [RETRIEVALS[0], {**RETRIEVALS[1], "default": True}]}, None, "y"),
        ({"retrieval_strategies": RETRIEVALS}, None, "x"),
        ({"retrieval_strategies": None}, None, "default"),
    ],
    ids=["requested", "configured", "flagged", "first", "none"],
)
def test_the_retrieval_strategy_in_use(
    parse: Parse, keys: dict[str, Any], requested: str | None, expected: str
) -> None:
    found = parse(rag={"databases": [database(**keys)]}).database().retrieval_strategy_in_use(requested)
    assert found.name == expected


def test_without_a_retrieval_strategy_similarity_is_used(parse: Parse) -> None:
    found = parse(rag={"databases": [database()]}).database().retrieval_strategy_in_use()
    assert found.type == "BasicSimilarityStrategy"


def test_an_unknown_retrieval_strategy_lists_the_known_ones(parse: Parse) -> None:
    entry = parse(rag={"databases": [database(retrieval_strategies=RETRIEVALS)]}).database()
    with pytest.raises(NotFoundError, match=r"^Retrieval strategy 'z' not found\. Available: x, y$"):
        entry.retrieval_strategy_in_use("z")


@pytest.mark.parametrize(
    ("config", "metric"),
    [
        ({}, "cosine"),
        ({"distance_function": "l2"}, "l2"),
        ({"distance_metric": "ip", "distance_function": "l2"}, "ip"),
        ({"distance_metric": "hamming"}, "cosine"),
        ({"distance_metric": "euclidean"}, "l2"),
        ({"distance_function": "dot"}, "ip"),
        ({"distance_metric": ["l2"]}, "cosine"),
    ],
)
def test_the_metric_is_read_from_either_key(parse: Parse, config: dict[str, str], metric: str) -> None:
    assert parse(rag={"databases": [database(config=config)]}).database().metric == metric


# --- strategies


def test_the_built_in_strategy_is_always_there_and_can_be_replaced(parse: Parse) -> None:
    config = parse(rag={"data_processing_strategies": [{"name": "s", "parsers": PARSERS}]})
    assert [entry.name for entry in config.strategies] == ["universal_rag", "s"]
    assert config.strategy(None).parsers[0].type == "UniversalParser"
    assert parse().strategy("universal_rag").extractors[0].type == "UniversalExtractor"
    own = parse(rag={"data_processing_strategies": [{"name": "universal_rag", "parsers": PARSERS}]})
    assert [entry.parsers[0].type for entry in own.strategies] == ["TextParser"]


def test_an_unknown_strategy_lists_the_known_ones(parse: Parse) -> None:
    with pytest.raises(NotFoundError, match=r"strategy 'x' not found\. Available: universal_rag"):
        parse().strategy("x")


@pytest.mark.parametrize("parsers", [None, []], ids=["missing", "empty"])
def test_a_strategy_needs_a_parser(parse: Parse, parsers: object) -> None:
    with pytest.raises(ConfigError, match=r"rag\.data_processing_strategies\[0\]\.parsers"):
        parse(rag={"data_processing_strategies": [{"name": "s", "parsers": parsers}]})


def test_metadata_extractors_are_more_extractors_and_a_bare_type_is_one(parse: Parse) -> None:
    strategy = {"name": "s", "parsers": PARSERS, "extractors": ["A"], "metadata_extractors": [{"type": "B"}]}
    config = parse(rag={"data_processing_strategies": [strategy]})
    assert [entry.type for entry in config.strategy("s").extractors] == ["A", "B"]
    assert config.warnings() == []


@pytest.mark.parametrize("priority", [-1, 1001, "high"])
def test_a_priority_out_of_range_says_what_is_accepted(parse: Parse, priority: object) -> None:
    parsers = [{"type": "TextParser", "priority": priority}]
    with pytest.raises(ConfigError, match=rf"parsers\[0\]\.priority = {priority!r}; accepted: a (whole )?number"):
        parse(rag={"data_processing_strategies": [{"name": "s", "parsers": parsers}]})


def test_a_short_description_is_fine_and_a_very_long_one_is_not(parse: Parse) -> None:
    strategy = {"name": "s", "parsers": PARSERS}
    parse(rag={"data_processing_strategies": [{**strategy, "description": "x"}]})
    with pytest.raises(ConfigError, match="at most 500 characters"):
        parse(rag={"data_processing_strategies": [{**strategy, "description": "x" * 501}]})


# --- components


COMPONENTS = {
    "embedding_strategies": EMBEDDINGS,
    "retrieval_strategies": RETRIEVALS,
    "parsers": [{"name": "text", "type": "TextParser"}, {"name": "pdf", "type": "PDFParser"}],
}


@pytest.mark.parametrize("place", ["top", "rag"])
def test_a_database_may_name_its_parts(parse: Parse, place: str) -> None:
    rag: dict[str, Any] = {"databases": [database(embedding_strategy="b", retrieval_strategy="y")]}
    sections: dict[str, Any] = {"rag": rag, "components": COMPONENTS}
    if place == "rag":
        sections = {"rag": {**rag, "components": COMPONENTS}}
    entry = parse(**sections).database()
    assert [strategy.name for strategy in entry.embedding_strategies] == ["b"]
    assert entry.retrieval_strategy_in_use().type == "MultiQueryStrategy"


def test_defaults_fill_what_a_database_and_a_strategy_do_not_give(parse: Parse) -> None:
    defaults = {"embedding_strategy": "b", "retrieval_strategy": "y", "parser": "pdf"}
    config = parse(
        components={**COMPONENTS, "defaults": defaults},
        rag={
            "databases": [database(), database(name="own", embedding_strategies=[EMBEDDINGS[0]])],
            "data_processing_strategies": [{"name": "s"}],
        },
    )
    assert config.database("main").embedding_strategy_in_use().name == "b"
    assert config.database("own").embedding_strategy_in_use().name == "a"
    assert config.strategy("s").parsers[0].type == "PDFParser"


def test_a_strategy_may_name_parsers_among_others_written_out(parse: Parse) -> None:
    strategy = {"name": "s", "parsers": ["pdf", {"type": "CSVParser"}, "text"]}
    config = parse(components=COMPONENTS, rag={"data_processing_strategies": [strategy]})
    assert [entry.type for entry in config.strategy("s").parsers] == ["PDFParser", "CSVParser", "TextParser"]


def test_a_name_that_no_component_has_lists_the_known_ones(parse: Parse) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(components=COMPONENTS, rag={"databases": [database(embedding_strategy="z")]})
    assert str(caught.value) == (
        "llamafarm.yaml: rag.databases[0].embedding_strategy = 'z'; "
        "accepted: a name under components.embedding_strategies (a, b)"
    )


@pytest.mark.parametrize(
    "sections",
    [
        {"rag": []},
        {"rag": {"databases": {}}},
        {"rag": {"databases": ["x"]}},
        {"rag": {"data_processing_strategies": [{"name": "s", "parsers": "x"}]}},
        {"components": []},
        {"components": {"parsers": [1]}},
        {"prompts": "x"},
        {"prompts": [1]},
        {"datasets": [[]]},
        {"runtime": {"models": 3}},
        {"runtime": {"models": {"a": 3}}},
        {"mcp": 1},
    ],
    ids=repr,
)
def test_a_wrong_shape_anywhere_is_a_config_error(parse: Parse, sections: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^llamafarm\.yaml: .*accepted: "):
        parse(**sections)
