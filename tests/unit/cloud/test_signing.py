"""Links that carry their own permission: nothing but what was signed opens anything, and not for ever."""

import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import Settings
from rag.errors import InvalidInputError
from server.llamacloud.signing import MAX_SECONDS, SECRET_FILE, Signer

CLAIM = {"kind": "file", "id": "f1"}


def test_a_token_is_good_until_its_time_has_come() -> None:
    now = [1000.0]
    signer = Signer(b"s" * 32, clock=lambda: now[0])
    token, until = signer.sign(CLAIM, 60)
    assert until.timestamp() == 1060
    now[0] = 1059.0
    assert signer.read(token) == {**CLAIM, "until": 1060}
    now[0] = 1060.0
    assert signer.read(token) is None


@pytest.mark.parametrize("seconds", [0, -1, MAX_SECONDS + 1])
def test_a_time_out_of_bounds_is_refused(seconds: int) -> None:
    with pytest.raises(InvalidInputError, match="expires_at_seconds"):
        Signer(b"s" * 32).sign(CLAIM, seconds)


def test_another_secret_opens_nothing() -> None:
    token, _ = Signer(b"s" * 32).sign(CLAIM)
    assert Signer(b"t" * 32).read(token) is None


@given(st.data())
def test_no_changed_token_opens_anything(data: st.DataObject) -> None:
    signer = Signer(b"s" * 32)
    token, _ = signer.sign(CLAIM)
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    assert signer.read(base64.urlsafe_b64encode(raw).decode().rstrip("=")) is None


@given(st.text(max_size=200))
def test_no_text_at_all_crashes_it(text: str) -> None:
    assert Signer(b"s" * 32).read(text) is None


def test_all_processes_make_one_secret_that_only_the_owner_reads(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path)
    with ThreadPoolExecutor(8) as pool:
        signers = list(pool.map(lambda _: Signer.of(settings), range(8)))
    token, _ = signers[0].sign(CLAIM)
    assert all(each.read(token) for each in signers)
    path = tmp_path / "state" / SECRET_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == [SECRET_FILE]
