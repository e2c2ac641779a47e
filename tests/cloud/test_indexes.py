"""Indexes: building, telling how far the build is, deleting."""

from typing import Any

from state.cloud.ids import DEFAULT_PROJECT_ID
from tests.cloud.conftest import CloudWorld
from tests.cloud.makers import make_directory, make_file, objects_of, put_into
from tests.workers.world import assert_invariants

INDEXES = "/api/v1/indexes"


def make_index(cloud: CloudWorld, directory_id: str, **options: Any) -> dict[str, Any]:
    answer = cloud.http.post(INDEXES, json={"source_directory_id": directory_id, **options})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def get_index(cloud: CloudWorld, index_id: str, **query: Any) -> dict[str, Any]:
    answer = cloud.http.get(f"{INDEXES}/{index_id}", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def built(cloud: CloudWorld, directory_id: str, **options: Any) -> dict[str, Any]:
    made = make_index(cloud, directory_id, **options)
    cloud.settle()
    assert not cloud.errors, cloud.errors
    return get_index(cloud, made["id"])


def papers(cloud: CloudWorld) -> str:
    """A directory of two files."""
    directory = make_directory(cloud)
    put_into(cloud, directory, make_file(cloud, "tides.txt", "The moon pulls the water twice a day."))
    put_into(cloud, directory, make_file(cloud, "bread.txt", "Flour, water, salt and a sour dough."))
    return directory


def test_a_new_index_is_not_ready_and_then_is(cloud: CloudWorld) -> None:
    made = make_index(cloud, papers(cloud), description="On water")
    assert (made["name"], made["description"], made["project_id"]) == ("papers", "On water", DEFAULT_PROJECT_ID)
    assert made["last_synced_at"] is None
    assert made["last_exported_at"] is None
    assert made["metadata"]["status"] == "pending"
    assert all(made[key] for key in ("export_config_id", "sync_config_id", "output_directory_id"))
    cloud.settle()
    ready = get_index(cloud, made["id"])
    assert ready["last_synced_at"] is not None
    assert ready["last_exported_at"] is not None
    facts = ready["metadata"]
    assert (facts["status"], facts["file_count"], facts["files_completed"], facts["files_failed"]) == ("ready", 2, 2, 0)
    assert facts["chunk_count"] == 2
    assert (facts["embedding_model"], facts["embedding_dimension"]) == ("words", 64)
    assert_invariants(cloud)


def test_its_chunks_are_in_the_database_of_its_name(cloud: CloudWorld) -> None:
    index = built(cloud, papers(cloud))
    name = index["id"].replace("-", "_")
    answer = cloud.http.post(
        f"/v1/projects/llamacloud/{index['project_id']}/rag/query",
        json={"query": "sour dough", "database": name, "top_k": 1},
    )
    assert answer.status_code == 200, answer.text
    assert "sour dough" in answer.json()["results"][0]["content"]


def test_a_file_that_cannot_be_read_is_told_and_others_are_searched(cloud: CloudWorld) -> None:
    directory = papers(cloud)
    broken = put_into(cloud, directory, make_file(cloud, "broken.pdf", b"%PDF-1.7 nothing more"))
    facts = built(cloud, directory)["metadata"]
    assert (facts["status"], facts["file_count"], facts["files_completed"], facts["files_failed"]) == (
        "partial",
        3,
        2,
        1,
    )
    assert [each["file_id"] for each in facts["errors"]] == [broken]
    assert "broken.pdf" in facts["errors"][0]["message"]


def test_an_index_of_an_empty_directory_is_ready(cloud: CloudWorld) -> None:
    index = built(cloud, make_directory(cloud))
    assert index["metadata"]["status"] == "ready"
    assert index["metadata"]["file_count"] == 0
    assert index["last_exported_at"] is not None


def test_an_unknown_directory_is_not_found(cloud: CloudWorld) -> None:
    answer = cloud.http.post(INDEXES, json={"source_directory_id": "dir-none"})
    assert answer.status_code == 404
    assert "dir-none" in answer.json()["detail"]


def test_a_directory_of_another_project_is_not_found(cloud: CloudWorld) -> None:
    directory = make_directory(cloud, "other")
    answer = cloud.http.post(INDEXES, params={"project_id": "mine"}, json={"source_directory_id": directory})
    assert answer.status_code == 404


def test_an_index_of_another_project_is_not_found(cloud: CloudWorld) -> None:
    index = make_index(cloud, papers(cloud))
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/sync"), ("POST", "/sync/cancel")):
        answer = cloud.http.request(method, f"{INDEXES}/{index['id']}{path}", params={"project_id": "other"})
        assert answer.status_code == 404, (method, path)


def test_an_unknown_product_configuration_is_refused(cloud: CloudWorld) -> None:
    product = {"product_type": "parse", "product_config_id": "cfg-none"}
    answer = cloud.http.post(INDEXES, json={"source_directory_id": papers(cloud), "products": [product]})
    assert answer.status_code == 422
    assert "cfg-none" in answer.json()["detail"]


def test_what_has_no_effect_is_told(cloud: CloudWorld) -> None:
    index = make_index(cloud, make_directory(cloud), store_attachments=["screenshots"], vector_target="DISABLED")
    assert index["metadata"]["ignored_parameters"] == ["store_attachments: screenshots", "vector_target: DISABLED"]


def test_indexes_are_listed_page_by_page(cloud: CloudWorld) -> None:
    directory = make_directory(cloud)
    made = [make_index(cloud, directory, name=f"number {each}")["id"] for each in range(3)]
    first = cloud.http.get(INDEXES, params={"page_size": 2}).json()
    rest = cloud.http.get(INDEXES, params={"page_size": 2, "page_token": first["next_page_token"]}).json()
    assert [each["id"] for each in first["items"] + rest["items"]] == made
    assert first["total_size"] == 3
    assert rest["next_page_token"] is None
    assert cloud.http.get(INDEXES, params={"project_id": "other"}).json()["items"] == []


def test_whether_it_syncs_is_told_on_demand(cloud: CloudWorld) -> None:
    index = make_index(cloud, papers(cloud))
    assert index["sync_in_progress"] is None
    assert get_index(cloud, index["id"], expand="sync_in_progress")["sync_in_progress"] is True
    cloud.settle()
    assert get_index(cloud, index["id"], expand="sync_in_progress")["sync_in_progress"] is False


def test_while_files_are_read_the_index_is_syncing(cloud: CloudWorld) -> None:
    index = make_index(cloud, papers(cloud))
    cloud.run_until("embed")
    during = get_index(cloud, index["id"])
    assert during["metadata"]["status"] == "syncing"
    assert during["last_exported_at"] is None


def test_deleting_removes_everything_made_and_leaves_the_directory(cloud: CloudWorld) -> None:
    directory = papers(cloud)
    index = built(cloud, directory)
    name = index["id"].replace("-", "_")
    answer = cloud.http.delete(f"{INDEXES}/{index['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert cloud.http.get(f"{INDEXES}/{index['id']}").status_code == 404
    assert cloud.http.get(INDEXES).json()["items"] == []
    cloud.settle()
    assert not cloud.errors, cloud.errors
    assert cloud.stored() == {}
    config = cloud.projects.load("llamacloud", index["project_id"])
    assert name not in [each.name for each in (*config.databases, *config.datasets)]
    assert not cloud.projects.paths("llamacloud", index["project_id"]).dataset(name).root.exists()
    assert objects_of(cloud).all("member") == []
    assert cloud.http.delete(f"{INDEXES}/{index['id']}").status_code == 404
    again = built(cloud, directory)
    assert again["metadata"]["files_completed"] == 2


def test_deleting_during_the_build_ends_it(cloud: CloudWorld) -> None:
    index = make_index(cloud, papers(cloud))
    cloud.run_until("embed")
    assert cloud.http.delete(f"{INDEXES}/{index['id']}").status_code == 204
    cloud.settle()
    assert cloud.stored() == {}
    assert_invariants(cloud)


def test_without_a_broker_no_index_is_made(cloud: CloudWorld) -> None:
    directory = papers(cloud)
    cloud.queue.is_down = True
    assert cloud.http.post(INDEXES, json={"source_directory_id": directory}).status_code == 503
    cloud.queue.is_down = False
    assert cloud.http.get(INDEXES).json()["items"] == []


def test_a_list_tells_what_each_index_tells_and_asks_no_more_for_more_of_them(cloud: CloudWorld) -> None:
    directory = papers(cloud)
    built(cloud, directory)
    with cloud.counted_statements() as few:
        assert len(cloud.http.get(INDEXES).json()["items"]) == 1
    put_into(cloud, directory, make_file(cloud, "copy.txt", "Flour, water, salt and a sour dough."))
    made = [built(cloud, directory)["id"], built(cloud, make_directory(cloud, name="empty"))["id"]]
    with cloud.counted_statements() as more:
        listed = {each["id"]: each for each in cloud.http.get(INDEXES).json()["items"]}
    assert len(more) == len(few)
    assert listed == {each: get_index(cloud, each) for each in listed}
    counts = [
        [listed[each]["metadata"][key] for key in ("file_count", "files_completed", "chunk_count")] for each in made
    ]
    assert counts == [[3, 3, 2], [0, 0, 0]]
    make_index(cloud, directory)
    busy = cloud.http.get(INDEXES, params={"expand": "sync_in_progress"}).json()["items"]
    assert [each["sync_in_progress"] for each in busy] == [False, False, False, True]
    assert busy[-1]["metadata"]["status"] == "pending"
