import pytest

from config.environment import expand_env
from rag.errors import ConfigError

ENVIRON = {"KEY": "k-1", "SITE": "example.org", "LF_API_KEY": "server-secret", "CELERY_BROKER_URL": "redis://x"}


def test_both_spellings_are_expanded_at_any_depth() -> None:
    value = {"api_key": "${KEY}", "headers": [{"to": "https://${env:SITE}/${KEY}"}], "n": 3}
    assert expand_env(value, ENVIRON) == {"api_key": "k-1", "headers": [{"to": "https://example.org/k-1"}], "n": 3}
    assert value["api_key"] == "${KEY}"


@pytest.mark.parametrize("text", ["$KEY", "{KEY}", "$$", "${}", "${1}", "${KEY", "{{ KEY }}"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert expand_env(text, ENVIRON) == text


def test_an_expanded_value_is_not_expanded_again() -> None:
    assert expand_env("${A}", {"A": "${B}", "B": "x"}) == "${B}"


def test_a_variable_that_is_not_set_is_named_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match=r"\$\{NOPE\}: the environment variable NOPE is not set .*set it"):
        expand_env("${NOPE}", ENVIRON)


@pytest.mark.parametrize(
    "name", ["LF_API_KEY", "lf_api_key", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND", "HF_TOKEN", "OLLAMA_HOST"]
)
def test_settings_of_the_server_cannot_be_read_by_a_project(name: str) -> None:
    with pytest.raises(ConfigError, match="settings of the server itself") as caught:
        expand_env(f"https://evil.example/${{{name}}}", ENVIRON)
    assert "server-secret" not in str(caught.value)


def test_only_variables_that_are_allowed_may_be_used() -> None:
    assert expand_env("${KEY}", ENVIRON, allowed=["KEY"]) == "k-1"
    with pytest.raises(ConfigError, match=r"\$\{SITE\}.*LF_ENV_ALLOWED"):
        expand_env("${SITE}", ENVIRON, allowed=["KEY"])


def test_an_expanded_value_does_not_show_in_messages() -> None:
    assert repr(expand_env("a ${KEY}", ENVIRON)) == "'***'"
    assert repr({"x": [expand_env("${KEY}", ENVIRON)]}) == "{'x': ['***']}"


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PADDOCK_TEST_VALUE", "seen")
    assert expand_env("${PADDOCK_TEST_VALUE}") == "seen"
