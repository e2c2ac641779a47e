"""Batches of the second generation: a saved configuration for every file of a directory."""

from typing import Any

from sqlalchemy import event

from tests.cloud.conftest import CloudWorld
from tests.cloud.test_batch_processing import directory

PATH = "/api/v2/batches"


def configuration(cloud: CloudWorld, **parameters: Any) -> str:
    body = {"name": "mine", "parameters": {"product_type": "parse_v2"} | parameters}
    made = cloud.http.post("/api/v1/beta/configurations", json=body)
    assert made.status_code in (200, 201), made.text
    return str(made.json()["id"])


def start(cloud: CloudWorld, directory_id: str, config_id: str, product: str = "parse_v2") -> Any:
    job = {"type": product, "configuration_id": config_id}
    return cloud.http.post(PATH, json={"source_directory_id": directory_id, "config": {"job": job}})


def results(cloud: CloudWorld, batch_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cloud.http.get(f"{PATH}/{batch_id}", params={"expand": "results"}).json()["results"]
    return found


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


def test_the_state_that_is_shown_is_the_one_that_is_filtered_by(cloud: CloudWorld) -> None:
    def found(status: str) -> list[str]:
        return [each["id"] for each in cloud.http.get(PATH, params={"status": status}).json()["items"]]

    config = configuration(cloud)
    first = start(cloud, directory(cloud, "a.txt", "b.txt"), config).json()["id"]
    assert (found("PENDING"), found("THROTTLED")) == ([first], [])
    cloud.step()
    later = [start(cloud, directory(cloud, "c.txt"), config).json()["id"] for _ in range(2)]
    assert (found("PENDING"), found("THROTTLED"), found("RUNNING")) == ([], later, [first])


def test_a_list_asks_no_more_of_the_database_the_more_batches_wait(cloud: CloudWorld) -> None:
    def count() -> int:
        seen = 0

        def note(*_: Any) -> None:
            nonlocal seen
            seen += 1

        event.listen(cloud.database.engine, "before_cursor_execute", note)
        assert cloud.http.get(PATH, params={"expand": "results"}).status_code == 200
        event.remove(cloud.database.engine, "before_cursor_execute", note)
        return seen

    config = configuration(cloud)
    start(cloud, directory(cloud, "a.txt"), config)
    count()  # opens what connections there are
    before = count()
    for name in ("b.txt", "c.txt", "d.txt"):
        start(cloud, directory(cloud, name), config)
    assert count() == before


def test_a_file_that_failed_says_why(cloud: CloudWorld) -> None:
    papers = directory(cloud, "a.txt")
    broken = cloud.upload("broken.pdf", b"%PDF-1.4 nothing that follows")
    cloud.http.post(f"/api/v1/beta/directories/{papers}/files", json={"file_id": broken})
    batch_id = start(cloud, papers, configuration(cloud)).json()["id"]
    cloud.settle()
    whole, failed = results(cloud, batch_id)
    assert whole["error_message"] is None
    assert "broken.pdf" in failed["error_message"]


def test_files_are_extracted_from_even_when_they_were_deleted_since(cloud: CloudWorld) -> None:
    papers = directory(cloud, "a.txt", "b.txt")
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    config = configuration(cloud, product_type="extract_v2", data_schema=schema)
    (gone,) = [each["id"] for each in cloud.http.get("/api/v1/beta/files").json()["items"] if each["name"] == "a.txt"]
    assert cloud.http.delete(f"/api/v1/beta/files/{gone}").status_code in (200, 204)
    made = start(cloud, papers, config, "extract_v2")
    assert made.status_code in (200, 201), made.text
    cloud.settle()
    found = results(cloud, made.json()["id"])
    assert [each["job_reference"]["type"] for each in found] == ["extract_v2"] * 2
    jobs = [cloud.http.get(f"/api/v2/extract/{each['job_reference']['id']}").json() for each in found]
    assert {each["configuration_id"] for each in jobs} == {config}
    assert [each["error_message"] for each in found] == [each["error_message"] for each in jobs]
    assert not any("bytes" in (each["error_message"] or "") for each in found), found


def test_an_extraction_without_a_schema_is_refused(cloud: CloudWorld) -> None:
    config = configuration(cloud, product_type="extract_v2")
    answer = start(cloud, directory(cloud, "a.txt"), config, "extract_v2")
    assert answer.status_code == 422
    assert "data_schema" in answer.json()["detail"]


def test_a_batch_is_cancelled_once(cloud: CloudWorld) -> None:
    made = start(cloud, directory(cloud, "a.txt"), configuration(cloud)).json()
    assert cloud.http.post(f"{PATH}/{made['id']}/cancel").json()["status"] == "CANCELLED"
    again = cloud.http.post(f"{PATH}/{made['id']}/cancel")
    assert (again.status_code, again.headers["x-should-retry"]) == (409, "false")


def test_unknown_directories_and_configurations_are_refused(cloud: CloudWorld) -> None:
    assert start(cloud, "dir-nowhere", configuration(cloud)).status_code == 404
    assert start(cloud, directory(cloud), "cfg-nothing").status_code == 422
