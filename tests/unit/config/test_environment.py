import pytest

from config.environment import expand_env
from rag.errors import ConfigError

ENVIRON = {"KEY": "k-1", "HOST": "example.org", "LF_API_KEY": "server-secret", "CELERY_BROKER_URL": "redis://x"}


def test_both_spellings_are_expanded_at_any_depth() -> None:
    value = {"api_key": "${KEY}", "headers": [{"to": "https://${env:HOST}/${KEY}"}], "n": 3}
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


@pytest.mark.parametrize("name", ["LF_API_KEY", "CELERY_BROKER_URL"])
def test_settings_of_the_server_cannot_be_read_by_a_project(name: str) -> None:
    with pytest.raises(ConfigError, match="settings of the server itself") as caught:
        expand_env(f"https://evil.example/${{{name}}}", ENVIRON)
    assert ENVIRON[name] not in str(caught.value)


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PADDOCK_TEST_VALUE", "seen")
    assert expand_env("${PADDOCK_TEST_VALUE}") == "seen"
