"""Batches of the first generation: fan-out, counters, deduplication, cancelling, results."""

import random
from typing import Any

import pytest

from tests.cloud.conftest import CloudWorld

PATH = "/api/v1/beta/batch-processing"


def directory(cloud: CloudWorld, *names: str) -> str:
    """The id of a directory with a text file of each name."""
    made = cloud.http.post("/api/v1/beta/directories", json={"name": "papers"})
    assert made.status_code == 201, made.text
    directory_id = str(made.json()["id"])
    for name in names:
        file_id = cloud.upload(name, f"What {name} says.")
        path = f"/api/v1/beta/directories/{directory_id}/files"
        added = cloud.http.post(path, json={"file_id": file_id, "display_name": name})
        assert added.status_code == 201, added.text
    return directory_id


def start(cloud: CloudWorld, **body: Any) -> dict[str, Any]:
    answer = cloud.http.post(PATH, json={"job_config": {}, **body})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def status(cloud: CloudWorld, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = cloud.http.get(f"{PATH}/{job_id}").json()
    return found


def items(cloud: CloudWorld, job_id: str, **query: Any) -> list[dict[str, Any]]:
    page = cloud.http.get(f"{PATH}/{job_id}/items", params=query).json()
    assert page["total_size"] >= len(page["items"])
    found: list[dict[str, Any]] = page["items"]
    return found


def test_every_file_of_a_directory_is_parsed_and_its_output_can_be_fetched(cloud: CloudWorld) -> None:
    job = start(cloud, directory_id=directory(cloud, "a.txt", "b.txt"), job_config={"parameters": {"page_prefix": ">"}})
    assert (job["job_type"], job["status"], job["total_items"]) == ("parse", "pending", 2)
    cloud.settle()
    ended = status(cloud, job["id"])
    assert (ended["job"]["status"], ended["job"]["processed_items"], ended["progress_percentage"]) == (
        "completed",
        2,
        100,
    )
    first, second = items(cloud, job["id"])
    assert [first["item_name"], second["item_name"]] == ["a.txt", "b.txt"]
    results = cloud.http.get(f"{PATH}/items/{first['item_id']}/processing-results").json()
    (result,) = results["processing_results"]
    about = result["output_metadata"]
    assert (about["pages"], about["honoured_parameters"], about["ignored_parameters"]) == (1, ["page_prefix"], [])
    assert result["output_s3_path"].startswith("lf://llamacloud/")
    assert result["job_config"] == {"parameters": {"page_prefix": ">"}}
    assert cloud.http.get(about["outputs"]["result.txt"]).text == ">What a.txt says."


def test_an_empty_directory_is_done_at_once(cloud: CloudWorld) -> None:
    job = start(cloud, directory_id=directory(cloud))
    assert (job["status"], job["total_items"]) == ("completed", 0)
    assert status(cloud, job["id"])["progress_percentage"] == 100


def test_what_was_processed_with_the_same_parameters_is_skipped_unless_caches_are_not_to_be_used(
    cloud: CloudWorld,
) -> None:
    papers = directory(cloud, "a.txt")
    start(cloud, directory_id=papers)
    cloud.settle()
    again = start(cloud, directory_id=papers)
    assert (again["skipped_items"], again["status"]) == (1, "completed")
    assert items(cloud, again["id"])[0]["skip_reason"] == "already_processed"
    other = start(cloud, directory_id=papers, job_config={"parameters": {"page_suffix": "<"}})
    assert other["skipped_items"] == 0
    fresh = start(cloud, directory_id=papers, job_config={"parameters": {"do_not_cache": True}})
    assert fresh["skipped_items"] == 0


def test_files_can_be_named_one_by_one_and_a_bad_one_does_not_stop_the_others(cloud: CloudWorld) -> None:
    good, bad = cloud.upload("good.txt", "Good."), cloud.upload("bad.pdf", "%PDF-1.4 cut off")
    job = start(cloud, item_ids=[good, bad])
    cloud.settle()
    ended = status(cloud, job["id"])["job"]
    assert (ended["status"], ended["processed_items"], ended["failed_items"]) == ("completed", 1, 1)
    (failed,) = items(cloud, job["id"], status="failed")
    assert failed["item_id"] == bad
    assert "bad.pdf" in failed["error_message"]


def test_a_batch_of_which_every_item_failed_has_failed(cloud: CloudWorld) -> None:
    job = start(cloud, item_ids=[cloud.upload("bad.pdf", "%PDF-1.4 cut off")])
    cloud.settle()
    assert status(cloud, job["id"])["job"]["status"] == "failed"


def test_cancelling_ends_what_waits_and_cannot_be_done_twice(cloud: CloudWorld) -> None:
    job = start(cloud, directory_id=directory(cloud, "a.txt", "b.txt"))
    answer = cloud.http.post(f"{PATH}/{job['id']}/cancel", json={}).json()
    assert (answer["job_id"], answer["processed_items"], answer["status"]) == (job["id"], 0, "cancelled")
    assert [each["status"] for each in items(cloud, job["id"])] == ["cancelled", "cancelled"]
    assert cloud.http.post(f"{PATH}/{job['id']}/cancel").status_code == 400


@pytest.mark.parametrize("seed", range(3))
def test_counters_add_up_at_every_moment_of_crashes_and_cancels(cloud: CloudWorld, seed: int) -> None:
    chance = random.Random(seed)
    names = [f"{number}.txt" for number in range(4)]
    job = start(cloud, directory_id=directory(cloud, *names))
    for _ in range(6):
        deed = chance.choice(("work", "lose", "late", "cancel" if chance.random() < 0.3 else "work"))
        if deed == "cancel":
            cloud.http.post(f"{PATH}/{job['id']}/cancel", json={})
        elif deed == "late":
            cloud.clock.now += 100
        elif cloud.queue.messages:
            if deed == "lose":
                cloud.queue.messages.popleft()
            else:
                cloud.step()
        now = status(cloud, job["id"])["job"]
        open_items = [each for each in items(cloud, job["id"]) if each["status"] in ("pending", "processing")]
        ended = sum(now[f"{each}_items"] for each in ("processed", "failed", "skipped", "cancelled"))
        assert ended + len(open_items) == now["total_items"] == len(names)
    cloud.settle()
    now = status(cloud, job["id"])
    assert now["progress_percentage"] == 100
    assert now["job"]["status"] in ("completed", "cancelled")


@pytest.mark.parametrize(
    "body",
    [
        {"job_config": {}},
        {"job_config": {}, "directory_id": "dir-x", "item_ids": ["y"]},
        {"job_config": {"parameters": {"target_pages": "3-1"}}, "item_ids": []},
        {"job_config": {"parameters": {"parse_mode": "by_magic"}}, "item_ids": []},
        {"job_config": {"parameters": {"webhook_url": "http://127.0.0.1/"}}, "item_ids": []},
        {"job_config": {"rules": [{"type": "a", "description": "b"}], "mode": "MULTIMODAL"}, "item_ids": []},
        {"job_config": {"rules": []}, "item_ids": []},
        {"job_config": {"type": "translate"}, "item_ids": []},
        {"job_config": {"parameters": []}, "item_ids": []},
        {"job_config": {"rules": [{"type": "a"}]}, "item_ids": []},
        {"job_config": {"rules": [{"type": "a", "description": "b"}] * 2}, "item_ids": []},
    ],
    ids=[
        "neither",
        "both",
        "pages",
        "choice",
        "private webhook",
        "multimodal",
        "no rules",
        "type",
        "a list",
        "no description",
        "a type twice",
    ],
)
def test_a_wrong_batch_is_refused(cloud: CloudWorld, body: dict[str, Any]) -> None:
    answer = cloud.http.post(PATH, json=body)
    assert answer.status_code == 422, answer.text
    assert cloud.http.get(PATH).json() == {"items": [], "next_page_token": None, "total_size": 0}


def test_batches_are_listed_by_offset_and_type(cloud: CloudWorld) -> None:
    made = [start(cloud, item_ids=[])["id"] for _ in range(3)]
    page = cloud.http.get(PATH, params={"limit": 2, "offset": 1, "job_type": "parse"}).json()
    assert ([each["id"] for each in page["items"]], page["total_size"]) == (made[1:], 3)
    assert cloud.http.get(PATH, params={"job_type": "classify"}).json()["total_size"] == 0


def test_classify_items_are_jobs_of_their_own(cloud: CloudWorld) -> None:
    rules = [{"type": "invoice", "description": "asks for money"}, {"type": "letter", "description": "tells news"}]
    job = start(cloud, item_ids=[cloud.upload("a.txt", "This invoice asks for money.")], job_config={"rules": rules})
    assert job["job_type"] == "classify"
    cloud.settle()
    (item,) = items(cloud, job["id"])
    assert item["status"] == "completed", item
    (result,) = cloud.http.get(f"{PATH}/items/{item['item_id']}/processing-results").json()["processing_results"]
    assert result["job_type"] == "classify"
