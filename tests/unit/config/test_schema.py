from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from config.loader import TEMPLATES_DIR, template_names
from config.project import ProjectConfig
from config.reading import parse_config
from config.schema import json_schema

EXAMPLE = Path(__file__).parents[3] / "llamafarm.yaml.example"


@cache
def validator() -> Draft202012Validator:
    return Draft202012Validator(json_schema())


def problems(raw: dict[str, Any]) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator().iter_errors(raw)]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("template", template_names())
def test_every_template_passes_the_schema(template: str) -> None:
    path = TEMPLATES_DIR / f"{template}.yaml"
    assert problems(parse_config(path.read_bytes(), path.name)) == []


def test_the_complete_example_is_valid_and_warns_only_of_what_is_kept_for_other_programs() -> None:
    raw = parse_config(EXAMPLE.read_bytes(), "llamafarm.yaml")
    assert all("has no effect" in warning for warning in ProjectConfig.parse(raw).warnings())
    assert problems(raw) == []


def test_the_complete_example_shows_every_key_of_the_models_it_explains() -> None:
    text = EXAMPLE.read_text()
    for name in ("DatasetConfig", "RetrievalStrategy", "Components", "ComponentDefaults", "RagConfig", "PromptSet"):
        for key in json_schema()["$defs"][name]["properties"]:
            assert f"{key}:" in text, f"{name}.{key}"


@pytest.mark.parametrize(
    "sections",
    [
        {"runtime": {"models": {"fast": {"provider": "ollama", "model": "x"}}}},
        {"runtime": {"provider": "ollama", "model": "x"}},
        {"prompts": [{"role": "system", "content": "x"}]},
        {"anything": 1},
        {"rag": {"databases": [{"name": "d", "type": "SomethingElse", "config": {"a": 1}}]}},
    ],
    ids=["mapped models", "flat model", "flat prompts", "unknown key", "unknown component"],
)
def test_the_schema_is_as_lenient_as_reading(minimal: dict[str, Any], sections: dict[str, Any]) -> None:
    ProjectConfig.parse({**minimal, **sections})
    assert problems({**minimal, **sections}) == []


@pytest.mark.parametrize(
    "sections",
    [
        {"version": "v2"},
        {"runtime": {"models": [{"name": "a", "provider": "acme", "model": "x"}]}},
        {"datasets": [{"name": "a"}]},
        {"rag": {"databases": [{"name": "Not A Name", "type": "ChromaStore"}]}},
    ],
    ids=["version", "provider", "dataset without database", "database name"],
)
def test_the_schema_refuses_what_reading_refuses(minimal: dict[str, Any], sections: dict[str, Any]) -> None:
    assert problems({**minimal, **sections}) != []


def test_options_of_a_known_component_are_typed(minimal: dict[str, Any]) -> None:
    entry = {"name": "e", "type": "UniversalEmbedder", "config": {"batch_size": "many"}}
    rag = {"databases": [{"name": "d", "type": "ChromaStore", "embedding_strategies": [entry]}]}
    assert any("batch_size" in problem for problem in problems({**minimal, "rag": rag}))
