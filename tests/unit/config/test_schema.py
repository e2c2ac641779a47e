import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator

from config.loader import TEMPLATES_DIR, template_names
from config.project import ProjectConfig
from config.reading import parse_config
from config.schema import json_schema
from config.section import Section

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


def models_of(annotation: Any) -> list[type[Section]]:
    """The models that a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [model for argument in get_args(annotation) for model in models_of(argument)]


def all_models(model: type[Section]) -> set[type[Section]]:
    inner = [each for field in model.model_fields.values() for each in models_of(field.annotation)]
    return {model}.union(*(all_models(each) for each in inner))


def keys_used(model: type[Section], raw: Any) -> Iterator[tuple[type[Section], str]]:
    """Every (model, key) that a configuration sets."""
    for entry in raw if isinstance(raw, list) else [raw]:
        if isinstance(entry, dict):
            yield from ((model, key) for key in entry)
            for name, field in model.model_fields.items():
                for inner in models_of(field.annotation):
                    yield from keys_used(inner, entry.get(field.alias or name))


@pytest.mark.parametrize("model", sorted(all_models(ProjectConfig), key=lambda model: model.__name__))
def test_the_complete_example_shows_every_key(model: type[Section]) -> None:
    """Set where a key has an effect, else in a comment."""
    text = EXAMPLE.read_text(encoding="utf-8")
    used = set(keys_used(ProjectConfig, parse_config(text.encode(), "llamafarm.yaml")))
    for name, field in model.model_fields.items():
        key = field.alias or name
        assert (model, key) in used or re.search(rf"^ *# {key}: ", text, re.MULTILINE), f"{model.__name__}.{key}"


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
