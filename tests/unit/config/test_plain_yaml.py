import contextlib
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from config import plain_yaml
from config.plain_yaml import MAX_DEPTH, BadFileError, NotPlainError, parse_plain_yaml
from config.reading import parse_config
from rag.errors import ConfigError

ROOT = Path(__file__).parents[3]
FILES = sorted(path for folder in ("config", "examples") for path in (ROOT / folder).rglob("*.yaml"))
DOCS = {
    f"{page.relative_to(ROOT)}:{index}": block
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for index, block in enumerate(re.findall(r"```yaml[^\n]*\n(.*?)```", page.read_text("utf-8"), re.DOTALL))
}

ORDINARY = [
    "yes", "No", "on", "true", "TRUE", "tRUE", "false", "~", "null", "Null", "nULL", "0", "-0", "+1", "012", "1.5",
    "-1.", "1e3", "1E-3", "-0.0", "+", "-x", ".", "..", "a:b", "http://x:1/y", "a#b", "a 'b'", "half \\n", "'*.md'",
    '"*.md"', "é😀", "<x>", "a | b", "a > b", "what?", "9" * 25, "1e999", "x" * 200,
]  # fmt: skip
RARE = [
    "0o17", "0x1F", "0b11", "1_000", "1:30", ".5", "-.5e+3", "1_0.5", ".inf", "-.INF", ".nan", "=", "<<", "2024-01-01",
    "2024-01-01T10:00:00Z", "2024-1-1", "*.md", "what ?", "?x", "!x", "&a 1", "@x", "%x", "9" * 5000, "\ta", "'a\tb'",
]  # fmt: skip
TOKENS = [
    "a", "b: ", "key:", "1", "true", "~", ": ", ":", "- ", "? ", "?", "[", "]", "{", "}", ", ", ",", "\n",
    "\n  ", "\n    ", "\r\n", "\r\n  ", "\r", "#", " # c", "|", "|-", "|+", "|2", ">", ">-", "'", '"', "''",
    '"a":1', "\\n", "\\x41", "\\u00e9", "\\ud83d", "\\", "&a", "*a", "!", "!!str", "%YAML 1.1\n", "---", "...",
    "\n---\n", "\n...\n", "\t", " ", "é", "\u3000", "😀", "<<", ".5", "0x1", "a b", "a: b\n", "- x\n",
    "k: |\n  t\n", "k: [1, 2]\n", "k: 'v'\n", "\ufeff", "\x85", "\u2028", "\n\n",
]  # fmt: skip

text_values = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20) | st.text(
    "ab :#-'\"\\\n|>{}[],", max_size=20
)
scalars = (
    st.sampled_from(ORDINARY)
    | text_values.map(json.dumps)
    | text_values.map(lambda text: json.dumps(text, ensure_ascii=False))
    | text_values.map(lambda text: "'" + text.replace("'", "''") + "'")
)
block_texts = st.builds(
    lambda head, lines: "\0".join([head, *lines]),
    st.sampled_from(["|", "|-", "|+", ">", ">-", ">+", "|2", "> # c"]),
    st.lists(st.sampled_from(["", "a", "  b", "- c", "d: e", "# f", " "]), max_size=4),
)
trees: st.SearchStrategy[Any] = st.recursive(
    scalars | block_texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(scalars, inner, max_size=4),
    max_leaves=12,
)


def written(tree: Any, indent: str, *, is_flow: bool) -> str:
    """YAML whose scalars are the texts of `tree` as they stand, to follow a colon or a dash."""
    if isinstance(tree, str):
        return " " + tree.replace("\0", "\n" + indent)
    if is_flow or not tree:
        inner = {} if isinstance(tree, list) else tree
        entries = [written(entry, indent, is_flow=True) for entry in tree] if isinstance(tree, list) else []
        entries += [f"{key}:{written(entry, indent, is_flow=True)}" for key, entry in inner.items()]
        return (" [{}]" if isinstance(tree, list) else " {{{}}}").format(", ".join(entries))
    if isinstance(tree, list):
        return "".join(f"\n{indent}-{written(entry, indent + '  ', is_flow=False)}" for entry in tree)
    return "".join(
        f"\n{indent}{key}:{written(entry, indent + '  ', is_flow=index % 2 == 1)}"
        for index, (key, entry) in enumerate(tree.items())
    )


