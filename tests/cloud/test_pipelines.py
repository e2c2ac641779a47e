"""Pipelines: making, filling, watching, searching and deleting them, in the words of either side."""

from typing import Any

import pytest

from state.cloud.ids import DEFAULT_PROJECT_ID
from state.cloud.members import Collection
from state.cloud.objects import CloudObjects
from state.tables import TaskRow
from tests.cloud.conftest import CLIENT_HEADERS, CloudWorld
from tests.cloud.makers import make_file, objects_of
from tests.workers.world import assert_invariants
from workers.sweeper import sweep

PIPELINES = "/api/v1/pipelines"
TIDES = "The moon pulls the water of the sea twice a day."
BREAD = "Flour, water, salt and a sour dough make bread."


def make_pipeline(cloud: CloudWorld, name: str = "papers", **settings: Any) -> dict[str, Any]:
    answer = cloud.http.post(PIPELINES, json={"name": name, "project_id": DEFAULT_PROJECT_ID, **settings})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def get(cloud: CloudWorld, path: str, **options: Any) -> Any:
    answer = cloud.http.get(f"{PIPELINES}/{path}".rstrip("/"), **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def add(cloud: CloudWorld, pipeline_id: str, *files: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    answer = cloud.http.put(f"{PIPELINES}/{pipeline_id}/files", json=list(files), **options)
    assert answer.status_code == 200, answer.text
    added: list[dict[str, Any]] = answer.json()
    return added


def filled(cloud: CloudWorld, **settings: Any) -> tuple[str, str, str]:
    """The ids of a pipeline and of its two files."""
    pipeline_id = make_pipeline(cloud, **settings)["id"]
    tides, bread = make_file(cloud, "tides.txt", TIDES), make_file(cloud, "bread.txt", BREAD)
    add(
        cloud,
        pipeline_id,
        {"file_id": tides, "metadata": {"topic": "sea", "year": 2001}},
        {"file_id": bread, "custom_metadata": {"topic": "food", "year": 2010}},
    )
    cloud.settle()
    assert not cloud.errors, cloud.errors
    return pipeline_id, tides, bread


def retrieve(cloud: CloudWorld, pipeline_id: str, **body: Any) -> dict[str, Any]:
    answer = cloud.http.post(f"{PIPELINES}/{pipeline_id}/retrieve", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


# -- making -------------------------------------------------------------------------------------------------


def test_a_new_pipeline_is_idle_and_tells_what_it_embeds_with(cloud: CloudWorld) -> None:
    made = make_pipeline(cloud, embedding_model="words", sync_interval=600)
    assert (made["name"], made["project_id"], made["status"]) == ("papers", DEFAULT_PROJECT_ID, "idle")
    assert (made["embedding_model"], made["embedding_dimension"], made["sync_interval"]) == ("words", 64, 600)
    assert made["embedding_config"]["component"]["model_name"] == "words"
    assert get(cloud, made["id"]) == made
    assert get(cloud, "", params={"project_id": DEFAULT_PROJECT_ID}) == [made]


def test_the_vendors_clients_read_their_own_status(cloud: CloudWorld) -> None:
    pipeline_id = make_pipeline(cloud)["id"]
    found = get(cloud, pipeline_id, headers=CLIENT_HEADERS)
    assert (found["status"], found["pipeline_type"]) == ("CREATED", "MANAGED")
    assert found["embedding_config"]["type"] == "HUGGINGFACE_API_EMBEDDING"


def test_an_embedding_model_that_is_not_here_is_refused(cloud: CloudWorld) -> None:
    for settings in (
        {"embedding_model": "text-embedding-3-large"},
        {"embedding_config": {"type": "OPENAI_EMBEDDING", "component": {"model_name": "text-embedding-3-large"}}},
        {"embedding_config": {"type": "OPENAI_EMBEDDING"}},
    ):
        answer = cloud.http.post(PIPELINES, json={"name": "p", "project_id": DEFAULT_PROJECT_ID, **settings})
        assert answer.status_code == 400
        assert "text-embedding-3-large" in answer.json()["detail"] or "OPENAI_EMBEDDING" in answer.json()["detail"]
        assert "Known: words" in answer.json()["detail"]
    assert get(cloud, "") == []


def test_a_model_whose_weights_are_here_is_taken(cloud: CloudWorld) -> None:
    made = make_pipeline(cloud, embedding_model="all-MiniLM-L6-v2")
    assert made["embedding_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert made["embedding_dimension"] == 384


@pytest.mark.parametrize("model", ["../../etc", "/etc/passwd", "a/b/c", "~root", "x" * 500, "a b", "ü", "."])
def test_names_that_no_model_can_have_are_refused(cloud: CloudWorld, model: str) -> None:
    body = {"name": "p", "project_id": DEFAULT_PROJECT_ID, "embedding_model": model}
    assert cloud.http.post(PIPELINES, json=body).status_code == 400


@pytest.mark.parametrize("name", ["", "   ", "a\x00b"], ids=["empty", "blank", "nul"])
def test_a_name_that_cannot_be_is_refused(cloud: CloudWorld, name: str) -> None:
    answer = cloud.http.post(PIPELINES, json={"name": name, "project_id": DEFAULT_PROJECT_ID})
    assert answer.status_code == 400


def test_a_name_is_had_once_in_a_project(cloud: CloudWorld) -> None:
    make_pipeline(cloud)
    answer = cloud.http.post(PIPELINES, json={"name": "papers", "project_id": DEFAULT_PROJECT_ID})
    assert answer.status_code == 400
    assert "papers" in answer.json()["detail"]
    other = cloud.http.post(PIPELINES, json={"name": "papers"}, params={"project_id": "other"})
    assert other.status_code == 201
    assert other.json()["project_id"] == "other"


def test_putting_a_name_makes_it_once_and_then_changes_it(cloud: CloudWorld) -> None:
    body = {"name": "papers", "transform_config": {"mode": "auto"}, "embedding_config": None}
    first = cloud.http.put(PIPELINES, json=body, headers=CLIENT_HEADERS)
    second = cloud.http.put(PIPELINES, json={**body, "sync_interval": 60}, headers=CLIENT_HEADERS)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["id"] == second.json()["id"]
    assert second.json()["sync_interval"] == 60
    assert len(get(cloud, "", params={"pipeline_name": "papers"})) == 1


def test_a_pipeline_can_be_renamed_but_keeps_its_embedder(cloud: CloudWorld) -> None:
    pipeline_id = make_pipeline(cloud)["id"]
    make_pipeline(cloud, "taken")
    path = f"{PIPELINES}/{pipeline_id}"
    assert cloud.http.put(path, json={"name": "better"}).json()["name"] == "better"
    assert cloud.http.put(path, json={"name": "taken"}).status_code == 409
    assert cloud.http.put(path, json={"embedding_model": "all-MiniLM-L6-v2"}).status_code == 400
    assert make_pipeline(cloud)["id"] != pipeline_id


@pytest.mark.parametrize(
    "settings",
    [
        {"data_sink": {"name": "pinecone"}},
        {"data_sink_id": "x"},
        {"embedding_model_config_id": "x"},
        {"sync_interval": -1},
        {"transform_config": {"mode": "magic"}},
        {"transform_config": {"mode": "auto", "chunk_size": 0}},
        {"transform_config": {"mode": "auto", "chunk_size": 10, "chunk_overlap": 10}},
        {"transform_config": {"mode": "advanced", "chunking_config": {"mode": "magic"}}},
        {"preset_retrieval_parameters": {"alpha": 2}},
    ],
    ids=lambda each: str(each)[:50],
)
def test_settings_that_cannot_be_are_refused(cloud: CloudWorld, settings: dict[str, Any]) -> None:
    answer = cloud.http.post(PIPELINES, json={"name": "p", "project_id": DEFAULT_PROJECT_ID, **settings})
    assert answer.status_code == 400, answer.text


def test_what_has_no_effect_is_told(cloud: CloudWorld) -> None:
    made = make_pipeline(
        cloud,
        llama_parse_parameters={"premium_mode": True, "lang": None},
        sparse_model_config={"model_type": "splade"},
        metadata_config={"excluded_embed_metadata_keys": ["a"]},
    )
    assert made["ignored_parameters"] == [
        "llama_parse_parameters.premium_mode",
        "sparse_model_config.model_type: splade",
        "metadata_config.excluded_embed_metadata_keys",
    ]


def test_pipelines_are_listed_page_by_page(cloud: CloudWorld) -> None:
    made = [make_pipeline(cloud, f"p{each}")["id"] for each in range(3)]
    first = cloud.http.get("/api/v2/pipelines", params={"page_size": 2}).json()
    rest = cloud.http.get("/api/v2/pipelines", params={"page_size": 2, "page_token": first["next_page_token"]}).json()
    assert [each["id"] for each in first["items"] + rest["items"]] == made
    assert rest["next_page_token"] is None


def test_a_pipeline_of_another_project_is_not_found(cloud: CloudWorld) -> None:
    pipeline_id, file_id, _ = filled(cloud)
    for method, path, body in (
        ("GET", "", None),
        ("PUT", "", {}),
        ("DELETE", "", None),
        ("GET", "/status", None),
        ("POST", "/sync", None),
        ("POST", "/sync/cancel", None),
        ("GET", "/files", None),
        ("PUT", "/files", []),
        ("GET", "/files2", None),
        ("GET", "/files/count", None),
        ("GET", "/files/status-counts", None),
        ("PUT", f"/files/{file_id}", {}),
        ("DELETE", f"/files/{file_id}", None),
        ("GET", f"/files/{file_id}/status", None),
        ("POST", "/retrieve", {"query": "moon"}),
    ):
        url = f"{PIPELINES}/{pipeline_id}{path}"
        answer = cloud.http.request(method, url, json=body, params={"project_id": "other"})
        assert answer.status_code == 404, (method, path, answer.text)


# -- files --------------------------------------------------------------------------------------------------


def test_files_are_processed_and_counted(cloud: CloudWorld) -> None:
    pipeline_id = make_pipeline(cloud)["id"]
    good, bad = make_file(cloud, "tides.txt", TIDES), make_file(cloud, "broken.pdf", b"%PDF-1.7 nothing")
    added = add(cloud, pipeline_id, {"file_id": good, "metadata": {"topic": "sea"}}, {"file_id": bad})
    assert [(each["file_id"], each["status"], each["metadata"]) for each in added] == [
        (good, "pending", {"topic": "sea"}),
        (bad, "pending", {}),
    ]
    assert get(cloud, pipeline_id)["status"] == "syncing"
    cloud.settle()
    assert get(cloud, f"{pipeline_id}/files/count") == {
        "total": 2, "pending": 0, "processing": 0, "completed": 1, "error": 1,
    }  # fmt: skip
    assert [each["status"] for each in get(cloud, f"{pipeline_id}/files")] == ["completed", "error"]
    assert "broken.pdf" in get(cloud, f"{pipeline_id}/files")[1]["status_message"]
    assert get(cloud, pipeline_id)["status"] == "active"
    status = get(cloud, f"{pipeline_id}/status")
    assert (status["status"], status["error"][0]["step"]) == ("PARTIAL_SUCCESS", "PARSE")


def test_the_vendors_clients_see_files_in_their_words(cloud: CloudWorld) -> None:
    pipeline_id = make_pipeline(cloud)["id"]
    assert get(cloud, f"{pipeline_id}/status")["status"] == "NOT_STARTED"
    good, bad = make_file(cloud, "tides.txt", TIDES), make_file(cloud, "broken.pdf", b"%PDF-1.7 nothing")
    files = [{"file_id": good, "custom_metadata": {"topic": "sea"}}, {"file_id": bad}]
    added = add(cloud, pipeline_id, *files, headers=CLIENT_HEADERS)
    assert [each["status"] for each in added] == ["NOT_STARTED", "NOT_STARTED"]
    assert get(cloud, f"{pipeline_id}/status")["status"] == "IN_PROGRESS"
    cloud.run_until("embed")
    assert get(cloud, f"{pipeline_id}/files/{good}/status")["status"] == "IN_PROGRESS"
    cloud.settle()
    assert get(cloud, f"{pipeline_id}/files/{good}/status")["status"] == "SUCCESS"
    failed = get(cloud, f"{pipeline_id}/files/{bad}/status")
    assert (failed["status"], failed["error"][0]["step"]) == ("ERROR", "PARSE")
    counts = get(cloud, f"{pipeline_id}/files/status-counts")
    assert (counts["counts"], counts["total_count"]) == ({"SUCCESS": 1, "ERROR": 1}, 2)
    page = get(cloud, f"{pipeline_id}/files2", params={"limit": 1, "offset": 1, "order_by": "name desc"})
    assert (page["total_count"], [each["name"] for each in page["files"]]) == (2, ["broken.pdf"])
    assert page["files"][0]["file_size"] == len(b"%PDF-1.7 nothing")
    only = get(cloud, f"{pipeline_id}/files2", params={"statuses": ["SUCCESS"], "file_name_contains": "TIDE"})
    assert [each["id"] for each in only["files"]] == [good]
    assert only["files"][0]["custom_metadata"] == {"topic": "sea"}
    beta = cloud.http.get(f"/api/v1/beta/pipelines/{pipeline_id}/files", params={"statuses": ["ERROR"]}).json()
    assert [each["id"] for each in beta["files"]] == [bad]


def test_files_that_do_not_exist_are_refused_and_nothing_is_added(cloud: CloudWorld) -> None:
    pipeline_id = make_pipeline(cloud)["id"]
    mine, theirs = make_file(cloud, "tides.txt", TIDES), make_file(cloud, "other.txt", BREAD, "other")
    for wrong in ("none", theirs):
        answer = cloud.http.put(f"{PIPELINES}/{pipeline_id}/files", json=[{"file_id": mine}, {"file_id": wrong}])
        assert answer.status_code == 400
        assert wrong in answer.json()["detail"]
    assert get(cloud, f"{pipeline_id}/files") == []


def test_an_order_that_is_not_known_is_refused(cloud: CloudWorld) -> None:
    pipeline_id = make_pipeline(cloud)["id"]
    answer = cloud.http.get(f"{PIPELINES}/{pipeline_id}/files2", params={"order_by": "magic"})
    assert answer.status_code == 400


def test_adding_a_file_again_replaces_what_is_said_of_it(cloud: CloudWorld) -> None:
    pipeline_id, tides, _ = filled(cloud)
    before = cloud.stored()
    add(cloud, pipeline_id, {"file_id": tides, "metadata": {"topic": "moon"}})
    cloud.settle()
    assert len(get(cloud, f"{pipeline_id}/files")) == 2
    assert cloud.stored() == before
    found = retrieve(cloud, pipeline_id, query="moon", top_k=1)
    assert found["results"][0]["metadata"]["topic"] == "moon"
    assert "year" not in found["results"][0]["metadata"]


def test_metadata_of_a_file_is_replaced_without_a_sync(cloud: CloudWorld) -> None:
    pipeline_id, tides, _ = filled(cloud)
    tasks = len(cloud.rows(TaskRow))
    answer = cloud.http.put(f"{PIPELINES}/{pipeline_id}/files/{tides}", json={"custom_metadata": {"topic": "moon"}})
    assert (answer.status_code, answer.json()["metadata"]) == (200, {"topic": "moon"})
    assert not cloud.queue.messages
    assert len(cloud.rows(TaskRow)) == tasks
    assert retrieve(cloud, pipeline_id, query="moon", top_k=1)["results"][0]["metadata"]["topic"] == "moon"


def test_a_file_that_is_taken_out_is_not_found_any_more(cloud: CloudWorld) -> None:
    pipeline_id, tides, _ = filled(cloud)
    answer = cloud.http.delete(f"{PIPELINES}/{pipeline_id}/files/{tides}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert [each["text"] for each in retrieve(cloud, pipeline_id, query="moon water")["results"]] == [BREAD]
    cloud.settle()
    assert list(cloud.stored().values()) == [BREAD]
    assert cloud.http.delete(f"{PIPELINES}/{pipeline_id}/files/{tides}").status_code == 404
    assert objects_of(cloud).get("file", tides).name == "tides.txt"
    assert_invariants(cloud)


def test_two_uploads_of_the_same_bytes_are_two_files_of_one_content(cloud: CloudWorld) -> None:
    pipeline_id = make_pipeline(cloud)["id"]
    one, two = make_file(cloud, "one.txt", TIDES), make_file(cloud, "two.txt", TIDES)
    add(cloud, pipeline_id, {"file_id": one}, {"file_id": two, "metadata": {"copy": True}})
    cloud.settle()
    assert get(cloud, f"{pipeline_id}/files/count")["completed"] == 2
    assert list(cloud.stored().values()) == [TIDES]
    cloud.http.delete(f"{PIPELINES}/{pipeline_id}/files/{one}")
    cloud.settle()
    assert list(cloud.stored().values()) == [TIDES]
    assert retrieve(cloud, pipeline_id, query="moon")["results"][0]["metadata"]["file_name"] == "two.txt"


# -- syncing ------------------------------------------------------------------------------------------------


def test_a_sync_is_a_job_for_some_and_the_pipeline_for_others(cloud: CloudWorld) -> None:
    pipeline_id, _, _ = filled(cloud)
    job = cloud.http.post(f"{PIPELINES}/{pipeline_id}/sync").json()
    assert (job["pipeline_id"], job["status"], job["completed_at"]) == (pipeline_id, "pending", None)
    assert job["id"] != pipeline_id
    pipeline = cloud.http.post(f"{PIPELINES}/{pipeline_id}/sync", headers=CLIENT_HEADERS).json()
    assert (pipeline["id"], pipeline["status"]) == (pipeline_id, "CREATED")
    cloud.settle()
    assert get(cloud, pipeline_id)["status"] == "active"
    assert get(cloud, f"{pipeline_id}/status")["status"] == "SUCCESS"


def test_cancelling_a_sync_takes_back_what_it_had_begun(cloud: CloudWorld) -> None:
    pipeline_id = make_pipeline(cloud)["id"]
    file_id = make_file(cloud, "tides.txt", TIDES)
    add(cloud, pipeline_id, {"file_id": file_id})
    cloud.run_until("embed")
    answer = cloud.http.post(f"{PIPELINES}/{pipeline_id}/sync/cancel", headers=CLIENT_HEADERS)
    assert (answer.status_code, answer.json()["id"]) == (200, pipeline_id)
    cloud.settle()
    assert cloud.stored() == {}
    assert get(cloud, f"{pipeline_id}/status")["status"] == "CANCELLED"
    assert get(cloud, f"{pipeline_id}/files/{file_id}/status")["status"] == "CANCELLED"
    assert get(cloud, f"{pipeline_id}/files/count")["error"] == 1
    assert get(cloud, pipeline_id)["status"] == "idle"
    cloud.http.post(f"{PIPELINES}/{pipeline_id}/sync")
    cloud.settle()
    assert get(cloud, f"{pipeline_id}/status")["status"] == "SUCCESS"


def test_another_way_of_cutting_processes_the_files_again(cloud: CloudWorld) -> None:
    pipeline_id, _, _ = filled(cloud)
    assert len(cloud.stored()) == 2
    cut = {"mode": "advanced", "chunking_config": {"mode": "character", "chunk_size": 20, "chunk_overlap": 0}}
    answer = cloud.http.put(f"{PIPELINES}/{pipeline_id}", json={"transform_config": cut})
    assert answer.status_code == 200, answer.text
    cloud.settle()
    assert not cloud.errors, cloud.errors
    assert len(cloud.stored()) >= 4
    assert all(len(text) <= 20 for text in cloud.stored().values())
    assert_invariants(cloud)


def test_a_way_of_cutting_given_at_first_is_used(cloud: CloudWorld) -> None:
    pipeline_id, _, _ = filled(cloud, transform_config={"mode": "auto", "chunk_size": 5, "chunk_overlap": 0})
    assert len(cloud.stored()) > 2
    assert get(cloud, pipeline_id)["transform_config"]["chunk_size"] == 5


def test_how_pictures_are_read_is_set_in_the_dataset(cloud: CloudWorld) -> None:
    parsing = {"languages": ["de", "en"], "disable_ocr": True, "fast_mode": True}
    pipeline_id, _, _ = filled(cloud, llama_parse_parameters=parsing)
    assert get(cloud, pipeline_id)["ignored_parameters"] == ["llama_parse_parameters.fast_mode"]
    config = cloud.projects.load("llamacloud", DEFAULT_PROJECT_ID)
    dataset = Collection(pipeline_id, "pipeline", DEFAULT_PROJECT_ID).dataset
    strategy = config.strategy(config.dataset(dataset).data_processing_strategy)
    options = strategy.parsers[0].config
    assert (options["ocr_languages"], options["use_ocr"], options["chunk_size"]) == ("deu+eng", False, 200)
    answer = cloud.http.put(f"{PIPELINES}/{pipeline_id}", json={"llama_parse_parameters": {}})
    assert answer.json()["ignored_parameters"] == []
    cloud.settle()
    config = cloud.projects.load("llamacloud", DEFAULT_PROJECT_ID)
    options = config.strategy(config.dataset(dataset).data_processing_strategy).parsers[0].config
    assert "use_ocr" not in options


def test_a_due_pipeline_is_synced_by_itself(cloud: CloudWorld) -> None:
    pipeline_id, _, _ = filled(cloud, sync_interval=3600)
    sweep(cloud.runtime)
    assert not cloud.queue.messages
    long_ago(cloud, pipeline_id)
    sweep(cloud.runtime)
    assert [name for name, _ in cloud.queue.messages] == ["job_ask"]
    before = objects_of(cloud).get("pipeline", pipeline_id).body["last_synced_at"]
    cloud.settle()
    assert objects_of(cloud).get("pipeline", pipeline_id).body["last_synced_at"] > before
    sweep(cloud.runtime)
    assert not cloud.queue.messages


def test_the_schedule_outlives_a_restart(cloud: CloudWorld) -> None:
    pipeline_id, _, _ = filled(cloud, sync_interval=3600)
    long_ago(cloud, pipeline_id)
    cloud.restart()
    sweep(cloud.runtime)
    assert [name for name, _ in cloud.queue.messages] == ["job_ask"]


def test_a_scheduled_sync_leaves_files_that_failed_alone(cloud: CloudWorld) -> None:
    pipeline_id = make_pipeline(cloud, sync_interval=3600)["id"]
    add(cloud, pipeline_id, {"file_id": make_file(cloud, "broken.pdf", b"%PDF-1.7 nothing")})
    cloud.settle()
    tasks = len(cloud.rows(TaskRow))
    long_ago(cloud, pipeline_id)
    cloud.settle()
    sweep(cloud.runtime)
    cloud.settle()
    assert len(cloud.rows(TaskRow)) == tasks
    assert get(cloud, f"{pipeline_id}/files/count")["error"] == 1
    cloud.http.post(f"{PIPELINES}/{pipeline_id}/sync")
    cloud.settle()
    assert len(cloud.rows(TaskRow)) == tasks + 1


def long_ago(cloud: CloudWorld, pipeline_id: str) -> None:
    """Have its last sync been a day before."""
    objects = CloudObjects(cloud.database)
    body = objects.get("pipeline", pipeline_id).body
    state, ended = body["sync"], body["last_synced_at"] - 86_400
    objects.edit_body("pipeline", pipeline_id, sync={**state, "at": state["at"] - 86_400}, last_synced_at=ended)


def test_deleting_a_pipeline_leaves_its_files(cloud: CloudWorld) -> None:
    pipeline_id, tides, _ = filled(cloud)
    collection = Collection(pipeline_id, "pipeline", DEFAULT_PROJECT_ID)
    assert cloud.http.delete(f"{PIPELINES}/{pipeline_id}").status_code == 200
    assert cloud.http.get(f"{PIPELINES}/{pipeline_id}").status_code == 404
    cloud.settle()
    assert not cloud.errors, cloud.errors
    assert cloud.stored() == {}
    config = cloud.projects.load("llamacloud", DEFAULT_PROJECT_ID)
    assert collection.dataset not in [each.name for each in config.datasets]
    assert objects_of(cloud).get("file", tides).ref
    again = make_pipeline(cloud)["id"]
    add(cloud, again, {"file_id": tides})
    cloud.settle()
    assert get(cloud, f"{again}/files/count")["completed"] == 1
    assert_invariants(cloud)


# -- searching ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["fast", "accurate", "advanced"])
def test_passages_come_best_first_with_their_metadata(cloud: CloudWorld, mode: str) -> None:
    pipeline_id, tides, _ = filled(cloud)
    found = retrieve(cloud, pipeline_id, query="the moon and the sea", mode=mode, top_k=2)
    best = found["results"][0]
    assert (best["text"], best["metadata"]["topic"], best["metadata"]["year"]) == (TIDES, "sea", 2001)
    assert (best["metadata"]["file_name"], best["metadata"]["file_id"]) == ("tides.txt", tides)
    scores = [each["score"] for each in found["results"]]
    assert scores == sorted(scores, reverse=True)
    assert len(retrieve(cloud, pipeline_id, query="water", mode=mode, top_k=1)["results"]) == 1


def test_the_answer_reads_the_same_for_the_vendors_clients(cloud: CloudWorld) -> None:
    pipeline_id, _, _ = filled(cloud)
    found = retrieve(cloud, pipeline_id, query="moon", dense_similarity_top_k=5, enable_reranking=False)
    assert found["pipeline_id"] == pipeline_id
    assert [each["node"]["text"] for each in found["retrieval_nodes"]] == [each["text"] for each in found["results"]]
    node = found["retrieval_nodes"][0]["node"]
    assert (node["start_char_idx"], node["end_char_idx"]) == (0, len(node["text"]))
    assert node["extra_info"]["topic"] == "sea"
    assert (found["image_nodes"], found["page_figure_nodes"]) == ([], [])


def test_alpha_zero_finds_by_words_alone(cloud: CloudWorld) -> None:
    pipeline_id, _, _ = filled(cloud)
    found = retrieve(cloud, pipeline_id, query="dough", alpha=0.0, sparse_similarity_top_k=5)
    assert [each["text"] for each in found["results"]] == [BREAD]
    both = retrieve(cloud, pipeline_id, query="dough", alpha=1.0, dense_similarity_top_k=5)
    assert len(both["results"]) == 2


def test_a_cutoff_leaves_out_what_is_not_similar(cloud: CloudWorld) -> None:
    pipeline_id, _, _ = filled(cloud)
    everything = retrieve(cloud, pipeline_id, query="moon sea", alpha=1.0)["results"]
    cutoff = (everything[0]["score"] + everything[1]["score"]) / 2
    left = retrieve(cloud, pipeline_id, query="moon sea", alpha=1.0, dense_similarity_cutoff=cutoff)["results"]
    assert [each["text"] for each in left] == [everything[0]["text"]]


def test_search_filters_choose_files(cloud: CloudWorld) -> None:
    pipeline_id, _, _ = filled(cloud)
    late = {"filters": [{"key": "year", "operator": ">=", "value": 2005}]}
    assert [each["text"] for each in retrieve(cloud, pipeline_id, query="water", search_filters=late)["results"]] == [
        BREAD
    ]
    either = {
        "condition": "or",
        "filters": [{"key": "topic", "operator": "==", "value": "sea"}, {"key": "topic", "value": "nothing"}],
    }
    assert [each["text"] for each in retrieve(cloud, pipeline_id, query="water", search_filters=either)["results"]] == [
        TIDES
    ]


def test_presets_hold_until_a_request_says_otherwise(cloud: CloudWorld) -> None:
    only = {"filters": [{"key": "topic", "value": "food"}]}
    pipeline_id, _, _ = filled(cloud, preset_retrieval_parameters={"search_filters": only, "alpha": 1.0})
    assert [each["text"] for each in retrieve(cloud, pipeline_id, query="water")["results"]] == [BREAD]
    other = {"filters": [{"key": "topic", "value": "sea"}]}
    assert [each["text"] for each in retrieve(cloud, pipeline_id, query="water", search_filters=other)["results"]] == [
        TIDES
    ]


@pytest.mark.parametrize("mode", ["files_via_metadata", "files_via_content"])
def test_whole_files_are_found(cloud: CloudWorld, mode: str) -> None:
    pipeline_id, tides, _ = filled(cloud, transform_config={"mode": "auto", "chunk_size": 4, "chunk_overlap": 0})
    found = retrieve(cloud, pipeline_id, query="sea tides of the moon", retrieval_mode=mode, files_top_k=1)
    assert [each["text"] for each in found["results"]] == [TIDES]
    assert found["results"][0]["metadata"]["file_id"] == tides
    assert found["metadata"]["retrieval_mode"] == mode


def test_a_question_that_names_a_file_is_routed_to_it(cloud: CloudWorld) -> None:
    pipeline_id, _, bread = filled(cloud)
    named = retrieve(cloud, pipeline_id, query="What stands in bread.txt?", retrieval_mode="auto_routed", files_top_k=1)
    assert named["metadata"]["retrieval_mode"] == "files_via_metadata"
    assert named["results"][0]["metadata"]["file_id"] == bread
    other = retrieve(cloud, pipeline_id, query="What pulls the sea?", retrieval_mode="auto_routed")
    assert other["metadata"]["retrieval_mode"] == "chunks"


def test_an_empty_pipeline_finds_nothing(cloud: CloudWorld) -> None:
    assert retrieve(cloud, make_pipeline(cloud)["id"], query="moon")["results"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"query": ""},
        {"query": "   "},
        {},
        {"query": "x", "top_k": 0},
        {"query": "x", "top_k": -1},
        {"query": "x", "mode": "magic"},
        {"query": "x", "retrieval_mode": "magic"},
        {"query": "x", "alpha": 2},
        {"query": "x", "dense_similarity_top_k": 0, "sparse_similarity_top_k": 0},
        {"query": "x", "search_filters": {"filters": [{"key": "a", "operator": "~", "value": 1}]}},
        {"query": "x", "search_filters": {"filters": "all"}},
    ],
    ids=lambda each: str(each)[:60],
)
def test_a_question_that_cannot_be_is_refused(cloud: CloudWorld, body: dict[str, Any]) -> None:
    pipeline_id = make_pipeline(cloud)["id"]
    answer = cloud.http.post(f"{PIPELINES}/{pipeline_id}/retrieve", json=body)
    assert answer.status_code == 400, answer.text


def test_an_interval_of_less_than_a_minute_is_made_a_minute(cloud: CloudWorld) -> None:
    made = make_pipeline(cloud, sync_interval=1)
    assert made["sync_interval"] == 60
    changed = cloud.http.put(f"{PIPELINES}/{made['id']}", json={"sync_interval": 59}).json()
    assert changed["sync_interval"] == 60
    assert cloud.http.put(f"{PIPELINES}/{made['id']}", json={"sync_interval": 0}).json()["sync_interval"] is None


def test_a_list_tells_what_each_pipeline_tells_and_asks_no_more_for_more_of_them(cloud: CloudWorld) -> None:
    first, _, _ = filled(cloud, name="first")
    make_pipeline(cloud, "empty")
    with cloud.counted_statements() as few:
        assert len(get(cloud, "")) == 2
    broken = make_pipeline(cloud, "broken")["id"]
    add(cloud, broken, {"file_id": make_file(cloud, "broken.pdf", b"%PDF-1.7 nothing")})
    filled(cloud, name="other")
    told = {each["name"]: each["status"] for each in get(cloud, "")}
    assert told == {"first": "active", "empty": "idle", "broken": "error", "other": "active"}
    assert all(each == get(cloud, each["id"]) for each in get(cloud, ""))
    cloud.http.delete(f"{PIPELINES}/{broken}")
    cloud.settle()
    with cloud.counted_statements() as more:
        assert get(cloud, "")[0]["id"] == first
    assert len(more) == len(few)
