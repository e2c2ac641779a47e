"""The compatibility page: complete, and true about its tests."""

import re
from functools import cache
from pathlib import Path

import pytest

from tests.api.document import operations

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (GET|PUT|POST|PATCH|DELETE) `([^`]+)` \| (.+) \|$", re.MULTILINE)
PROJECT = "/v1/projects/{namespace}/{project}"
ROWS = {name: (method, re.sub(r"^P(?=/|$)", PROJECT, path), proof) for name, method, path, proof in ROW.findall(PAGE)}
PROOF = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
PROOFS = sorted(set(PROOF.findall(PAGE)))


def test_every_operation_has_one_row_and_every_row_an_operation() -> None:
    assert len(ROW.findall(PAGE)) == len(ROWS), "an operation has two rows"
    documented = {each.id: (each.method, each.path) for each in operations()}
    assert {name: row[:2] for name, row in ROWS.items()} == documented


@pytest.mark.parametrize("name", ROWS)
def test_every_row_names_its_test(name: str) -> None:
    assert PROOF.search(ROWS[name][2]), f"{name} is shown by nothing"


@pytest.mark.parametrize(("path", "test"), PROOFS, ids=[f"{Path(path).stem}-{test}" for path, test in PROOFS])
def test_the_named_tests_exist(path: str, test: str) -> None:
    assert f"def {test}(" in text_of(path)


@cache
def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")
