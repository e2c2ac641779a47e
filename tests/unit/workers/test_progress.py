"""What a client that polls is told."""

from typing import Any

from state.tables import TaskFileRow, TaskRow
from workers.progress import task_body


def task(**values: Any) -> TaskRow:
    return TaskRow(
        id="t1", namespace="acme", project="p", dataset="docs", strategy="s", database="main", config={}, **values
    )


def file(position: int, state: str, **values: Any) -> TaskFileRow:
    defaults = {"chunk_count": 0, "stored_count": 0, "skipped_count": 0, "units_done": 0, "details": {}}
    return TaskFileRow(
        task_id="t1",
        position=position,
        file_hash="a" * 64,
        filename=f"{position}.pdf",
        state=state,
        **(defaults | values),
    )


def test_a_task_is_pending_until_a_file_has_started() -> None:
    assert task_body(task(), [file(0, "queued"), file(1, "queued")])["state"] == "PENDING"
    body = task_body(task(), [file(0, "parsing"), file(1, "queued")])
    assert (body["state"], body["result"], body["meta"]["total"]) == ("STARTED", None, 2)


def test_success_carries_pairs_with_the_words_that_clients_know() -> None:
    files = [file(0, "processed", stored_count=4, chunk_count=4), file(1, "skipped", skipped_count=2)]
    body = task_body(task(finished_at=1.0), files)
    assert body["state"] == "SUCCESS"
    assert [pair[0] for pair in body["result"]["details"]] == [True, True]
    assert [pair[1]["status"] for pair in body["result"]["details"]] == ["processed", "skipped"]
    assert (body["result"]["processed_files"], body["result"]["skipped_files"]) == (1, 1)
    assert body["meta"]["progress"] == 100


def test_a_failed_file_makes_the_task_fail_and_keeps_the_whole_result() -> None:
    files = [file(0, "processed"), file(1, "failed", error="'1.pdf' is encrypted")]
    body = task_body(task(finished_at=1.0), files)
    assert (body["state"], body["error"]) == ("FAILURE", "1 of 2 tasks failed")
    assert body["result"]["details"][1][1]["error"] == "'1.pdf' is encrypted"


def test_a_cancelled_task_ends_as_failure_once_nothing_runs() -> None:
    cancelled = task(cancelled_at=1.0)
    assert task_body(cancelled, [file(0, "embedding")])["state"] == "STARTED"
    body = task_body(cancelled, [file(0, "cancelled")])
    assert (body["state"], body["error"], body["cancelled"]) == ("FAILURE", "Task cancelled", True)


def test_a_dataset_without_files_is_a_success_at_once() -> None:
    body = task_body(task(finished_at=1.0), [])
    assert (body["state"], body["result"]["total_files"], body["result"]["details"]) == ("SUCCESS", 0, [])


def test_pages_without_text_are_named_in_the_details() -> None:
    body = task_body(task(), [file(0, "processed", details={"pages_without_text": [6, 7]})])
    assert body["result"]["details"][0][1]["pages_without_text"] == [6, 7]


def test_files_that_were_removed_while_they_waited_make_the_task_fail() -> None:
    removed = [file(number, "cancelled", reason="removed", error="the file was removed") for number in range(2)]
    body = task_body(task(finished_at=1.0), [*removed, file(2, "processed"), file(3, "failed", error="it broke")])
    assert body["state"] == "FAILURE"
    assert body["error"] == "1 of 4 tasks failed; 2 of 4 file(s) were removed before they were processed"
    assert body["cancelled"] is False
    assert body["meta"]["message"] == "2 of 4 file(s) done, 2 removed meanwhile"
    assert (body["meta"]["current"], body["meta"]["progress"]) == (2, 50)


def test_a_cancelled_task_tells_what_was_done_and_what_was_taken_back() -> None:
    files = [file(0, "skipped"), file(1, "cancelled", reason="reverted"), file(2, "cancelled", reason="cancelled")]
    meta = task_body(task(cancelled_at=1.0), files)["meta"]
    assert meta["message"] == "cancelled: 1 of 3 file(s) done, 1 reverted"
    assert (meta["current"], meta["progress"]) == (1, 33)
