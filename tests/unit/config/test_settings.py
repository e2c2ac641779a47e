"""What the process is told, and which mistakes stop it."""

import pytest
from pydantic import ValidationError

from config.settings import Settings


def settings(**values: object) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[arg-type]  # the values are what is tested


def test_projects_may_use_any_variable_on_loopback_and_none_elsewhere() -> None:
    assert settings(host="127.0.0.1").project_variables is None
    assert settings(host="0.0.0.0", api_key="k").project_variables == frozenset()
    assert settings(host="127.0.0.1", env_allowed=["A"]).project_variables == {"A"}


@pytest.mark.parametrize(
    ("values", "is_allowed"),
    [
        ({}, False),
        ({"cors_origins": ["http://localhost:5173"]}, True),
        ({"api_key": "k"}, True),
        ({"api_key": "k", "host": "0.0.0.0"}, False),
        ({"api_key": "k", "host": "0.0.0.0", "mcp_stdio": True}, True),
        ({"mcp_stdio": True}, True),
        ({"api_key": "k", "mcp_stdio": False}, False),
    ],
    ids=str,
)
def test_projects_may_start_programs_only_where_nobody_else_can_write_them(
    values: dict[str, object], is_allowed: bool
) -> None:
    assert settings(**values).starts_mcp_servers is is_allowed


@pytest.mark.parametrize("text", ["A, B", '["A", "B"]', "A,B,"])
def test_names_are_read_with_commas_or_as_json(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LF_ENV_ALLOWED", text)
    monkeypatch.setenv("LF_ALLOWED_HOSTS", text)
    assert settings().env_allowed == settings().allowed_hosts == ["A", "B"]


@pytest.mark.parametrize(
    ("name", "value"), [("log_level", "LOUD"), ("embed_device", "gpu"), ("embed_precision", "fp8")]
)
def test_a_typo_stops_the_start(name: str, value: str) -> None:
    with pytest.raises(ValidationError, match=f"(?i){name}"):
        settings(**{name: value})


def test_the_log_level_may_be_in_small_letters() -> None:
    assert settings(log_level="debug").log_level == "DEBUG"
