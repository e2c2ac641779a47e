"""`lf keys`, on the state of a data directory."""

from pathlib import Path

import pytest

from config.settings import Settings
from state.keys import digest_of, open_keys
from tests.unit.cli.client_run import Lf


@pytest.fixture(autouse=True)
def _data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LF_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("LF_DATABASE_URL", raising=False)


def digests() -> set[str]:
    with open_keys(Settings(_env_file=None)) as keys:
        return {each.digest for each in keys.in_use()}


def test_a_key_is_printed_once_and_alone_on_stdout(lf: Lf) -> None:
    made = lf("keys", "create", "nightly import")
    key = made.stdout.strip()
    assert digests() == {digest_of(key.encode())}
    assert "asks for a key from now on" in made.stderr
    assert key not in made.stderr
    listed = lf("keys", "list").stdout
    assert "nightly import" in listed
    assert f"…{key[-4:]}" in listed
    assert key not in listed
    assert "asks for a key" not in lf("keys", "create", "second").stderr


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ([], "everything"),
        (["--namespace", "team"], "team"),
        (["--namespace", "llamacloud", "--project", "p1"], "llamacloud/p1"),
    ],
)
def test_the_scope_comes_from_options_alone(lf: Lf, options: list[str], shown: str) -> None:
    """Never from the llamafarm.yaml of the folder, which names acme/bakery."""
    lf("keys", "create", "k", *options)
    assert f" {shown} " in lf("keys", "list").stdout.splitlines()[1]


def test_a_key_is_revoked_by_id_or_by_name(lf: Lf) -> None:
    first, second = lf.json("keys", "create", "a"), lf.json("keys", "create", "b")
    assert first["key"].startswith("lf-")
    lf("keys", "revoke", "a", code=2)  # nobody there to be asked
    assert "revoked 'a'" in lf("keys", "revoke", "a", "--yes").stdout
    assert digests() == {digest_of(second["key"].encode())}
    last = lf("keys", "revoke", second["id"], "--yes")
    assert "answers without one now" in last.stderr
    assert lf.json("keys", "list") == []
    assert [each["revoked_at"] is None for each in lf.json("keys", "list", "--all")] == [False, False]


def test_what_cannot_be_done_is_told(lf: Lf) -> None:
    assert "--namespace" in lf("keys", "create", "x", "--project", "p", code=2).stderr
    assert "letters, digits" in lf("keys", "create", "x", "--namespace", "../up", code=2).stderr
    lf("keys", "create", " ", code=2)
    assert "no key in use" in lf("keys", "revoke", "absent", "--yes", code=1).stderr
    lf("keys", "create", "twin")
    lf("keys", "create", "twin")
    assert "2 keys are called 'twin'" in lf("keys", "revoke", "twin", "--yes", code=1).stderr
    assert len(digests()) == 2


def test_a_state_that_cannot_be_opened_is_one_sentence(lf: Lf, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert "state database" in lf("keys", "list", "--data-dir", str(tmp_path / "file"), code=1).stderr
