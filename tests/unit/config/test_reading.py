import time
from typing import Any

import pytest

from config.reading import MAX_FILE_BYTES, parse_config, plain_config
from rag.errors import ConfigError

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

HOSTILE: dict[str, tuple[str, str]] = {
    "python object": ("a: !!python/object/apply:os.system ['true']", r"line 1, column 4: .*tag"),
    "python name": ("a: !!python/name:os.system", "tag"),
    "unknown tag": ("a: !secret x", "tag"),
    "alias bomb": (BOMB, r"line \d+: more than 50000 values, aliases counted each time"),
    "alias bomb by merging": (BOMB.replace("[", "{k: [").replace("]", "]}"), "more than 50000 values|merge"),
    "alias of itself": ("a: &a [*a]", r"line 1: the alias \*a is not defined before it is used"),
    "unknown alias": ("a: *b", r"\*b is not defined"),
    "deep flow": ("a: " + "[" * 10_000 + "]" * 10_000, "line 1: nested deeper than 100 levels"),
    "deep block": ("".join(" " * level + "a:\n" for level in range(1000)), "nested deeper than 100 levels"),
    "many values": ("a:\n" + "- 1\n" * 60_000, "more than 50000 values"),
    "duplicate key": ("a: hunter2\na: 2", r"line 2, column 1: the key 'a' appears twice"),
    "duplicate after conversion": ("a: {1: x, '1': y}", "a key appears twice"),
    "two documents": ("a: 1\n---\nb: 2", r"line 2, column 1"),
    "bytes": ("a: !!binary aGVsbG8=", "kind bytes"),
    "a set": ("a: !!set {x}", "is not accepted"),
    "infinity": ("a: .inf", "no number that can be used"),
    "not a number": ("a: .nan", "no number that can be used"),
    "list as key": ("? [a]\n: 1", "key|hashable"),
    "list of lists as key": ("? - [a]\n: 1", "a key that is no text is not accepted"),
    "list of mappings as key": ("? - a: 1", "a key that is no text is not accepted"),
    "value unlike its tag": ("a: 1\nb: !!bool hunter2", r"line 2, column 4: the value does not fit its tag .*bool"),
    "nothing behind a tag": ("a: !!int ''", r"line 1, column 4: the value does not fit its tag .*int"),
    "ordered map with a key twice": ("a: !!omap [b: 1, b: 2]", "not readable as YAML 1.2"),
    "version of YAML to come": ("%YAML 1.3\n---\na: 1", r"not readable as YAML 1.2: .*\(1, 3\)"),
    "impossible date": ("a: 2024-13-45", r"line 1, column 4: month must be in 1\.\.12"),
    "no digits": ("a: 0x_", r"line 1, column 4: invalid literal"),
    "huge number": ("a: " + "9" * 10_000, "digits"),
    "a tab": ("a:\n\t- b", r"line 2, column 1"),
    "unclosed": ("a: [1, 2", r"line 1"),
    "control character": ("a: \x01", "not readable as YAML"),
    "a list": ("- a", "holds no mapping"),
    "nothing": ("", "holds no mapping"),
    "a text": ("hello", "holds no mapping"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_or_broken_file_is_refused_fast_with_its_name_and_place(case: str) -> None:
    text, reason = HOSTILE[case]
    begun = time.monotonic()
    with pytest.raises(ConfigError, match=reason) as caught:
        parse_config(text.encode(), "llamafarm.yaml")
    assert time.monotonic() - begun < 5
    assert str(caught.value).startswith("llamafarm.yaml: ")
    assert len(str(caught.value)) < 400
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_too_large_is_refused_unread() -> None:
    with pytest.raises(ConfigError, match="larger than 5000000 bytes"):
        parse_config(b"a" * (MAX_FILE_BYTES + 1), "llamafarm.yaml")


def test_what_is_not_utf_8_is_refused_with_the_place() -> None:
    with pytest.raises(ConfigError, match="byte 3 is not UTF-8"):
        parse_config(b"a: \xff", "llamafarm.yaml")


def test_an_anchor_may_take_the_name_of_an_earlier_one() -> None:
    text = "a: &x 1\nb: &x 2\nc: *x\n"
    assert parse_config(text.encode(), "llamafarm.yaml") == {"a": 1, "b": 2, "c": 2}


def test_harmless_aliases_and_merge_keys_are_read() -> None:
    text = "base: &base {a: 1, b: [x]}\nuse: {<<: *base, c: 2}\nagain: *base\n"
    assert parse_config(text.encode(), "llamafarm.yaml") == {
        "base": {"a": 1, "b": ["x"]},
        "use": {"a": 1, "b": ["x"], "c": 2},
        "again": {"a": 1, "b": ["x"]},
    }


def test_values_are_those_of_json() -> None:
    text = "\ufeffday: 2024-05-06\n2: one\ntrue: yes\nnothing: ~\nnumber: 1.5\n"
    assert parse_config(text.encode(), "llamafarm.yaml") == {
        "day": "2024-05-06", "2": "one", "true": "yes", "nothing": None, "number": 1.5,
    }  # fmt: skip


def test_toml_and_json_are_read_by_their_ending() -> None:
    assert parse_config(b'version = "v1"\n[runtime]\nmodel = "x"\n', "llamafarm.toml") == {
        "version": "v1",
        "runtime": {"model": "x"},
    }
    assert parse_config(b'{"version": "v1"}', "llamafarm.json") == {"version": "v1"}


@pytest.mark.parametrize(
    ("file_name", "content", "reason"),
    [
        ("llamafarm.json", '{"a": 1, "a": 2}', "the key 'a' appears twice"),
        ("llamafarm.json", '{"a": NaN}', "NaN is no number"),
        ("llamafarm.json", '{"a": 1e999}', "inf is no number"),
        ("llamafarm.json", '{"a": }', "line 1, column 7"),
        ("llamafarm.json", '{"a": ' + "[" * 100_000, "nested too deeply|line 1"),
        ("llamafarm.json", '{"a": ' + "[" * 500 + "]" * 500 + "}", "nested"),
        ("llamafarm.toml", "a = ", "end of document"),
        ("llamafarm.toml", "a = inf", "no number"),
        ("llamafarm.toml", "a = " + "[" * 5000 + "]" * 5000, "nested"),
    ],
    ids=["twice", "nan", "too large", "cut", "deep and open", "deep", "toml", "toml inf", "toml deep"],
)
def test_broken_json_and_toml_name_file_and_place(file_name: str, content: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        parse_config(content.encode(), file_name)
    assert str(caught.value).startswith(f"{file_name}: ")


def nested(depth: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return {"a": value}


@pytest.mark.parametrize(
    "config", [nested(5000), {"a": float("nan")}, {"a": b"x"}, {("a",): 1}], ids=["deep", "nan", "bytes", "key"]
)
def test_a_config_from_elsewhere_obeys_the_same_rules(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^llamafarm\.yaml: "):
        plain_config(config, "llamafarm.yaml")


def test_a_plain_config_is_a_copy() -> None:
    config = {"a": {"b": [1]}}
    copy = plain_config(config, "llamafarm.yaml")
    copy["a"]["b"].append(2)
    assert config == {"a": {"b": [1]}}