def is_plain_and_read_as_ruamel_reads_it(text: str) -> bool:
    """Asserts the second where the first is true; `repr` tells 1 from 1.0 and True, and the order of keys."""
    try:
        value = parse_plain_yaml(text)
    except NotPlainError:
        return False
    assert repr(value) == repr(YAML(typ="safe", pure=True).load(text))
    return True


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(scalars, trees, min_size=1, max_size=4), st.sampled_from(["", "---\n", "# c\n"]), st.booleans())
def test_what_is_plain_is_read_as_ruamel_reads_it(tree: dict[str, Any], head: str, has_crlf: bool) -> None:
    lines = head + written(tree, "", is_flow=False) + "\n"
    text = lines.replace("\n", "\r\n") if has_crlf else lines
    event(f"plain: {is_plain_and_read_as_ruamel_reads_it(text)}")


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(["a: ", "a:\n  ", "a:\n- ", "a: [", "a: {", "---\na: ", ""]),
    st.lists(st.sampled_from(TOKENS), max_size=14),
    st.sampled_from(["", "\n", "]", "}", "\nb: 1\n", "\n  c\n"]),
)
def test_nothing_is_plain_that_ruamel_refuses_or_reads_otherwise(head: str, middle: list[str], tail: str) -> None:
    event(f"plain: {is_plain_and_read_as_ruamel_reads_it(head + ''.join(middle) + tail)}")


def read(text: str) -> str:
    try:
        return repr(parse_config(text.encode(), "llamafarm.yaml"))
    except ConfigError as error:
        return str(error)


@pytest.mark.parametrize("notation", [*ORDINARY, *RARE], ids=lambda notation: notation[:20])
def test_every_notation_is_read_or_refused_alike_with_and_without_libyaml(
    notation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"a: {notation}\nb: [{notation}]\n"
    fast = read(text)
    monkeypatch.setattr(plain_yaml, "HAS_LIBYAML", False)
    assert fast == read(text)


@pytest.mark.parametrize("notation", ORDINARY, ids=lambda notation: notation[:20])
def test_an_ordinary_notation_needs_no_ruamel(notation: str) -> None:
    assert is_plain_and_read_as_ruamel_reads_it(f"a: {notation}\n")


DISAGREEMENTS = {
    "comment behind a block head": "a: |# c\n  b\n",
    "block text that begins with blanks": "a: |\n \n  b\n",
    "second end of document": "a: b\n...\n...\n",
    "quoted key before its value": 'a: ["b":c]\n',
    "question mark in a flow": "a: [?:]\n",
    "tab": "a:\tb\n",
    "tag before a mapping": "!!str\na: b\n",
}


@pytest.mark.parametrize("case", DISAGREEMENTS)
def test_where_the_parsers_disagree_ruamel_is_asked(case: str) -> None:
    with pytest.raises(NotPlainError):
        parse_plain_yaml(DISAGREEMENTS[case])


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_template_and_example_is_plain(path: Path) -> None:
    assert is_plain_and_read_as_ruamel_reads_it(path.read_text("utf-8"))


@pytest.mark.parametrize("place", DOCS)
def test_every_yaml_block_of_the_docs_is_plain(place: str) -> None:
    assert is_plain_and_read_as_ruamel_reads_it(DOCS[place])


def test_the_docs_hold_yaml() -> None:
    assert len(DOCS) > 5


@pytest.mark.parametrize(
    "text",
    [
        "a: &x 1\nb: *x\n",
        "a: !!str 1\n",
        "%YAML 1.1\n---\na: yes\n",
        "a: {<<: {b: 1}}\n",
        "a: 1\na: 2\n",
        "a: [",
        "",
        "- a\n",
    ],
)
def test_what_is_not_plain_is_left_to_ruamel(text: str) -> None:
    with pytest.raises(NotPlainError):
        parse_plain_yaml(text)


def nested(depth: int) -> str:
    return "a: " + "[" * depth + "]" * depth


def test_depth_is_bounded_at_the_same_level_by_both_parsers(monkeypatch: pytest.MonkeyPatch) -> None:
    deepest = nested(MAX_DEPTH - 1)
    for has_libyaml in (True, False):
        monkeypatch.setattr(plain_yaml, "HAS_LIBYAML", has_libyaml)
        assert parse_config(deepest.encode(), "a.yaml")["a"] == json.loads(deepest[3:])
        with pytest.raises(ConfigError, match=r"^a\.yaml: line 1: nested deeper than 100 levels$"):
            parse_config(nested(MAX_DEPTH).encode(), "a.yaml")


@pytest.mark.parametrize("piece", ["| #", "|", "| ", ">\n", "|\n \n a", "? ", "|-+1", "\"'", "#", "a: 1\r"])
def test_how_plain_a_long_text_is_shows_in_no_time(piece: str) -> None:
    begun = time.monotonic()
    with contextlib.suppress(NotPlainError, BadFileError):
        parse_plain_yaml("a: b " + piece * 200_000)
    assert time.monotonic() - begun < 5


def test_too_many_values_are_refused_with_their_line() -> None:
    with pytest.raises(BadFileError, match=r"^line 49999: more than 50000 values"):
        parse_plain_yaml("a:\n" + "- 1\n" * 60_000)


def test_without_libyaml_files_are_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "config" / "templates" / "default.yaml").read_bytes()
    fast = parse_config(text, "llamafarm.yaml")
    monkeypatch.setattr(plain_yaml, "HAS_LIBYAML", False)
    assert parse_config(text, "llamafarm.yaml") == fast
