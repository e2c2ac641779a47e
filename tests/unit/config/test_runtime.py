from collections.abc import Callable
from typing import Any

import pytest

from config.project import ProjectConfig
from rag.errors import BadRequestError, ConfigError

Parse = Callable[..., ProjectConfig]

SMALL = {"name": "small", "provider": "ollama", "model": "llama3.2:3b"}
LARGE = {"name": "large", "provider": "openai", "model": "gpt-4o-mini"}

ONE = {"provider": "ollama", "model": "llama3.2:3b", "base_url": "http://h:1", "model_api_parameters": {"top_p": 1}}
FORMS: dict[str, dict[str, Any]] = {
    "flat": ONE,
    "map": {"models": {"default": ONE}},
    "list": {"models": [{"name": "default", **ONE}]},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_runtime_gives_the_same_model(parse: Parse, form: str) -> None:
    config = parse(runtime=FORMS[form])
    model = config.model()
    assert (model.name, model.provider, model.model) == ("default", "ollama", "llama3.2:3b")
    assert (model.base_url, model.model_api_parameters) == ("http://h:1", {"top_p": 1})
    assert config.warnings() == []


def test_the_list_wins_over_flat_keys_and_says_so(parse: Parse) -> None:
    config = parse(runtime={"provider": "openai", "model": "gpt", "models": [SMALL]})
    assert [model.name for model in config.runtime.models] == ["small"]
    assert "runtime.provider: ignored: the list `models` wins over the flat form" in config.warnings()


def test_a_flat_form_keeps_its_own_default_model_key(parse: Parse) -> None:
    assert parse(runtime={**FORMS["flat"], "default_model": "default"}).model().name == "default"


@pytest.mark.parametrize(
    ("runtime", "expected"),
    [
        ({"default_model": "large", "models": [{**SMALL, "default": True}, LARGE]}, "large"),
        ({"models": [SMALL, {**LARGE, "default": True}]}, "large"),
        ({"models": [SMALL, LARGE]}, "small"),
        ({"models": {"a": {"provider": "ollama"}, "b": {"provider": "ollama", "default": True}}}, "b"),
    ],
    ids=["default_model first", "then the flag", "then the first", "flag in a map"],
)
def test_the_default_model_is_found_in_order(parse: Parse, runtime: dict[str, Any], expected: str) -> None:
    assert parse(runtime=runtime).model().name == expected


def test_a_model_answers_to_its_name_before_another_ones_id(parse: Parse) -> None:
    config = parse(runtime={"models": [{**SMALL, "model": "large"}, LARGE]})
    assert config.model("large").provider == "openai"
    assert config.model("gpt-4o-mini").name == "large"


def test_an_unknown_model_lists_the_known_ones(parse: Parse) -> None:
    config = parse(runtime={"models": [SMALL, LARGE]})
    with pytest.raises(BadRequestError, match=r"^Model 'x' not found\. Available: small, large$"):
        config.model("x")


def test_an_unknown_default_model_is_a_warning_at_load_and_an_error_at_use(parse: Parse) -> None:
    config = parse(runtime={"default_model": "x", "models": [SMALL]})
    assert config.warnings() == ["runtime.default_model = 'x': no model has this name"]
    with pytest.raises(BadRequestError, match="Model 'x' not found"):
        config.model()


def test_without_any_model_the_error_says_what_to_add(parse: Parse) -> None:
    with pytest.raises(BadRequestError, match=r"add one under runtime\.models"):
        parse(runtime={}).model()


@pytest.mark.parametrize("runtime", [None, []])
def test_a_runtime_that_is_no_mapping_is_refused(parse: Parse, runtime: object) -> None:
    with pytest.raises(ConfigError, match="runtime"):
        parse(runtime=runtime)


def test_an_unknown_provider_lists_the_known_ones(parse: Parse) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(runtime={"models": [{**SMALL, "provider": "acme"}]})
    assert str(caught.value).startswith("llamafarm.yaml: runtime.models[0].provider = 'acme'; accepted: ")
    assert {"extractive", "ollama", "openai", "lemonade", "universal"} <= set(
        str(caught.value).partition("accepted: ")[2].split(", ")
    )


@pytest.mark.parametrize(
    ("runtime", "place"),
    [
        ({"provider": "ollama", "model": 7}, "runtime.model = 7"),
        ({"models": {"fast": {"provider": "ollama", "model": 7}}}, "runtime.models.fast.model = 7"),
        ({"models": [{"name": "fast", "provider": "ollama", "model": 7}]}, "runtime.models[0].model = 7"),
    ],
    ids=["flat", "map", "list"],
)
def test_an_error_is_placed_where_the_user_wrote_it(parse: Parse, runtime: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(runtime=runtime)
    assert str(caught.value) == f"llamafarm.yaml: {place}; accepted: a text"


def test_a_remote_provider_needs_a_model_id(parse: Parse) -> None:
    with pytest.raises(ConfigError, match=r"runtime\.models\[0\]: model is missing"):
        parse(runtime={"models": [{"name": "a", "provider": "openai"}]})


def test_the_extractive_provider_and_ollama_need_no_model_id(parse: Parse) -> None:
    config = parse(runtime={"models": [{"name": "a", "provider": "extractive"}, {"name": "b", "provider": "ollama"}]})
    assert [config.model(name).model for name in ("a", "b")] == ["extractive", ""]


def test_a_key_never_shows_in_an_error_or_a_representation(parse: Parse) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(runtime={"models": [{**SMALL, "api_key": 123456}]})
    assert "123456" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "hunter2" not in repr(parse(runtime={"models": [{**SMALL, "api_key": "hunter2"}]}))


def test_a_name_used_twice_is_a_warning(parse: Parse) -> None:
    assert parse(runtime={"models": [SMALL, {**LARGE, "name": "small"}]}).warnings() == [
        "runtime.models: the name 'small' is used 2 times; the first one answers to it"
    ]


def test_keys_without_effect_are_kept_and_named(parse: Parse) -> None:
    config = parse(runtime={"models": [{**SMALL, "prompt_format": "unstructured", "lemonade": {"port": 1}, "zap": 1}]})
    assert [warning.partition(":")[0] for warning in config.warnings()] == [
        "runtime.models[0].prompt_format",
        "runtime.models[0].lemonade",
        "runtime.models[0].zap",
    ]
    assert config.runtime.models[0].model_extra["zap"] == 1
