"""No file, however it was made, does more than fail by name: in bounded time, in bounded memory, alone."""

import random
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.errors import RagError
from rag.parsers.base import ParseLimits
from tests.contracts.hostile_vectors import HOSTILE, SECRET, Hostile, xml_attacks
from tests.contracts.parser_vectors import VECTORS, Vector
from tests.fixtures.caged import parse_caged, parse_here

SMALL = ParseLimits(max_pages=50, max_text_chars=200_000, max_uncompressed_bytes=20_000_000, max_archive_entries=2_000)
_BY_PARSER = {vector.parser: vector for vector in VECTORS if not vector.needs}


@pytest.fixture(autouse=True)
def fake_tesseract(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures get as far as the program that would read them, which finds two words in each."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "tesseract"
    program.write_text("#!/bin/sh\ncat > /dev/null\necho two words\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text(SECRET)
    return path


def assert_harmless(hostile: Hostile, path: Path) -> None:
    hostile.write(path)
    verdict = parse_caged(path, hostile.filename)
    assert verdict.kind in {"read", "refused"}, verdict.detail
    said = " ".join([verdict.detail, *verdict.warnings])
    if verdict.kind == "refused":
        assert hostile.filename in verdict.detail
    if hostile.says is not None:
        assert hostile.says in said
    assert SECRET not in verdict.text + said
    assert str(path) not in said


@pytest.mark.parametrize("hostile", HOSTILE, ids=[hostile.id for hostile in HOSTILE])
def test_hostile_file_is_refused_by_name_or_read(hostile: Hostile, tmp_path: Path) -> None:
    assert_harmless(hostile, tmp_path / "stored-bytes")


@pytest.mark.parametrize("number", range(len(xml_attacks(Path("/nowhere")))))
def test_entities_bring_in_neither_files_nor_floods(number: int, secret: Path, tmp_path: Path) -> None:
    assert_harmless(xml_attacks(secret)[number], tmp_path / "stored-bytes")


def test_nothing_is_left_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    for vector in VECTORS:
        if vector.parser in {"ArchiveParser", "EmailParser", "MsgParser"}:
            parse_here(vector.write(tmp_path / "stored-bytes"), vector.filename, ParseLimits())
    assert list(scratch.iterdir()) == []
    assert not Path("/tmp/escaped.txt").exists()


@pytest.mark.parametrize("name", sorted(_BY_PARSER))
@settings(
    max_examples=40, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(seed=st.integers(0, 2**32), how=st.sampled_from(["flip", "cut", "zero", "double", "swap"]))
def test_changed_bytes_raise_only_project_errors(
    name: str, seed: int, how: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    vector = _BY_PARSER[name]
    path = tmp_path_factory.getbasetemp() / f"changed-{name}"
    path.write_bytes(changed(_content(vector, tmp_path_factory), seed, how))
    for parser in (None, name):
        said = outcome(path, vector.filename, parser)
        assert vector.filename in said or "LF_MAX_TEXT_CHARS" in said


def outcome(path: Path, filename: str, parser: str | None) -> str:
    """What the error says, or that the file was read."""
    try:
        return f"{filename} gave {len(parse_here(path, filename, SMALL, parser).text)} characters"
    except RagError as error:
        return str(error)


_CONTENTS: dict[str, bytes] = {}


def _content(vector: Vector, folders: pytest.TempPathFactory) -> bytes:
    if vector.id not in _CONTENTS:
        _CONTENTS[vector.id] = vector.write(folders.mktemp("valid") / "stored-bytes").read_bytes()
    return _CONTENTS[vector.id]


def changed(content: bytes, seed: int, how: str) -> bytes:
    pick = random.Random(seed)
    raw, place = bytearray(content), pick.randrange(len(content))
    length = pick.randint(1, max(1, len(raw) // 8))
    if how == "flip":
        for _ in range(pick.randint(1, 30)):
            raw[pick.randrange(len(raw))] ^= 1 << pick.randrange(8)
    elif how == "cut":
        del raw[place : place + length]
    elif how == "zero":
        raw[place : place + length] = bytes(len(raw[place : place + length]))
    elif how == "double":
        raw[place:place] = raw[place : place + length]
    else:
        other = pick.randrange(len(raw))
        raw[place : place + length], raw[other : other + length] = (
            raw[other : other + length],
            raw[place : place + length],
        )
    return bytes(raw)
