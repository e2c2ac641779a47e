"""`lf datasets` and `lf tasks`: files are found and sent, tasks followed, failures told with their exit code."""

import json
import re
import threading
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from cli.client.files import find_files
from cli.client.upload import Uploader
from tests.unit.cli.client_run import Lf, P
from tests.unit.cli.fake_api import Events, Reply, Seen
from tests.unit.cli.terminal import LF, Terminal

D = f"{P}/datasets/notes"
STRATEGIES = {"data_processing_strategies": ["universal_rag", "own"], "databases": ["main_database"]}


def task(state: str, *details: tuple[bool, dict[str, Any]], **more: Any) -> dict[str, Any]:
    counts = {kind: sum(info["status"] == kind for _, info in details) for kind in ("processed", "skipped", "failed")}
    result = {f"{kind}_files": count for kind, count in counts.items()} | {"details": [list(each) for each in details]}
    return {"task_id": "t1", "state": state, "meta": {"current": 1, "total": 2}, "result": result, **more}


GOOD = (True, {"filename": "a.md", "status": "processed"})
BAD = (False, {"filename": "b.md", "status": "failed", "error": "no text"})


def uploaded(seen: Seen) -> dict[str, Any]:
    """The server's answer to one file; it has `dup.md` already and cannot read `bad.md`."""
    name = re.search(rb'filename="([^"]*)"', seen.body)
    assert name is not None
    if name[1] == b"bad.md":
        return Reply({"detail": "unreadable"}, 422)
    return {"filename": name[1].decode(), "hash": "0" * 64, "skipped": name[1] == b"dup.md", "processed": False}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name in ("a.md", "b.txt", ".hidden", "sub/c.md", "sub/deep/d.md", "sub/.git/e.md", "odd[1].md"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


@pytest.mark.parametrize(
    ("given", "options", "names"),
    [
        (["{root}"], {}, ["a.md", "b.txt", "odd[1].md"]),
        (["{root}"], {"is_recursive": True}, ["a.md", "b.txt", "odd[1].md", "c.md", "d.md"]),
        (["{root}/.hidden", "{root}/a.md", "{root}/*.md"], {}, [".hidden", "a.md", "odd[1].md"]),
        (["{root}/**/*.md"], {}, ["a.md", "odd[1].md", "c.md", "d.md"]),
        (["{root}/sub/**/*.md"], {"with_hidden": True}, ["e.md", "c.md", "d.md"]),
        (["{root}/odd[1].md"], {}, ["odd[1].md"]),
    ],
    ids=["folder", "recursive", "each once", "pattern", "hidden", "a name with brackets"],
)
def test_files_are_found(tree: Path, given: list[str], options: dict[str, bool], names: list[str]) -> None:
    found = find_files([each.format(root=tree) for each in given], **options)
    assert [path.name for path in found.paths] == names
    assert found.lost == {}


def test_where_nothing_matches_nothing_is_sent(lf: Lf) -> None:
    done = lf("datasets", "upload", "notes", "absent.md", "*.pdf", code=2)
    assert "absent.md: no such file, folder or match; *.pdf: no such" in done.stderr
    assert lf.api.seen == []


@pytest.mark.parametrize("options", [[], ["--bulk"]])
def test_what_is_missing_or_cannot_be_read_spoils_no_other_file(
    lf: Lf, tree: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    open_file = Path.open

    def refuse_one(path: Path, *arguments: Any, **more: Any) -> Any:
        if path.name == "b.txt":
            raise PermissionError(13, "Permission denied", str(path))
        return open_file(path, *arguments, **more)

    monkeypatch.setattr(Path, "open", refuse_one)
    lf.api.on("POST", f"{D}/data", uploaded)
    lf.api.on("POST", f"{D}/data/bulk", {"uploaded": 2, "skipped": 0, "failed": 0})
    found = lf.json("datasets", "upload", "notes", "absent.md", str(tree), *options, code=4)
    assert (found["total"], found["uploaded"], found["failed"]) == (4, 2, 2)
    assert {each["path"]: each["error"] for each in found["files"] if each["status"] == "failed"} == {
        "absent.md": "no such file, folder or match",
        str(tree / "b.txt"): "Permission denied",
    }


def test_datasets_are_listed_with_their_files(lf: Lf) -> None:
    file = {"hash": "f" * 64, "original_file_name": "a.md", "size": 2048, "chunk_count": 3}
    dataset = {
        "name": "notes",
        "database": "",
        "data_processing_strategy": None,
        "details": {"files_metadata": [file], "total_size_bytes": 2048},
    }
    lf.api.on("GET", f"{P}/datasets/", {"total": 1, "datasets": [dataset]})
    assert lf("datasets", "list").stdout.splitlines()[1].split() == ["notes", "auto", "auto", "1", "2.0", "KB"]
    assert lf("datasets", "files", "notes").stdout.splitlines()[1].split() == ["f" * 64, "a.md", "2.0", "KB", "3"]
    assert "there are notes" in lf("datasets", "files", "other", code=1).stderr
    assert lf.json("datasets", "list")["total"] == 1


def test_create_takes_the_only_strategy_and_checks_the_names(lf: Lf) -> None:
    lf.api.on("GET", f"{P}/datasets/strategies", STRATEGIES)
    lf.api.on("POST", f"{P}/datasets/", lambda seen: {"dataset": seen.json})
    assert lf("datasets", "create", "notes").stdout == "created dataset 'notes'\n"
    assert lf.api.seen[-1].json == {
        "name": "notes",
        "database": "main_database",
        "data_processing_strategy": "own",
    }
    assert "the project has main_database" in lf("datasets", "create", "notes", "-b", "other", code=2).stderr
    lf.api.on("GET", f"{P}/datasets/strategies", {"data_processing_strategies": ["a", "b"], "databases": ["d"]})
    assert "a, b" in lf("datasets", "create", "notes", code=2).stderr
    lf.api.on("GET", f"{P}/datasets/strategies", {"data_processing_strategies": [], "databases": []})
    lf("datasets", "create", "notes", "-s", "a", "-b", "any")
    assert lf.api.seen[-1].json["database"] == "any"


def test_create_takes_the_default_database(lf: Lf) -> None:
    lf.api.on("GET", f"{P}/datasets/strategies", {"data_processing_strategies": ["a"], "databases": ["x", "y"]})
    lf.api.on("GET", f"{P}/rag/databases", {"databases": [], "default_database": "y"})
    lf.api.on("POST", f"{P}/datasets/", lambda seen: {"dataset": seen.json})
    lf("datasets", "create", "notes")
    assert lf.api.seen[-1].json["database"] == "y"


def test_uploads_count_duplicates_and_tell_failures_at_the_end(lf: Lf) -> None:
    for name in ("a.md", "b.md", "dup.md", "bad.md"):
        (lf.folder / name).write_text(name * 1000)
    lf.api.on("POST", f"{D}/data", uploaded)
    found = lf.json("datasets", "upload", "notes", "*.md", code=4)
    assert {key: found[key] for key in ("total", "uploaded", "skipped", "failed")} == {
        "total": 4,
        "uploaded": 2,
        "skipped": 1,
        "failed": 1,
    }
    assert [each for each in found["files"] if each["status"] == "failed"] == [
        {"path": "bad.md", "status": "failed", "error": "unreadable"}
    ]
    assert b"a.md" * 1000 in next(each.body for each in lf.api.seen if b'"a.md"' in each.body)
    done = lf("datasets", "upload", "notes", "*.md", code=4)
    assert done.stdout == "4 files: 2 uploaded, 1 skipped (already there), 1 failed\n  bad.md: unreadable\n"
    assert "lf: 1 file not uploaded, 0 not processed" in done.stderr


def test_a_file_that_cannot_be_read_spoils_no_other(lf: Lf) -> None:
    (lf.folder / "a.md").write_text("a")
    (lf.folder / "gone.md").symlink_to(lf.folder / "a.md")
    lf.api.on("POST", f"{D}/data", Reply({"detail": "too large"}, 413))
    found = lf.json("datasets", "upload", "notes", "a.md", code=4)
    assert found["files"][0]["error"] == "too large"


def test_a_server_that_is_busy_is_asked_again(lf: Lf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.client.upload.RETRY_S", 0.01)
    (lf.folder / "a.md").write_text("a")
    lf.api.on("POST", f"{D}/data", Reply({"detail": "busy"}, 503), uploaded)
    assert lf.json("datasets", "upload", "notes", "a.md")["uploaded"] == 1
    assert len(lf.api.seen) == 2


def test_a_server_that_dies_ends_the_upload_with_exit_code_three(lf: Lf) -> None:
    (lf.folder / "a.md").write_text("a")
    lf("datasets", "upload", "notes", "a.md", "--server-url", "http://127.0.0.1:9", code=3)


def test_bulk_sends_many_files_per_request(lf: Lf) -> None:
    for number in range(120):
        (lf.folder / f"{number:03}.md").write_text(str(number))
    lf.api.on(
        "POST",
        f"{D}/data/bulk",
        lambda seen: {"uploaded": seen.body.count(b'name="files"'), "skipped": 0, "failed": 0, "task_id": None},
    )
    assert lf.json("datasets", "upload", "notes", "*.md", "--bulk", "-j", "1")["uploaded"] == 120
    assert [each.body.count(b'name="files"') for each in lf.api.seen] == [100, 20]


def test_bulk_counts_what_the_server_does_not_name(lf: Lf) -> None:
    for name in ("a.md", "b.md", "c.md"):
        (lf.folder / name).write_text(name)
    lf.api.on("POST", f"{D}/data/bulk", {"uploaded": 1, "skipped": 1, "failed": 1, "task_id": None})
    found = lf.json("datasets", "upload", "notes", "*.md", "--bulk", code=4)
    assert (found["uploaded"], found["skipped"], found["failed"]) == (1, 1, 1)


def test_bulk_counts_files_that_the_server_lists(lf: Lf) -> None:
    for name in ("a.md", "b.md", "c.md"):
        (lf.folder / name).write_text(name)
    lf.api.on("POST", f"{D}/data/bulk", {"uploaded": ["a.md"], "skipped": [{"name": "b.md"}], "failed": ["c.md"]})
    found = lf.json("datasets", "upload", "notes", "*.md", "--bulk", code=4)
    assert (found["uploaded"], found["skipped"], found["failed"]) == (1, 1, 1)
    assert [each["path"] for each in found["files"] if each["status"] == "failed"] == ["c.md"]


@pytest.mark.parametrize("error", [ValueError("an answer that nobody foresaw"), SystemExit(3)], ids=repr)
def test_whatever_ends_a_sending_thread_reaches_the_caller(tmp_path: Path, error: BaseException) -> None:
    (tmp_path / "a.md").write_text("a")
    api: Any = Mock(stream_timeout_s=1.0)
    api.send.side_effect = error
    uploader = Uploader(api, "/datasets/notes", params={}, form={})
    raised: list[BaseException] = []

    def upload() -> None:
        try:
            list(uploader.upload_bulk([tmp_path / "a.md"], concurrency=2, on_progress=lambda _: None))
        except BaseException as found:  # noqa: BLE001  # what is tested
            raised.append(found)

    thread = threading.Thread(target=upload, daemon=True)
    thread.start()
    thread.join(5)
    assert raised == [error]


def test_upload_with_process_follows_one_task_over_all_files(lf: Lf) -> None:
    for name in ("a.md", "b.md"):
        (lf.folder / name).write_text(name)
    lf.api.on("POST", f"{D}/data", uploaded)
    lf.api.on("POST", f"{D}/actions", {"task_id": "t1", "message": "Accepted"})
    lf.api.on("GET", f"{P}/tasks/t1", task("SUCCESS", GOOD, GOOD))
    done = lf("datasets", "upload", "notes", "*.md", "--process")
    assert "2 files: 2 processed, 0 skipped, 0 failed" in done.stdout
    assert [each.query for each in lf.api.requests("POST", f"{D}/data")] == [[("auto_process", "false")]] * 2
    lf.api.on("GET", f"{P}/tasks/t1", task("FAILURE", GOOD, BAD, error="1 of 2 tasks failed"))
    done = lf("datasets", "upload", "notes", "*.md", "--process", code=4)
    assert "  b.md: no text" in done.stdout


def test_warnings_of_processed_files_are_told_after_the_summary(lf: Lf) -> None:
    warned = {"filename": "a.zip", "status": "processed", "warnings": ["Left out: 'broken.pdf' is damaged.", "x" * 900]}
    scanned = {"filename": "s.pdf", "status": "processed", "pages_without_text": [1, 2, 3]}
    lf.api.on("POST", f"{D}/actions", {"task_id": "t1", "message": "Accepted"})
    lf.api.on("GET", f"{P}/tasks/t1", task("SUCCESS", (True, warned), (True, scanned), GOOD))
    shown = lf("datasets", "process", "notes").stdout
    assert "3 files: 3 processed" in shown
    assert "3 warnings in 2 files:\n  a.zip: Left out: 'broken.pdf' is damaged." in shown
    assert "s.pdf: 3 pages without text: 1, 2, 3" in shown
    assert "x" * 201 not in shown.replace("\n", "")


def test_many_warnings_are_cut_short_and_counted(lf: Lf) -> None:
    files = [(True, {"filename": f"{n}.zip", "status": "processed", "warnings": ["w"] * 5}) for n in range(30)]
    lf.api.on("POST", f"{D}/actions", {"task_id": "t1", "message": "Accepted"})
    lf.api.on("GET", f"{P}/tasks/t1", task("SUCCESS", *files))
    shown = lf("datasets", "process", "notes").stdout
    assert "150 warnings in 30 files:" in shown
    assert "0.zip: and 2 more" in shown
    assert "and 10 more files; `lf tasks show t1 --json` has all" in shown


def test_chunk_sizes_travel_with_each_file(lf: Lf) -> None:
    (lf.folder / "a.md").write_text("a")
    lf.api.on("POST", f"{D}/data", lambda seen: {**uploaded(seen), "task_id": "t1"})
    lf.api.on("GET", f"{P}/tasks/t1", task("SUCCESS", GOOD))
    options = ("--chunk-size", "500", "--chunk-overlap", "50")
    lf("datasets", "upload", "notes", "a.md", "--process", *options)
    lf("datasets", "upload", "notes", "a.md", "--no-process", *options)
    lf("datasets", "upload", "notes", "a.md", *options)
    sent, *others = lf.api.requests("POST", f"{D}/data")
    assert [each.query for each in (sent, *others)] == [[("auto_process", "true")], [("auto_process", "false")], []]
    assert json.dumps({"*": {"chunk_size": 500, "chunk_overlap": 50}}).encode() in sent.body


def test_process_follows_what_is_pushed(lf: Lf) -> None:
    lf.api.on("POST", f"{D}/actions", {"task_id": "t1"})
    lf.api.on("GET", f"{P}/tasks/t1", task("PENDING"))
    lf.api.on("GET", f"{P}/tasks/t1/events", Reply(Events([task("STARTED"), task("SUCCESS", GOOD)])))
    assert lf("datasets", "process", "notes").stdout == "1 file: 1 processed, 0 skipped, 0 failed\n"
    assert len(lf.api.requests("GET", f"{P}/tasks/t1")) == 1


def test_process_asks_again_where_nothing_is_pushed(lf: Lf) -> None:
    lf.api.on("POST", f"{D}/actions", {"task_id": "t1"})
    busy = Reply({"detail": "busy"}, 503)
    lf.api.on("GET", f"{P}/tasks/t1", task("PENDING"), busy, task("STARTED"), task("SUCCESS", GOOD))
    assert lf.json("datasets", "process", "notes")["state"] == "SUCCESS"


def test_a_stream_that_breaks_off_is_replaced_by_asking(lf: Lf) -> None:
    lf.api.on("GET", f"{P}/tasks/t1", task("PENDING"), task("FAILURE", GOOD, BAD))
    lf.api.on("GET", f"{P}/tasks/t1/events", Reply(Events([task("STARTED")], is_whole=False)))
    done = lf("tasks", "watch", "t1", code=4)
    assert "  b.md: no text" in done.stdout
    assert done.stderr == "lf: 1 of 2 files failed\n"


def test_results_of_the_original_server_are_understood(lf: Lf) -> None:
    info = {"filename": "a" * 64, "result": {"filename": "real.pdf"}, "error": "broken"}
    lf.api.on("GET", f"{P}/tasks/t1", {"task_id": "t1", "state": "FAILURE", "result": {"details": [[False, info]]}})
    assert "  real.pdf: broken" in lf("tasks", "watch", "t1", code=4).stdout


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ({"task_id": "t1", "state": "FAILURE", "error": "the broker is gone"}, 1, "the broker is gone"),
        (task("FAILURE", error="Task cancelled", cancelled=True), 4, "cancelled"),
        ({"task_id": "t1", "state": "SUCCESS", "result": {"total_files": 0, "files": []}}, 0, ""),
    ],
    ids=["failed as a whole", "cancelled", "nothing to do"],
)
def test_the_end_of_a_task_is_the_exit_code(lf: Lf, body: dict[str, Any], code: int, says: str) -> None:
    lf.api.on("GET", f"{P}/tasks/t1", body)
    assert says in lf("tasks", "watch", "t1", code=code).stderr


def test_without_waiting_the_task_is_named(lf: Lf) -> None:
    lf.api.on("POST", f"{D}/actions", {"task_id": "t1"})
    assert "lf tasks watch t1" in lf("datasets", "process", "notes", "--no-wait").stdout
    assert lf.json("datasets", "process", "notes", "--no-wait") == {"task_id": "t1"}


def test_reprocess_says_which_files(lf: Lf) -> None:
    lf.api.on("POST", f"{D}/actions", {"task_id": "t1"})
    lf("datasets", "reprocess", "notes", "--no-wait")
    lf("datasets", "reprocess", "notes", "--failed-only", "--no-wait")
    lf("datasets", "reprocess", "notes", "--file-hash", "abc", "--no-wait")
    assert [each.json for each in lf.api.seen] == [
        {"action_type": "reprocess"},
        {"action_type": "reprocess", "failed_only": True},
        {"action_type": "reprocess", "file_hash": "abc"},
    ]


@pytest.mark.parametrize(("options", "cancels"), [([], False), (["--cancel-on-interrupt"], True)])
def test_an_interrupt_cancels_only_when_asked(
    lf: Lf, monkeypatch: pytest.MonkeyPatch, options: list[str], cancels: bool
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.client.watch.follow", interrupted)
    lf.api.on("DELETE", f"{P}/tasks/t1", {"message": "Task cancelled (no files to revert)", "cancelled": True})
    done = lf("tasks", "watch", "t1", *options, code=130)
    assert bool(lf.api.requests("DELETE", f"{P}/tasks/t1")) == cancels
    assert ("Task cancelled" if cancels else "the task goes on") in done.stderr


def test_tasks_are_listed_shown_and_cancelled(lf: Lf) -> None:
    lf.api.on("GET", f"{P}/tasks", {"total": 1, "tasks": [task("STARTED")]})
    lf.api.on("GET", f"{P}/tasks/t1", task("STARTED"), task("FAILURE", BAD))
    lf.api.on("DELETE", f"{P}/tasks/t1", {"message": "Task cancelled and 2 file(s) reverted", "cancelled": True})
    assert lf("tasks", "list", "--state", "STARTED").stdout.splitlines()[1].split() == ["t1", "STARTED", "1/2"]
    assert ("state", "STARTED") in lf.api.seen[0].query
    assert lf("tasks", "show", "t1").stdout == "STARTED: 1 of 2 files\n"
    assert "b.md: no text" in lf("tasks", "show", "t1").stdout
    assert lf("tasks", "cancel", "t1").stdout == "Task cancelled and 2 file(s) reverted\n"
    assert "Not Found" in lf("tasks", "watch", "t2", code=1).stderr


def test_one_file_of_a_task_is_shown_by_its_own_id(lf: Lf) -> None:
    bad = [False, {"filename": "b.md", "status": "failed", "error": "no text"}]
    lf.api.on("GET", f"{P}/tasks/t1-1", {**task("FAILURE"), "error": "no text", "result": bad})
    shown = lf("tasks", "show", "t1-1").stdout
    assert shown == "1 file: 0 processed, 0 skipped, 1 failed\n  b.md: no text\n"


def test_files_and_datasets_are_removed(lf: Lf) -> None:
    lf.api.on("DELETE", D, {"dataset": {}})
    lf.api.on("DELETE", f"{D}/data/abc", {"file_hash": "abc", "deleted_chunks": 3})
    lf.api.on("POST", f"{D}/cleanup/abc", {"file_hash": "abc", "deleted_chunks": 2})
    assert lf("datasets", "remove", "notes", "abc", "-y").stdout == "removed, with 3 chunks\n"
    assert lf.api.seen[-1].query == [("remove_from_disk", "true")]
    assert lf("datasets", "cleanup", "notes", "abc", "-y").stdout == "deleted 2 chunks\n"
    assert lf("datasets", "delete", "notes", "-y").stdout == "deleted dataset 'notes'\n"


def test_strategies_are_listed(lf: Lf) -> None:
    lf.api.on("GET", f"{P}/datasets/strategies", STRATEGIES)
    assert "databases              main_database\n" in lf("datasets", "strategies").stdout


def test_a_terminal_is_shown_the_progress_and_asked(lf: Lf, tmp_path: Path) -> None:
    (lf.folder / "a.md").write_bytes(b"x" * 1_000_000)
    lf.api.on("POST", f"{D}/data", uploaded)
    lf.api.on("POST", f"{D}/actions", {"task_id": "t1"})
    lf.api.on("GET", f"{P}/tasks/t1", task("STARTED"))
    lf.api.on("GET", f"{P}/tasks/t1/events", Reply(Events([task("STARTED"), task("SUCCESS", GOOD)])))
    command = [LF, "--server-url", lf.api.url, "datasets"]
    with Terminal([*command, "upload", "notes", "a.md", "--process"], lf.folder, tmp_path) as terminal:
        terminal.read_on()
        assert terminal.wait() == 0
    for shown in ("uploading 0 of 1 file ", "0.0/1.0 MB", "1/2", "1 file: 1 processed, 0 skipped, 0 failed\r\n"):
        assert shown in terminal.output
    with Terminal([*command, "delete", "notes"], lf.folder, tmp_path) as terminal:
        terminal.expect("Delete dataset 'notes' of acme/bakery")
        terminal.type("n\n")
        terminal.read_on()
        assert terminal.wait() == 1
    assert "nothing was done" in terminal.output
    assert lf.api.requests("DELETE", D) == []
