"""Requests that remember what was sent without effect, so that a job can say so."""

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ModelWrapValidatorHandler, PrivateAttr, model_validator

PLACES = frozenset({"project_id", "organization_id", "product_type"})
"""Say where something belongs; read elsewhere."""
MAX_NAMES, MAX_NAME_CHARS = 100, 100


class Noticing(BaseModel):
    """`without_effect`: fields that are known and change nothing."""

    without_effect: ClassVar[frozenset[str]] = frozenset()
    _unknown: tuple[str, ...] = PrivateAttr(())

    @model_validator(mode="wrap")
    @classmethod
    def _note(cls, sent: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        made = handler(sent)
        if isinstance(sent, dict):
            unknown = (key for key in sent if key not in cls.model_fields and key not in PLACES)
            made._unknown = tuple(shown_name(str(key)) for key in unknown if not is_nothing(sent[key]))
        return made

    def ignored(self) -> list[str]:
        """Names of what was set and changes nothing, in order; of the parts too."""
        names = set(self._unknown)
        names |= {name for name in self.without_effect if not is_nothing(getattr(self, name))}
        for name in type(self).model_fields:
            part = getattr(self, name)
            if isinstance(part, Noticing):
                names |= set(part.ignored())
        return sorted(names)[:MAX_NAMES]


def is_nothing(value: Any) -> bool:
    """Whether a value asks for nothing."""
    return value is None or value is False or value in ("", [], {})


def shown_name(name: str) -> str:
    """Short, and without what cannot be written down."""
    return name.encode("utf-8", "replace").decode()[:MAX_NAME_CHARS]
