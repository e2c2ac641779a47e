"""Batches of the second generation: a saved configuration for every file of a directory."""

from typing import Any

from tests.cloud.conftest import CloudWorld
from tests.cloud.test_batch_processing import directory

PATH = "/api/v2/batches"


def configuration(cloud: CloudWorld, **parameters: Any) -> str:
    body = {"name": "mine", "parameters": {"product_type": "parse_v2", **parameters}}
    made = cloud.http.post("/api/v1/beta/configurations", json=body)
    assert made.status_code in (200, 201), made.text
    return str(made.json()["id"])


def start(cloud: CloudWorld, directory_id: str, config_id: str) -> Any:
    job = {"type": "parse_v2", "configuration_id": config_id}
    return cloud.http.post(PATH, json={"source_directory_id": directory_id, "config": {"job": job}})


def test_every_file_gets_a_parse_job_of_the_configuration(cloud: CloudWorld) -> None:
    papers = directory(cloud, "a.txt", "b.txt")
    made = start(cloud, papers, configuration(cloud, tier="fast")).json()
    assert (made["status"], made["source_directory_id"], made["results"]) == ("PENDING", papers, None)
    cloud.settle()
    got = cloud.http.get(f"{PATH}/{made['id']}", params={"expand": "results"}).json()
    assert got["status"] == "COMPLETED"
    texts = [
        cloud.http.get(f"/api/v2/parse/{each['job_reference']['id']}", params={"expand": "text_full"}).json()
        for each in got["results"]
    ]
    assert [each["text_full"] for each in texts] == ["What a.txt says.", "What b.txt says."]
    assert {each["job_reference"]["type"] for each in got["results"]} == {"parse_v2"}


def test_batches_are_listed_by_directory_and_state_without_results(cloud: CloudWorld) -> None:
    config = configuration(cloud)
    first, second = directory(cloud, "a.txt"), directory(cloud)
    one, two = start(cloud, first, config).json()["id"], start(cloud, second, config).json()["id"]
    page = cloud.http.get(PATH, params={"source_directory_id": first}).json()
    assert [(each["id"], each["results"]) for each in page["items"]] == [(one, None)]
    done = cloud.http.get(PATH, params={"status": "COMPLETED"}).json()
    assert [each["id"] for each in done["items"]] == [two]
    walked = cloud.http.get(PATH, params={"page_size": 1}).json()
    rest = cloud.http.get(PATH, params={"page_size": 1, "page_token": walked["next_page_token"]}).json()
    assert [each["id"] for each in (*walked["items"], *rest["items"])] == [one, two]


def test_one_that_waits_while_another_runs_is_throttled(cloud: CloudWorld) -> None:
    config = configuration(cloud)
    start(cloud, directory(cloud, "a.txt", "b.txt"), config)
    cloud.step()
    later = start(cloud, directory(cloud, "c.txt"), config).json()
    assert later["status"] == "THROTTLED"
    cloud.settle()
    assert cloud.http.get(f"{PATH}/{later['id']}").json()["status"] == "COMPLETED"


def test_a_batch_is_cancelled_once(cloud: CloudWorld) -> None:
    made = start(cloud, directory(cloud, "a.txt"), configuration(cloud)).json()
    assert cloud.http.post(f"{PATH}/{made['id']}/cancel").json()["status"] == "CANCELLED"
    again = cloud.http.post(f"{PATH}/{made['id']}/cancel")
    assert (again.status_code, again.headers["x-should-retry"]) == (409, "false")


def test_unknown_directories_and_configurations_are_refused(cloud: CloudWorld) -> None:
    assert start(cloud, "dir-nowhere", configuration(cloud)).status_code == 404
    assert start(cloud, directory(cloud), "cfg-nothing").status_code == 422
