from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.reading import parse_config, plain_config
from config.writing import MAX_BACKUPS, back_up, render, write_atomically
from rag.errors import ConfigError

OLD = """\
# the handbook bot
version: v1
name: bot   # equal to the folder

runtime:
  models:
    # the quick one
    - name: fast
      provider: ollama
    # the good one
    - name: good   # slow
      provider: openai
      temperature: 0.5
# files
datasets:
  - name: "a"
    database: main
"""


def rewritten(config: dict[str, Any], old: str = OLD) -> str:
    written = render(config, old.encode(), "llamafarm.yaml")
    assert parse_config(written, "llamafarm.yaml") == config
    return written.decode()


@pytest.fixture
def config() -> dict[str, Any]:
    return parse_config(OLD.encode(), "llamafarm.yaml")


def test_writing_what_was_read_keeps_every_comment_and_quote(config: dict[str, Any]) -> None:
    text = rewritten(config)
    for part in (
        "# the handbook bot",
        "# equal to the folder",
        "# the quick one",
        "# the good one",
        "# slow",
        "# files",
    ):
        assert part in text
    assert 'name: "a"' in text


def test_a_changed_value_keeps_the_comments_around_it(config: dict[str, Any]) -> None:
    config["runtime"]["models"][1]["temperature"] = 0.1
    text = rewritten(config)
    assert text.count("#") == OLD.count("#")
    assert "temperature: 0.1" in text


def test_an_added_entry_keeps_the_comments_of_the_others(config: dict[str, Any]) -> None:
    config["datasets"].append({"name": "b", "database": "main"})
    assert rewritten(config).count("#") == OLD.count("#")


def test_reordered_entries_keep_their_own_values(config: dict[str, Any]) -> None:
    config["runtime"]["models"].reverse()
    assert "# slow" in rewritten(config)


def test_removed_keys_are_gone(config: dict[str, Any]) -> None:
    del config["datasets"]
    del config["runtime"]["models"][1]["temperature"]
    text = rewritten(config)
    assert "datasets" not in text
    assert "temperature" not in text
    assert "# the handbook bot" in text


def test_removed_entries_are_gone(config: dict[str, Any]) -> None:
    del config["runtime"]["models"][0]
    assert "fast" not in rewritten(config)


def test_a_file_with_anchors_is_written_anew() -> None:
    old = "a: &x {k: 1}\nb: *x\n"
    assert rewritten({"a": {"k": 1}, "b": {"k": 2}}, old) == "a:\n  k: 1\nb:\n  k: 2\n"


@pytest.mark.parametrize("old", ["a: [", "- 1", "", "a: 1\n---\nb: 1", "a: !!python/name:x y"], ids=repr)
def test_a_file_that_cannot_be_read_is_written_anew(old: str) -> None:
    assert rewritten({"a": 1}, old) == "a: 1\n"


def test_a_prompt_of_several_lines_is_written_as_a_block() -> None:
    assert "content: |-\n" in render({"content": "one\ntwo"}, None, "llamafarm.yaml").decode()


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "no",
        "null",
        "~",
        "1",
        "1e3",
        "0x1f",
        "2024-05-06",
        "",
        " a ",
        "a: b",
        "# a",
        "a\n",
        "\n",
        "\ta\n b",
        "é\u2028x",
        "\x00",
        "🦙",
        "${VAR}",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "a\r\nb",
    ],
    ids=repr,
)
def test_a_text_that_looks_like_something_else_stays_a_text(text: str) -> None:
    rewritten({"a": text, "b": [text]}, "a: old\n")


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(ConfigError, match="half a surrogate pair is no character"):
        plain_config({"a": "\ud800"}, "llamafarm.yaml")


def test_json_stays_json() -> None:
    assert render({"a": "ä"}, b'{"a": 1}', "llamafarm.json") == b'{\n  "a": "\\u00e4"\n}\n'


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4))
CONFIGS = st.dictionaries(TEXTS, VALUES, max_size=5)


@settings(max_examples=50, deadline=None)
@given(config=CONFIGS)
def test_whatever_is_written_reads_back_equal(config: dict[str, Any]) -> None:
    assert parse_config(render(config, None, "llamafarm.yaml"), "llamafarm.yaml") == config


@settings(max_examples=50, deadline=None)
@given(old=CONFIGS, new=CONFIGS)
def test_replacing_one_config_by_another_leaves_nothing_of_the_first(old: dict[str, Any], new: dict[str, Any]) -> None:
    before = render(old, None, "llamafarm.yaml")
    assert parse_config(render(new, before, "llamafarm.yaml"), "llamafarm.yaml") == new


def test_an_atomic_write_that_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "llamafarm.yaml"
    write_atomically(path, b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("config.writing.os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_mode_of_a_file_survives(tmp_path: Path) -> None:
    path = tmp_path / "llamafarm.yaml"
    path.write_bytes(b"old")
    path.chmod(0o600)
    write_atomically(path, b"new")
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_newest_twenty_backups_are_kept(tmp_path: Path) -> None:
    path, begin = tmp_path / "llamafarm.yaml", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    (tmp_path / "llamafarm.notes.yaml").write_text("mine")
    for count in range(15):
        back_up(path, f"{count}".encode(), begin + timedelta(seconds=count))
    for count in range(15, 30):
        back_up(path, f"{count}".encode(), begin + timedelta(seconds=20))
    kept = [entry for entry in tmp_path.iterdir() if entry.name != "llamafarm.notes.yaml"]
    assert len(kept) == MAX_BACKUPS
    assert {int(entry.read_bytes()) for entry in kept} == set(range(10, 30))
    assert (tmp_path / "llamafarm.20260102_030425.yaml").read_bytes() == b"15"
    assert (tmp_path / "llamafarm.notes.yaml").exists()
