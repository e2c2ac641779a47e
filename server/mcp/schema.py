"""JSON schemas that stand on their own: what agents read must not point elsewhere."""

from collections.abc import Mapping
from typing import Any

REF_PREFIX = "#/components/schemas/"
NAMED = ("properties", "patternProperties", "$defs")
"""Keywords whose keys are names that somebody chose, not keywords."""


def stand_alone(schema: Any, components: Mapping[str, Any], path: tuple[str, ...] = ()) -> Any:
    """Put every `$ref` in its place and drop the generated titles.

    Args:
        components: the document's schemas, by name.
        path: names that are being resolved; one that meets itself again becomes "anything".
    """
    if isinstance(schema, list):
        return [stand_alone(each, components, path) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    if isinstance(ref := schema.get("$ref"), str):
        name = ref.removeprefix(REF_PREFIX)
        target = {} if name in path else stand_alone(components.get(name, {}), components, (*path, name))
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return {**target, **stand_alone(beside, components, path)}
    return {
        key: _named(value, components, path) if key in NAMED else stand_alone(value, components, path)
        for key, value in schema.items()
        if key not in ("title", "discriminator")
    }


def _named(schemas: Mapping[str, Any], components: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    return {name: stand_alone(schema, components, path) for name, schema in schemas.items()}
