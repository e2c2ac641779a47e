"""Known options are taken, unknown ones named."""

from typing import Any

import pytest
from pydantic import AliasChoices, Field

from config.options import choose_options, option_names
from rag.embedders import embedders
from rag.errors import ConfigError, UnknownComponentError
from rag.extractors import extractors
from rag.parsers import parsers
from rag.registry import ComponentOptions, Registry


class Gadget:
    class Options(ComponentOptions):
        size: int = 1
        colour: str = Field("red", alias="color")
        shape: str = Field("round", validation_alias="form")
        limit: int = Field(3, validation_alias=AliasChoices("limit", "max_items"))

    def __init__(self, options: Any) -> None:
        self.options = options


gadgets = Registry[Gadget]("gadget", {"Gadget": f"{__name__}:Gadget"})


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gadgets, "load", lambda _name: Gadget)


def test_every_spelling_of_an_option_is_known() -> None:
    assert option_names(gadgets, "Gadget") == {"size", "colour", "color", "shape", "form", "limit", "max_items"}


def test_known_options_are_parted_from_unknown_ones_which_are_named() -> None:
    chosen = choose_options(gadgets, "Gadget", {"size": 2, "color": "blue", "max_items": 4, "taste": "sweet"})
    assert chosen.values == {"size": 2, "color": "blue", "max_items": 4}
    assert chosen.warnings == ("gadget 'Gadget': option 'taste' has no effect here",)


def test_an_option_without_a_value_is_absent() -> None:
    assert choose_options(gadgets, "Gadget", {"size": None}) == choose_options(gadgets, "Gadget", {})


def test_variables_are_expanded_however_deep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GADGET_FORM", "square")
    assert choose_options(gadgets, "Gadget", {"form": ["${GADGET_FORM}", {"a": "${env:GADGET_FORM}"}]}).values == {
        "form": ["square", {"a": "square"}]
    }


def test_a_variable_that_is_not_set_or_is_the_servers_own_is_an_error() -> None:
    for name in ("NOT_SET_ANYWHERE", "LF_API_KEY"):
        with pytest.raises(ConfigError, match=name):
            choose_options(gadgets, "Gadget", {"form": f"${{{name}}}"})


def test_a_variable_in_an_option_without_effect_is_not_looked_up() -> None:
    assert choose_options(gadgets, "Gadget", {"taste": "${NOT_SET_ANYWHERE}"}).values == {}


@pytest.mark.parametrize("registry", [parsers, extractors, embedders], ids=lambda registry: registry.role)
def test_every_component_builds_its_options_from_nothing_known(registry: Registry[Any]) -> None:
    for name in registry.names:
        chosen = choose_options(registry, name, {"no_such_option": 1})
        assert chosen.values == {}
        assert len(chosen.warnings) == 1
        assert registry.options(name, {})


def test_an_unknown_component_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UnknownComponentError, match="TextParser"):
        choose_options(parsers, "Odd", {})
