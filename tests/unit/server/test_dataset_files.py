import json
import os
import shutil
import time
from pathlib import Path

import pytest
from filelock import FileLock

from config.layout import DatasetPaths
from rag.errors import LimitExceededError, NotFoundError, OverloadedError
from state.file_names import StoredFile, safe_name, stamped_name
from state.files import DatasetFiles
from state.incoming import INCOMING, sweep_abandoned, sweep_projects


@pytest.fixture
def paths(tmp_path: Path) -> DatasetPaths:
    project = tmp_path / "org" / "bot"
    project.mkdir(parents=True)
    return DatasetPaths(project / "lf_data" / "datasets" / "docs")


@pytest.fixture
def files(paths: DatasetPaths) -> DatasetFiles:
    return DatasetFiles(paths)


def add(files: DatasetFiles, content: bytes, name: str = "a.txt") -> StoredFile:
    with files.receive(10_000) as incoming:
        incoming.write(content)
        return incoming.commit(name, None)[0]


def test_missing_dataset_has_no_files(files: DatasetFiles) -> None:
    assert files.list() == []
    assert files.find("0" * 64) is None


def test_files_are_listed_in_order_of_upload(files: DatasetFiles) -> None:
    added = [add(files, bytes([index])) for index in range(5)]
    assert files.list() == added


def test_metadata_has_the_published_shape(files: DatasetFiles, paths: DatasetPaths) -> None:
    file = add(files, b"x", "résumé.pdf")
    raw = json.loads(paths.meta(file.hash).read_text(encoding="utf-8"))
    assert set(raw) == {"original_file_name", "resolved_file_name", "timestamp", "size", "mime_type", "hash"}
    assert raw["original_file_name"] == "résumé.pdf"
    assert isinstance(raw["timestamp"], float)


def test_metadata_of_an_existing_data_directory_is_read(files: DatasetFiles, paths: DatasetPaths) -> None:
    paths.meta_dir.mkdir(parents=True)
    paths.meta("1" * 64).write_text(
        json.dumps(
            {
                "original_file_name": "old.pdf",
                "resolved_file_name": "old_1677652288.0.pdf",
                "timestamp": 1677652288,
                "size": 12,
                "mime_type": "application/pdf",
                "hash": "1" * 64,
            }
        )
    )
    (file,) = files.list()
    assert (file.original_file_name, file.timestamp, file.size) == ("old.pdf", 1677652288.0, 12)


@pytest.mark.parametrize("timestamp", ["NaN", "1e999", '"soon"', "[]", "null", "true"])
def test_odd_timestamps_do_not_break_a_listing(files: DatasetFiles, paths: DatasetPaths, timestamp: str) -> None:
    paths.meta_dir.mkdir(parents=True)
    paths.meta("1" * 64).write_text(f'{{"original_file_name": "a", "timestamp": {timestamp}, "size": 1}}')
    json.dumps([file.timestamp for file in files.list()], allow_nan=False)


def test_changed_metadata_is_read_anew(files: DatasetFiles, paths: DatasetPaths) -> None:
    file = add(files, b"x")
    path = paths.meta(file.hash)
    path.write_text(path.read_text().replace("a.txt", "renamed.txt"))
    os.utime(path, ns=(1, 1))
    assert files.get(file.hash).original_file_name == "renamed.txt"


def test_uncommitted_upload_leaves_nothing(files: DatasetFiles, paths: DatasetPaths) -> None:
    with files.receive(10_000) as incoming:
        incoming.write(b"half")
        assert len(list((paths.root / INCOMING).iterdir())) == 1
    assert list((paths.root / INCOMING).iterdir()) == []
    assert files.list() == []


def test_limit_is_checked_before_writing(files: DatasetFiles) -> None:
    with files.receive(10) as incoming:
        incoming.write(b"x" * 10)
        with pytest.raises(LimitExceededError, match="10 bytes"):
            incoming.write(b"x")
        assert incoming.size == 10


def test_dataset_deleted_during_an_upload_is_told(files: DatasetFiles) -> None:
    with files.receive(10_000) as incoming:
        incoming.write(b"x")
        files.remove_all()
        with pytest.raises(NotFoundError, match="docs"):
            incoming.commit("a.txt", None)
    assert files.list() == []


def test_failed_metadata_leaves_no_orphan_bytes(
    files: DatasetFiles, paths: DatasetPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "I/O error")

    with files.receive(10_000) as incoming:
        incoming.write(b"x")
        monkeypatch.setattr("state.files.json.dump", fail)
        with pytest.raises(OSError, match="I/O error"):
            incoming.commit("a.txt", None)
    assert list(paths.raw_dir.iterdir()) == []
    assert list((paths.root / INCOMING).iterdir()) == []


