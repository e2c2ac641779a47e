from pathlib import Path

import pytest

from config.loader import ProjectStore, template_names
from config.processing import plan_processing
from rag.chunkers.tokens import EstimatedCounter
from rag.parsers.base import ParseLimits
from rag.parsers.detect import probe_file
from rag.pipelines.ingest import parse_file


@pytest.mark.parametrize("template", template_names())
def test_every_template_is_valid_and_without_warnings(store: ProjectStore, template: str) -> None:
    loaded = store.create("org", "bot", template)
    assert loaded.validation_error is None
    assert loaded.config is not None
    assert loaded.config.warnings() == []


@pytest.mark.parametrize("template", template_names())
def test_every_template_answers_without_a_model_server(store: ProjectStore, template: str) -> None:
    assert store.create("org", "bot", template).raw["runtime"]["default_model"] == "default"
    assert store.load("org", "bot").model().provider == "extractive"


@pytest.mark.parametrize("template", template_names())
def test_every_template_embeds_with_the_bundled_model(store: ProjectStore, template: str) -> None:
    store.create("org", "bot", template)
    for database in store.load("org", "bot").databases:
        strategy = database.embedding_strategy_in_use()
        assert strategy.type == "UniversalEmbedder"
        assert strategy.config["model"] == "sentence-transformers/all-MiniLM-L6-v2"
        assert strategy.config["dimension"] == 384


def test_the_published_templates_are_there() -> None:
    assert template_names() == ["advanced", "default", "rag", "server"]


@pytest.mark.parametrize(("template", "strategy"), [("default", "basic_search"), ("rag", "hybrid_search")])
def test_the_names_of_the_contract_are_in_the_templates(store: ProjectStore, template: str, strategy: str) -> None:
    store.create("org", "bot", template)
    database = store.load("org", "bot").database()
    assert database.name == "main_database"
    assert database.retrieval_strategy_in_use().name == strategy
    assert {"basic_search", "filtered_search", "hybrid_search"} <= {
        entry.name for entry in database.retrieval_strategies
    }
    assert len(store.load("org", "bot").strategy("universal_processor").parsers) >= 7


def test_the_advanced_template_has_two_databases_and_six_strategies(store: ProjectStore) -> None:
    store.create("org", "bot", "advanced")
    config = store.load("org", "bot")
    assert [database.name for database in config.databases] == ["main_database", "research_database"]
    assert config.rag is not None
    assert len(config.rag.data_processing_strategies) == 6


@pytest.mark.parametrize("template", ["default", "rag"])
@pytest.mark.parametrize(
    ("name", "content", "parser"),
    [
        ("feed.xml", '<?xml version="1.0"?><menu><dish>Pea soup</dish></menu>', "XMLParser"),
        ("guide.rst", "Guide\n=====\n\nPea soup.\n", "RSTParser"),
        ("menu.json", '[{"dish": "Pea soup"}]', "JSONParser"),
        ("menu.txt", "Pea soup.", "TextParser"),
    ],
)
def test_a_new_project_reads_each_text_format_with_its_own_parser(
    store: ProjectStore, tmp_path: Path, template: str, name: str, content: str, parser: str
) -> None:
    store.create("org", "bot", template)
    config = store.load("org", "bot")
    counter = EstimatedCounter(256)
    embedding = config.database().embedding_strategy_in_use()
    plan = plan_processing(config.strategy("universal_processor"), embedding, counter)
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")

    parsed = parse_file(probe_file(path, name), plan.parse_routes, ParseLimits())

    assert parsed.document.parser == parser
    assert "Pea soup" in parsed.document.text
