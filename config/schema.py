"""The JSON schema of llamafarm.yaml, generated from the models and from the options of every component."""

import json
from importlib import import_module
from typing import Any

from pydantic import BaseModel

from config.project import ProjectConfig
from rag.registry import Registry

Schema = dict[str, Any]

_COMPONENTS = (
    ("DatabaseConfig", "rag.stores", "stores"),
    ("EmbeddingStrategy", "rag.embedders", "embedders"),
    ("RetrievalStrategy", "rag.retrievers", "retrievers"),
    ("ParserEntry", "rag.parsers", "parsers"),
    ("NamedParser", "rag.parsers", "parsers"),
    ("ExtractorEntry", "rag.extractors", "extractors"),
)
"""Definition in the schema, package and registry of the components that its `type` may name."""


def json_schema() -> Schema:
    """Unknown keys and unknown component types pass, as they do when the file is read; known options are typed."""
    schema = ProjectConfig.model_json_schema(mode="validation")
    definitions = schema["$defs"]
    for definition, package, registry_name in _COMPONENTS:
        registry: Registry[Any] = getattr(import_module(package), registry_name)
        _describe_options(definitions[definition], definitions, registry)
    _allow_short_forms(schema, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "llamafarm.yaml",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def _allow_short_forms(schema: Schema, definitions: Schema) -> None:
    """What is turned into the canonical form when the file is read."""
    strategy = definitions["DataProcessingStrategy"]["properties"]
    for list_name in ("parsers", "extractors"):  # a name under `components`; a bare type
        strategy[list_name]["items"] = {"anyOf": [strategy[list_name]["items"], {"type": "string"}]}
    models = definitions["RuntimeConfig"]["properties"]["models"]
    unnamed = {key: value for key, value in definitions["ModelConfig"].items() if key != "required"}
    models["anyOf"] = [
        {"type": models.pop("type"), "items": models.pop("items")},
        {"type": "object", "additionalProperties": unnamed, "description": "A mapping of name → model."},
    ]
    prompts = schema["properties"]["prompts"]
    prompts["items"] = {"anyOf": [prompts["items"], {"$ref": "#/$defs/PromptMessage"}]}


def _describe_options(target: Schema, definitions: Schema, registry: Registry[Any]) -> None:
    target["properties"]["type"]["examples"] = registry.names
    rules = []
    for name in registry:
        options = _options_schema(registry, name)
        if options is None:
            continue
        key = f"{registry.role}.{name}"
        definitions[key] = options
        accepted = [alias for alias in registry.names if registry.canonical(alias) == name]
        rules.append(
            {
                "if": {"properties": {"type": {"enum": accepted}}, "required": ["type"]},
                "then": {"properties": {"config": {"anyOf": [{"$ref": f"#/$defs/{key}"}, {"type": "null"}]}}},
            }
        )
    if rules:
        target["allOf"] = rules


def _options_schema(registry: Registry[Any], name: str) -> Schema | None:
    """None for a component whose optional package is not installed: its options stay free."""
    try:
        model: type[BaseModel] = registry.load(name).Options
    except ImportError:
        return None
    schema = model.model_json_schema(mode="validation", ref_template=f"#/$defs/{registry.role}.{name}/$defs/{{model}}")
    for part in [schema, *schema.get("$defs", {}).values()]:
        part.pop("additionalProperties", None)  # an option that is not known is a warning, not an error
        part.pop("required", None)  # may be given under another of its names
    return schema


def render_schema() -> str:
    """The schema as a text for a file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
