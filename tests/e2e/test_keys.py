"""`lf keys` against a server that runs: a key made beside it is asked for at once, and a revoked one opens nothing."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.system import System, lf, running_system, wait_for

KNOWN_WITHIN_S = 3.0


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with running_system(tmp_path) as found:
        yield found


def made(system: System, name: str, *scope: str) -> tuple[str, dict[str, str]]:
    """The id of a new key, and the header that carries it."""
    answer = lf(system.data_dir, *scope, "--json", "keys", "create", name)
    assert answer.returncode == 0, answer.stderr
    key = json.loads(answer.stdout)
    return key["id"], {"Authorization": f"Bearer {key['key']}"}


def revoke(system: System, key_id: str) -> None:
    answer = lf(system.data_dir, "keys", "revoke", key_id, "--yes")
    assert answer.returncode == 0, answer.stderr


def test_keys_open_what_they_are_good_for_until_they_are_revoked(system: System) -> None:
    def status(path: str, headers: dict[str, str] | None = None) -> int:
        return system.client.get(path, headers=headers).status_code

    def becomes(code: int, path: str, headers: dict[str, str] | None = None) -> None:
        what = f"{path} answers {code}"
        wait_for(lambda: status(path, headers) == code, KNOWN_WITHIN_S, what)
        assert {status(path, headers) for _ in range(8)} == {code}, "the processes of the server disagree"

    ours, theirs = ("/api/v1/beta/files?project_id=" + each for each in ("ours", "theirs"))
    listing = "/v1/projects/llamacloud"
    assert (status(ours), status(listing)) == (200, 200)
    master, opens_all = made(system, "operator")
    becomes(401, ours)
    becomes(200, ours, opens_all)
    key_id, opens_ours = made(system, "team", "--namespace", "llamacloud", "--project", "ours")
    becomes(200, ours, opens_ours)
    assert (status(theirs, opens_ours), status("/v1/projects/acme/x", opens_ours)) == (404, 404)
    upload = system.client.post(
        "/api/v1/beta/files", files={"file": ("a.txt", b"words")}, data={"purpose": "user_data"}, headers=opens_ours
    )
    assert upload.json()["project_id"] == "ours"
    path = f"/api/v1/files/{upload.json()['id']}"
    assert (status(path, opens_ours), status(path, opens_all), status(path)) == (200, 200, 401)
    keys = json.loads(lf(system.data_dir, "--json", "keys", "list").stdout)
    assert [(each["name"], each["project"]) for each in keys] == [("operator", None), ("team", "ours")]
    secret = opens_ours["Authorization"].removeprefix("Bearer ")
    assert secret not in json.dumps(keys)
    revoke(system, key_id)
    becomes(401, ours, opens_ours)
    assert status(ours, opens_all) == 200
    revoke(system, master)
    becomes(200, ours)
    logs = [each.read_text("utf-8", "replace") for each in system.data_dir.rglob("*.log")]
    assert logs
    assert not any(secret in each for each in logs)
