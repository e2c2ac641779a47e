from pathlib import Path

import pytest

from cli.child import Backoff, describe_exit
from cli.environment import load_settings, prepare_data_dir
from cli.parts import Part, make_plan


def plan_of(data_dir: Path) -> tuple[list[list[str]], dict[str, Part], dict[str, str]]:
    prepare_data_dir(data_dir)
    plan = make_plan(load_settings(data_dir=data_dir))
    parts = {part.name: part for stage in plan.stages for part in stage}
    return [[part.name for part in stage] for stage in plan.stages], parts, dict(plan.external)


def test_without_urls_everything_is_run_here(tmp_path: Path) -> None:
    stages, parts, external = plan_of(tmp_path)
    assert stages == [
        ["redis", "chroma", "migrate"],
        ["worker-parse", "worker-embed", "worker-default", "api"],
    ]
    assert external == {}
    for name in ("migrate", "worker-parse", "worker-embed", "worker-default", "api"):
        environment = parts[name].environment
        assert environment["LF_REDIS_URL"].endswith(f"@127.0.0.1:{parts['redis'].port}/0")
        assert environment["LF_CHROMA_URL"] == f"http://127.0.0.1:{parts['chroma'].port}"


def test_what_has_a_url_is_not_run_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LF_REDIS_URL", "redis://:secret@redis:6379/0")
    monkeypatch.setenv("LF_CHROMA_URL", "http://chroma:8000")
    stages, parts, external = plan_of(tmp_path)
    assert stages[0] == ["migrate"]
    assert external == {"redis": "redis://redis:6379/0", "chroma": "http://chroma:8000"}
    assert parts["api"].environment["LF_REDIS_URL"] == "redis://:secret@redis:6379/0"


def test_the_stores_get_none_of_the_users_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LF_API_KEY", "secret")
    _, parts, _ = plan_of(tmp_path)
    assert parts["api"].environment["LF_API_KEY"] == "secret"
    assert "secret" not in [*parts["redis"].environment.values(), *parts["chroma"].environment.values()]


def test_everything_stops_within_ten_seconds(tmp_path: Path) -> None:
    _, parts, _ = plan_of(tmp_path)
    grace_s = {part.stop_rank: sum(seconds for _, seconds in part.stop) for part in parts.values()}
    assert sum(grace_s.values()) < 10


def test_the_delay_doubles_up_to_its_limit_and_starts_over_after_health() -> None:
    backoff = Backoff()
    delays = [backoff.died(now=float(death), uptime_s=1.0) for death in range(8)]
    assert delays == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert backoff.died(now=100.0, uptime_s=31.0) == 0.2


def test_ten_deaths_within_two_minutes_are_failing() -> None:
    backoff = Backoff()
    for death in range(9):
        backoff.died(now=10.0 * death, uptime_s=1.0)
    assert not backoff.is_failing(80.0)
    backoff.died(now=90.0, uptime_s=1.0)
    assert backoff.is_failing(90.0)
    assert not backoff.is_failing(121.0)


@pytest.mark.parametrize(
    ("code", "text"), [(0, "exit code 0"), (3, "exit code 3"), (-9, "SIGKILL"), (-99, "signal 99")]
)
def test_an_end_is_named(code: int, text: str) -> None:
    assert describe_exit(code) == text


@pytest.mark.parametrize("count", [1, 4])
def test_the_api_runs_in_as_many_processes_as_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "9")  # Uvicorn's own variable does not count
    monkeypatch.setenv("LF_API_PROCESSES", str(count))
    _, parts, _ = plan_of(tmp_path)
    command = parts["api"].command
    assert command[command.index("--workers") + 1] == str(count)
    longest_stop_s = {part.stop_rank: sum(seconds for _, seconds in part.stop) for part in parts.values()}
    assert sum(longest_stop_s.values()) < 10
