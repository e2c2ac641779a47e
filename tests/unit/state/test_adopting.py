"""Bytes that are on this disk already become files of a dataset without being copied."""

import hashlib
import os
from pathlib import Path

import pytest

from config.layout import DatasetPaths
from rag.errors import NotFoundError
from state.files import DatasetFiles

CONTENT = b"The moon pulls."
HASH = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def paths(tmp_path: Path) -> DatasetPaths:
    project = tmp_path / "namespace" / "project"
    project.mkdir(parents=True)
    return DatasetPaths(project / "lf_data" / "datasets" / "docs")


def test_an_adopted_file_is_listed_and_shares_its_bytes(source: Path, paths: DatasetPaths) -> None:
    files = DatasetFiles(paths)
    taken = files.adopt(lambda path: os.link(source, path), "../tides.txt", file_hash=HASH)
    assert (taken.original_file_name, taken.size, taken.hash) == ("tides.txt", len(CONTENT), HASH)
    assert files.list() == [taken]
    assert paths.raw(HASH).samefile(source)


def test_adopting_twice_leaves_one_file_and_nothing_beside(source: Path, paths: DatasetPaths) -> None:
    files = DatasetFiles(paths)
    first = files.adopt(lambda path: os.link(source, path), "tides.txt", file_hash=HASH)
    again = files.adopt(lambda path: os.link(source, path), "other.txt", file_hash=HASH)
    assert again == first
    assert list((paths.root / "incoming").iterdir()) == []


def test_a_file_whose_metadata_was_lost_is_taken_in_again(source: Path, paths: DatasetPaths) -> None:
    files = DatasetFiles(paths)
    files.adopt(lambda path: os.link(source, path), "tides.txt", file_hash=HASH)
    paths.meta(HASH).write_bytes(b"")
    assert files.list() == []
    files.adopt(lambda path: os.link(source, path), "tides.txt", file_hash=HASH)
    assert [each.hash for each in files.list()] == [HASH]
    assert paths.raw(HASH).read_bytes() == CONTENT


def test_removing_an_adopted_file_leaves_the_source(source: Path, paths: DatasetPaths) -> None:
    files = DatasetFiles(paths)
    files.adopt(lambda path: os.link(source, path), "tides.txt", file_hash=HASH)
    files.remove(HASH, with_bytes=True)
    assert source.read_bytes() == CONTENT
    assert files.list() == []


def test_a_link_that_fails_leaves_nothing(paths: DatasetPaths) -> None:
    def fail(_: Path) -> None:
        raise NotFoundError("the bytes are gone")

    with pytest.raises(NotFoundError):
        DatasetFiles(paths).adopt(fail, "tides.txt", file_hash=HASH)
    assert list((paths.root / "incoming").iterdir()) == []


def test_nothing_is_adopted_into_a_project_that_is_gone(source: Path, tmp_path: Path) -> None:
    files = DatasetFiles(DatasetPaths(tmp_path / "namespace" / "gone" / "lf_data" / "datasets" / "docs"))
    with pytest.raises(NotFoundError):
        files.adopt(lambda path: os.link(source, path), "tides.txt", file_hash=HASH)