def test_planted_links_are_not_followed(files: DatasetFiles, paths: DatasetPaths, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("keep")
    file = add(files, b"x")
    raw = paths.raw(file.hash)
    raw.unlink()
    raw.symlink_to(secret)
    add(files, b"x")
    assert not raw.is_symlink()
    assert raw.read_bytes() == b"x"
    assert secret.read_text() == "keep"


def test_remove_takes_parsed_text_along(files: DatasetFiles, paths: DatasetPaths) -> None:
    file = add(files, b"x")
    paths.text_dir.mkdir()
    (paths.text_dir / f"{file.hash}.json").write_text("{}")
    (paths.text_dir / "other.json").write_text("{}")
    files.remove(file.hash, with_bytes=False)
    assert [path.name for path in paths.text_dir.iterdir()] == ["other.json"]
    assert list(paths.index_by_name.iterdir()) == []
    assert paths.raw(file.hash).exists()
    files.remove(file.hash, with_bytes=True)
    assert not paths.raw(file.hash).exists(), "also when its metadata is gone already"


def test_abandoned_uploads_are_swept_and_living_ones_are_not(files: DatasetFiles, paths: DatasetPaths) -> None:
    with files.receive(10_000) as incoming:
        incoming.write(b"x")
        folder = paths.root / INCOMING
        (living,) = folder.iterdir()
        dead = folder / "dead.part"
        dead.write_bytes(b"half")
        fresh = folder / "fresh.part"
        fresh.write_bytes(b"half")
        long_ago = time.time() - 3600
        for path in (living, dead):
            os.utime(path, (long_ago, long_ago))
        sweep_projects(paths.root.parents[4])
        assert sorted(folder.iterdir()) == sorted([living, fresh])
        assert incoming.commit("a.txt", None)[1] is False


def test_sweeping_a_folder_that_is_not_there_does_nothing(tmp_path: Path) -> None:
    sweep_abandoned(tmp_path / "none")
    sweep_projects(tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/b.txt", "b.txt"),
        ("a\\b.txt", "b.txt"),
        ("a/", "file"),
        ("\u2028x\x85", "x"),
        ("a\ud800", "a"),
        (" . ", "file"),
    ],
    ids=ascii,
)
def test_names_are_made_safe(name: str, expected: str) -> None:
    assert safe_name(name) == expected


@pytest.mark.parametrize("name", ["a" * 300 + ".pdf", "é" * 200 + ".tar.gz", "." + "x" * 300, "x." + "y" * 300])
def test_names_stay_within_the_limit_of_file_systems(name: str) -> None:
    assert len(safe_name(name).encode()) <= 255
    assert len(stamped_name(safe_name(name), "1677652288.123456").encode()) <= 255


def test_lock_that_others_hold_too_long_is_overload(
    files: DatasetFiles, paths: DatasetPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(files, b"x")
    monkeypatch.setattr("state.files.LOCK_TIMEOUT_S", 0.05)
    with FileLock(paths.root / ".lock"), pytest.raises(OverloadedError, match="docs"):
        add(files, b"y")


@pytest.mark.parametrize("level", [0, 3], ids=["dataset", "project"])
def test_upload_that_outlives_its_dataset_brings_nothing_back(
    files: DatasetFiles, paths: DatasetPaths, level: int
) -> None:
    doomed = (paths.root, *paths.root.parents)[level]
    with files.receive(100) as incoming:
        incoming.write(b"x")
        shutil.rmtree(doomed)
        with pytest.raises(NotFoundError):
            incoming.commit("a.txt", None)
    assert not doomed.exists()


def test_upload_to_a_deleted_project_begins_nothing(files: DatasetFiles, paths: DatasetPaths) -> None:
    project = paths.root.parents[2]
    project.rmdir()
    with pytest.raises(NotFoundError, match="bot"):
        files.receive(100)
    assert not project.exists()


def test_dataset_deleted_while_the_lock_was_taken_is_not_brought_back(files: DatasetFiles, paths: DatasetPaths) -> None:
    paths.root.mkdir(parents=True)  # what taking the lock makes by itself
    with pytest.raises(NotFoundError), files.locked():
        pass
    assert not paths.root.parents[2].exists()


def test_projects_whose_deletion_broke_off_are_swept(tmp_path: Path) -> None:
    left = tmp_path / "org" / ".bot.deleted-20260101000000000000" / "lf_data"
    kept = [tmp_path / "org" / name for name in ("bot", ".hidden", ".bot.deleted-by-me")]
    for folder in (left, *kept):
        folder.mkdir(parents=True)
    sweep_projects(tmp_path)
    assert not left.parent.exists()
    assert all(folder.is_dir() for folder in kept)
