"""Options of a component as they stand in llamafarm.yaml, parted into known and unknown ones.

Existing files hold keys that other programs understood. A key that a component does not know is left out
and named in a warning: never passed over in silence, never a reason to refuse the whole file.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import AliasChoices, BaseModel

from config.environment import expand_env
from rag.registry import ComponentOptions, Registry


@dataclass(frozen=True, slots=True)
class ChosenOptions:
    values: dict[str, Any]
    warnings: tuple[str, ...] = ()


def choose_options(
    registry: Registry[Any], name: str, raw: Mapping[str, Any], *, env_allowed: Collection[str] | None = None
) -> ChosenOptions:
    """Known options of component `name`, with `${VAR}` expanded, and a sentence for each unknown one.

    Args:
        env_allowed: see `expand_env`.
    """
    known = option_names(registry, name)
    values = {
        key: expand_env(value, allowed=env_allowed) for key, value in raw.items() if key in known and value is not None
    }
    return ChosenOptions(values, tuple(unknown_options(registry, name, raw)))


def unknown_options(registry: Registry[Any], name: str, raw: Mapping[str, Any]) -> list[str]:
    """A sentence for each key of `raw` that component `name` does not know; nothing is expanded."""
    known = option_names(registry, name)
    model: type[ComponentOptions] = registry.load(name).Options
    explained = model.without_effect
    sentences = []
    for key, value in raw.items():
        if key not in known and not (key in explained and value in (None, *explained[key].harmless)):
            reason = f": {explained[key].reason}" if key in explained else ""
            sentences.append(f"{registry.role} '{name}': option '{key}' has no effect here{reason}")
    return [*sentences, *(f"{registry.role} '{name}': {remark}" for remark in model.remarks(raw))]


@lru_cache(maxsize=512)
def option_names(registry: Registry[Any], name: str) -> frozenset[str]:
    """Every spelling of every option."""
    model: type[BaseModel] = registry.load(name).Options
    names: set[str] = set()
    for field_name, info in model.model_fields.items():
        names.add(field_name)
        if info.alias:
            names.add(info.alias)
        if isinstance(info.validation_alias, str):
            names.add(info.validation_alias)
        elif isinstance(info.validation_alias, AliasChoices):
            names.update(choice for choice in info.validation_alias.choices if isinstance(choice, str))
    return frozenset(names)
