"""Options of extractors: keys that have two spellings may both be there, as in existing files."""

from typing import Any

from pydantic import AliasChoices, model_validator

from rag.registry import ComponentOptions


class ExtractorOptions(ComponentOptions):
    @model_validator(mode="before")
    @classmethod
    def _first_spelling_wins(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        kept = dict(values)
        for info in cls.model_fields.values():
            if isinstance(info.validation_alias, AliasChoices):
                given = [name for name in info.validation_alias.choices if isinstance(name, str) and name in kept]
                for name in given[1:]:
                    del kept[name]
        return kept
