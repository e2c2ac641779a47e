"""The base of every part of llamafarm.yaml: read leniently, kept whole, and able to say what has no effect."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, model_validator

NAME_PATTERN = r"^[a-z][a-z0-9_]*$"

Identifier = Annotated[str, StringConstraints(pattern=NAME_PATTERN, min_length=1, max_length=50)]


def _empty_if_null(value: Any) -> Any:
    return {} if value is None else value


Options = Annotated[dict[str, Any], BeforeValidator(_empty_if_null)]
"""The free `config` of a component: checked by the component itself when it is built."""


class Section(BaseModel):
    """Unknown keys are kept and reported by `unknown_keys`; a key with the value null counts as absent."""

    model_config = ConfigDict(
        extra="allow", frozen=True, populate_by_name=True, hide_input_in_errors=True, protected_namespaces=()
    )

    without_effect: ClassVar[dict[str, str]] = {}
    """Keys that are accepted and change nothing → why."""

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: entry for key, entry in value.items() if entry is not None}
        return value


def unknown_keys(value: Any, path: str = "") -> Iterator[str]:
    """One sentence per key below `value` that the file holds and that changes nothing."""
    if isinstance(value, Section):
        yield from _own_unknown_keys(value, path)
        for name, field in type(value).model_fields.items():
            yield from unknown_keys(getattr(value, name), _join(path, field.alias or name))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from unknown_keys(entry, f"{path}[{index}]")


def _own_unknown_keys(section: Section, path: str) -> Iterator[str]:
    for key in section.model_extra or {}:
        reason = section.without_effect.get(key, "unknown key, kept without effect")
        yield f"{_join(path, key)}: {reason}"
    for key in type(section).model_fields:
        if key in section.without_effect and getattr(section, key):
            yield f"{_join(path, key)}: {section.without_effect[key]}"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
