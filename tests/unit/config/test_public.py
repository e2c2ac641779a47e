from typing import Any

import pytest

from config.public import from_public, public_config
from rag.errors import ConfigError

FLAT = {"provider": "openai", "model": "gpt", "api_key": "k-1", "base_url": "http://a"}


def with_models(*models: dict[str, Any]) -> dict[str, Any]:
    return {"runtime": {"models": list(models)}}


def test_nulls_are_dropped_at_any_depth() -> None:
    assert public_config({"a": None, "b": [{"c": None, "d": 0}, None], "e": {}}) == {"b": [{"d": 0}], "e": {}}


@pytest.mark.parametrize(
    "key",
    [
        *("api_key", "apiKey", "api-key", "password", "client_secret", "Authorization", "hf_token"),
        *("secret_key", "access_key", "private_key", "aws_secret_access_key", "api_token", "bot_token"),
    ],
)
def test_secrets_are_redacted(key: str) -> None:
    assert public_config({"x": [{key: "v"}]}) == {"x": [{key: "***"}]}


@pytest.mark.parametrize("key", ["max_tokens", "token_model", "tokenizer", "keywords", "author", "description"])
def test_ordinary_keys_are_not(key: str) -> None:
    assert public_config({"x": {key: "v"}}) == {"x": {key: "v"}}


def test_names_inside_headers_and_env_are_judged_strictly() -> None:
    raw = {"headers": {"X-Key": "v", "Accept": "a"}, "env": {"GITHUB_TOKEN": "v", "HOME": "/"}}
    assert public_config(raw) == {
        "headers": {"X-Key": "***", "Accept": "a"},
        "env": {"GITHUB_TOKEN": "***", "HOME": "/"},
    }


def test_a_reference_to_a_variable_is_no_secret() -> None:
    assert public_config({"api_key": "${OPENAI_API_KEY}"}) == {"api_key": "${OPENAI_API_KEY}"}


def test_the_password_of_an_address_is_hidden_and_found_again() -> None:
    stored = with_models({"name": "a", "base_url": "http://user:p@w@host/v1", "api_key": "k-1"})
    shown = public_config(stored)
    assert shown == with_models({"name": "a", "base_url": "http://user:***@host/v1", "api_key": "***"})
    assert from_public(shown, stored) == stored
    shown["runtime"]["models"][0]["base_url"] = "http://user:***@other/v1"
    with pytest.raises(ConfigError, match="give the"):
        from_public(shown, stored)


def test_a_variable_as_the_password_of_an_address_stays() -> None:
    assert public_config({"base_url": "http://u:${PW}@host"}) == {"base_url": "http://u:${PW}@host"}


def test_a_flat_runtime_is_answered_with_the_list_and_the_flat_keys() -> None:
    runtime = public_config({"runtime": FLAT})["runtime"]
    assert runtime["models"] == [{"name": "default", **FLAT, "api_key": "***"}]
    assert runtime["default_model"] == "default"
    assert {key: runtime[key] for key in FLAT} == {**FLAT, "api_key": "***"}


def test_a_mapped_runtime_is_answered_with_the_list() -> None:
    assert public_config({"runtime": {"models": {"a": {"provider": "ollama"}}}})["runtime"]["models"] == [
        {"provider": "ollama", "name": "a"}
    ]


@pytest.mark.parametrize(
    "stored",
    [
        {"runtime": FLAT},
        with_models({"name": "a", **FLAT}, {"name": "b", **FLAT, "api_key": "k-2"}),
        {"runtime": {}, "mcp": {"servers": [{"name": "s", "headers": {"Authorization": "Bearer x"}}]}},
    ],
    ids=["flat", "list", "headers"],
)
def test_what_was_answered_can_be_sent_back_without_changing_anything(stored: dict[str, Any]) -> None:
    assert from_public(public_config(stored), stored) == stored


def test_a_flat_key_that_the_client_changes_is_not_lost_to_the_derived_list() -> None:
    sent = public_config({"runtime": FLAT})
    sent["runtime"]["model"] = "other"
    assert from_public(sent, {"runtime": FLAT}) == {"runtime": {**FLAT, "model": "other"}}


def test_a_list_that_the_client_changes_is_kept() -> None:
    sent = public_config({"runtime": FLAT})
    sent["runtime"]["models"].append({"name": "more", "provider": "extractive"})
    stored = from_public(sent, {"runtime": FLAT})
    assert [model["name"] for model in stored["runtime"]["models"]] == ["default", "more"]
    assert stored["runtime"]["models"][0]["api_key"] == "k-1"


def test_stored_keys_follow_their_models_when_these_are_reordered() -> None:
    stored = with_models({"name": "a", "api_key": "k-a"}, {"name": "b", "api_key": "k-b"})
    sent = with_models({"name": "b", "api_key": "***"}, {"name": "a", "api_key": "***"})
    assert from_public(sent, stored) == with_models({"name": "b", "api_key": "k-b"}, {"name": "a", "api_key": "k-a"})


def test_a_new_key_replaces_the_stored_one_and_a_missing_one_removes_it() -> None:
    stored = with_models({"name": "a", "api_key": "k-a"})
    assert from_public(with_models({"name": "a", "api_key": "new"}), stored) == with_models(
        {"name": "a", "api_key": "new"}
    )
    assert from_public(with_models({"name": "a"}), stored) == with_models({"name": "a"})


def test_stars_where_nothing_is_stored_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"runtime\.models\[0\]\.api_key = '\*\*\*': no value is stored"):
        from_public(with_models({"name": "a", "api_key": "***"}), {})


@pytest.mark.parametrize("server", [{"api_key": "***"}, {"headers": {"Authorization": "***"}}], ids=["beside", "below"])
def test_a_stored_key_is_not_sent_to_another_address(server: dict[str, Any]) -> None:
    stored = {"servers": [{"name": "a", "base_url": "http://mine", "api_key": "k", "headers": {"Authorization": "k"}}]}
    sent = {"servers": [{"name": "a", "base_url": "http://evil", **server}]}
    with pytest.raises(ConfigError, match="the address it goes with changed"):
        from_public(sent, stored)


def test_stars_in_an_ordinary_text_are_only_stars() -> None:
    assert from_public({"description": "***"}, {}) == {"description": "***"}


@pytest.mark.parametrize("raw", [{"runtime": 3}, {"runtime": None}, {"runtime": {"models": 3}}, {}], ids=repr)
def test_a_broken_config_can_still_be_answered(raw: dict[str, Any]) -> None:
    assert isinstance(public_config(raw), dict)
