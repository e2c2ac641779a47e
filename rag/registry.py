"""Names that users write in llamafarm.yaml, each leading to one class in one file."""

import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from rag.errors import InvalidInputError, UnknownComponentError

Component = TypeVar("Component")

_SECRET_NAME = re.compile(r"(key|token|secret|passw(or)?d|authorization|credentials?)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NoEffect:
    """Why an option that other programs know does nothing here.

    Args:
        harmless: values that ask for nothing else than what is done anyway.
    """

    harmless: tuple[Any, ...]
    reason: str


class ComponentOptions(BaseModel):
    """Base of every component's `Options`. A key that the component does not know is an error, not a default."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    without_effect: ClassVar[Mapping[str, NoEffect]] = {}
    """Keys that are no options: what reads llamafarm.yaml names them in a warning, with the reason."""

    @classmethod
    def remarks(cls, values: Mapping[str, Any]) -> list[str]:
        """Sentences on values that are accepted and do less than they say."""
        return []


class Registry(Generic[Component]):
    """A table of `type` name → `module:Class`; a module is imported when its name is asked for.

    Every class has an inner `Options(ComponentOptions)` and is built as `Class(options, **needs)`, where
    `needs` are the live objects that the role's base.py names (a store, an embedder …).
    """

    def __init__(self, role: str, table: Mapping[str, str], aliases: Mapping[str, str] | None = None) -> None:
        self.role = role
        self._table = dict(table)
        self._aliases = dict(aliases or {})

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __contains__(self, name: object) -> bool:
        return name in self._table or name in self._aliases

    @property
    def names(self) -> list[str]:
        """Every accepted name, aliases included, sorted."""
        return sorted({*self._table, *self._aliases})

    def canonical(self, name: str) -> str:
        """The table name behind `name`; raises UnknownComponentError that lists the known ones."""
        resolved = self._aliases.get(name, name)
        if resolved not in self._table:
            raise UnknownComponentError(f"{self.role} '{name}' is not known. Known: {', '.join(self.names)}")
        return resolved

    def load(self, name: str) -> type[Component]:
        module_name, _, class_name = self._table[self.canonical(name)].partition(":")
        return cast("type[Component]", getattr(importlib.import_module(module_name), class_name))

    def options(self, name: str, values: Mapping[str, Any]) -> ComponentOptions:
        """Check `values` against the component's options; the message names option, value and what is accepted."""
        model: type[ComponentOptions] = self.load(name).Options  # type: ignore[attr-defined]  # every component has one
        try:
            return model.model_validate(dict(values))
        except ValidationError as error:
            raise InvalidInputError(f"{self.role} '{name}': {_sentence(error, model)}") from error

    def build(self, name: str, values: Mapping[str, Any], **needs: Any) -> Component:
        factory: Any = self.load(name)
        return cast("Component", factory(self.options(name, values), **needs))


def _sentence(error: ValidationError, model: type[BaseModel]) -> str:
    parts = []
    for problem in error.errors(include_url=False):
        where = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            parts.append(f"option '{where}' is not known (known: {', '.join(sorted(model.model_fields))})")
        else:
            parts.append(f"option '{where}' = {_shown(problem)}: {problem['msg']}")
    return "; ".join(parts)


def _shown(problem: ErrorDetails) -> str:
    """The value, never a secret; what a mapping or a list holds is not shown either."""
    value = problem["input"]
    if any(_SECRET_NAME.search(str(part)) for part in problem["loc"]):
        return "'***'"
    if isinstance(value, Mapping):
        return "(a mapping)"
    return "(a list)" if isinstance(value, list) else repr(value)
