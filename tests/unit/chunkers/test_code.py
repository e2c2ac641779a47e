"""Programs are parted where their authors parted them."""

import pytest

from rag.chunkers import chunkers
from rag.chunkers.code_blocks import code_blocks, definitions, statement_lines
from rag.chunkers.tokens import EstimatedCounter
from rag.types import Chunk, Document

PYTHON = '''"""A module.

def not_a_function(): in its docstring
"""

import os
import sys

LIMIT = 3


# Adds up.
@cached
def add(first, second):
    """Add.

    Twice.
    """
    total = first

    total += second

    return total


class Box:
    """Holds things."""

    def __init__(self, things):
        self.things = things

    def count(self):
        text = """
def fake():
    pass
"""
        return len(self.things), text
'''
JAVASCRIPT = """// Reads.
function read(path) {
  const text = `
function fake() {
}
`;
  if (path) {
    return text;
  } else {
    return "";
  }
}

class Reader {
  open() {
    return 1;
  }

  close() {
    return 2;
  }
}
"""


def cut(text: str, **values: int) -> list[Chunk]:
    return chunkers.build("code", values, counter=EstimatedCounter(8192)).chunk(Document(text, "test"))


def first_lines(chunks: list[Chunk]) -> list[str]:
    return [chunk.text.splitlines()[0] for chunk in chunks]


def test_each_declaration_that_needs_a_chunk_has_one_with_the_comment_above_it() -> None:
    assert first_lines(cut(PYTHON, chunk_size=210)) == ['"""A module.', "# Adds up.", "class Box:"]
    assert first_lines(cut(JAVASCRIPT, chunk_size=170)) == ["// Reads.", "class Reader {"]


def test_a_class_over_the_limit_is_parted_between_its_methods() -> None:
    chunks = cut(JAVASCRIPT, chunk_size=60)
    assert "close() {\n    return 2;\n  }\n}" in [chunk.text for chunk in chunks]


def test_parts_of_a_long_function_carry_its_signature_in_their_path() -> None:
    body = "\n\n".join(f"    step_{n} = work({n})\n    check(step_{n})" for n in range(20))
    chunks = cut(
        f"def small():\n    pass\n\n\ndef long(argument):\n{body}\n\n\ndef last():\n    pass\n", chunk_size=200
    )
    paths = [chunk.heading_path for chunk in chunks]
    assert paths[0] == ("def small()",)
    assert paths[-1] == ("def last()",)
    assert set(paths[1:-1]) == {("def long(argument)",)}
    assert len(paths) > 4
    assert all(line.startswith(("def", "step_")) for line in first_lines(chunks))


@pytest.mark.parametrize("size", [56, 60, 90, 150])
@pytest.mark.parametrize("text", [PYTHON, JAVASCRIPT], ids=["python", "javascript"])
def test_no_chunk_begins_inside_a_string_that_fits(text: str, size: int) -> None:
    for chunk in cut(text, chunk_size=size):
        assert not chunk.text.startswith(("def fake", "def not_a_function", "function fake"))


def test_definitions_in_strings_and_comments_are_none() -> None:
    found = [(heading.level, heading.title) for heading in definitions(PYTHON)]
    assert found == [
        (1, "def add(first, second)"),
        (1, "class Box"),
        (2, "def __init__(self, things)"),
        (2, "def count(self)"),
    ]


def test_text_that_is_no_program_is_parted_between_lines() -> None:
    chunks = cut("\n".join(f"line {n}" for n in range(40)), chunk_size=30)
    assert all(len(chunk.text) <= 30 and chunk.text.startswith("line") for chunk in chunks)


@pytest.mark.parametrize("unit", ['"""', "/*", "`", "'", "\\", "    ", "\t", "{\n", "(", "def ", "# \n"])
def test_hostile_text_is_read_once(unit: str) -> None:
    text = unit * (300_000 // len(unit))
    assert len(code_blocks(text)) <= len(text)
    assert len(statement_lines(text)) <= len(text)
    assert len(list(definitions(text))) <= len(text)
