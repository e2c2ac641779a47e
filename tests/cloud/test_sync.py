"""Bringing a collection in step with its files: once, twice, in pieces, and with others at the same time."""

import pytest

from rag.errors import ConflictError, UpstreamError
from rag.parsers.auto import UniversalParser
from state.cloud.blobs import CloudFiles
from state.cloud.collections import SYNC, Collections
from state.cloud.jobs import JobFilter
from state.cloud.members import Collection, Members
from state.cloud.objects import CloudObject, CloudObjects
from state.files import DatasetFiles
from state.tables import TaskRow
from tests.cloud.conftest import CloudWorld
from tests.cloud.makers import describe, make_directory, make_file, objects_of, put_into, take_out
from tests.cloud.test_indexes import INDEXES, built, get_index, make_index, papers
from tests.workers.world import assert_invariants
from workers.cloud.sync import _Alignment
from workers.dispatch import Dispatcher
from workers.sweeper import sweep


def sync(cloud: CloudWorld, index_id: str) -> None:
    answer = cloud.http.post(f"{INDEXES}/{index_id}/sync")
    assert (answer.status_code, answer.json()) == (200, {})


def synced(cloud: CloudWorld, index_id: str) -> dict[str, object]:
    sync(cloud, index_id)
    cloud.settle()
    assert not cloud.errors, cloud.errors
    facts: dict[str, object] = get_index(cloud, index_id)["metadata"]
    return facts


def count_embedded(cloud: CloudWorld, index_id: str) -> list[str]:
    collection = collection_of(cloud, index_id)
    config = cloud.projects.load("llamacloud", collection.project_id)
    batching = cloud.assembly.embedder(config.database(collection.database))
    texts: list[str] = []
    original = batching.inner.embed_documents  # type: ignore[attr-defined]  # a BatchingEmbedder

    def counted(batch: list[str]) -> object:
        texts.extend(batch)
        return original(batch)

    cloud.patches.setattr(batching.inner, "embed_documents", counted)  # type: ignore[attr-defined]
    return texts


def collection_of(cloud: CloudWorld, index_id: str) -> Collection:
    return Collection(index_id, "index", objects_of(cloud).get("index", index_id).project_id)


def members_of(cloud: CloudWorld, index_id: str) -> dict[str, dict[str, object]]:
    members = Members(CloudObjects(cloud.database)).all(collection_of(cloud, index_id))
    return {each.name: dict(each.metadata) for each in members}


def stored_names(cloud: CloudWorld, index_id: str) -> set[str]:
    collection = collection_of(cloud, index_id)
    paths = cloud.projects.paths("llamacloud", collection.project_id).dataset(collection.dataset)
    return {each.original_file_name for each in DatasetFiles(paths).list()}


def sync_jobs(cloud: CloudWorld, index_id: str) -> list[str]:
    return [each.state for each in cloud.cloud_jobs.all(SYNC, JobFilter(item_key=index_id))]


def test_a_second_sync_without_a_change_embeds_nothing(cloud: CloudWorld) -> None:
    index = built(cloud, papers(cloud))
    texts, tasks = count_embedded(cloud, index["id"]), len(cloud.rows(TaskRow))
    facts = synced(cloud, index["id"])
    assert texts == []
    assert len(cloud.rows(TaskRow)) == tasks
    assert facts["status"] == "ready"
    assert get_index(cloud, index["id"])["last_synced_at"] > index["last_synced_at"]


def test_only_a_new_file_is_embedded(cloud: CloudWorld) -> None:
    directory = papers(cloud)
    index = built(cloud, directory)
    texts = count_embedded(cloud, index["id"])
    put_into(cloud, directory, make_file(cloud, "stars.txt", "Stars burn hydrogen."))
    facts = synced(cloud, index["id"])
    assert [each for each in texts if "Stars" in each] == texts != []
    assert facts["files_completed"] == 3


def test_changed_metadata_touches_no_chunk(cloud: CloudWorld) -> None:
    directory = make_directory(cloud)
    entry = put_into(cloud, directory, make_file(cloud, "tides.txt", "The moon pulls."), year=2001)
    index = built(cloud, directory)
    before, texts = cloud.stored(), count_embedded(cloud, index["id"])
    describe(cloud, entry, year=2002)
    synced(cloud, index["id"])
    assert members_of(cloud, index["id"]) == {"tides.txt": {"year": 2002}}
    assert cloud.stored() == before
    assert texts == []


def test_chunks_of_a_vanished_file_go(cloud: CloudWorld) -> None:
    directory = papers(cloud)
    gone = put_into(cloud, directory, make_file(cloud, "gone.txt", "Soon forgotten."))
    index = built(cloud, directory)
    assert any("forgotten" in text for text in cloud.stored().values())
    take_out(cloud, gone)
    facts = synced(cloud, index["id"])
    assert not any("forgotten" in text for text in cloud.stored().values())
    assert facts["file_count"] == 2
    assert stored_names(cloud, index["id"]) == {"tides.txt", "bread.txt"}
    assert_invariants(cloud)


def test_two_files_with_the_same_content_are_embedded_once_and_both_there(cloud: CloudWorld) -> None:
    directory = make_directory(cloud)
    first = put_into(cloud, directory, make_file(cloud, "one.txt", "The same words."), copy="first")
    put_into(cloud, directory, make_file(cloud, "two.txt", "The same words."), copy="second")
    index = built(cloud, directory)
    facts = index["metadata"]
    assert (facts["file_count"], facts["files_completed"], facts["chunk_count"]) == (2, 2, 1)
    assert members_of(cloud, index["id"]) == {"one.txt": {"copy": "first"}, "two.txt": {"copy": "second"}}
    take_out(cloud, first)
    facts = synced(cloud, index["id"])
    assert (facts["file_count"], facts["files_completed"], facts["chunk_count"]) == (1, 1, 1)
    assert list(cloud.stored().values()) == ["The same words."]


def test_syncs_that_are_asked_for_while_one_waits_are_one(cloud: CloudWorld) -> None:
    index = make_index(cloud, papers(cloud))
    for _ in range(3):
        sync(cloud, index["id"])
    assert sync_jobs(cloud, index["id"]) == ["waiting"]
    cloud.settle()
    assert sync_jobs(cloud, index["id"]) == ["completed"]


def test_what_changes_during_a_sync_is_taken_in_by_it(cloud: CloudWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = papers(cloud)
    index = make_index(cloud, directory)
    original, late = Dispatcher.start_ingest, []

    def start(self: Dispatcher, **values: object) -> str:
        if not late:
            late.append(put_into(cloud, directory, make_file(cloud, "late.txt", "Came late.")))
            sync(cloud, index["id"])
        return original(self, **values)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(Dispatcher, "start_ingest", start)
    cloud.settle()
    assert get_index(cloud, index["id"])["metadata"]["files_completed"] == 3
    assert sync_jobs(cloud, index["id"]) == ["completed"]
    assert_invariants(cloud)


def test_a_sync_while_files_are_embedded_starts_no_second_ingest_of_them(cloud: CloudWorld) -> None:
    index = make_index(cloud, papers(cloud))
    cloud.run_until("embed")
    sync(cloud, index["id"])
    cloud.settle()
    assert len(cloud.rows(TaskRow)) == 1
    assert get_index(cloud, index["id"])["metadata"]["status"] == "ready"
    assert get_index(cloud, index["id"])["last_exported_at"] is not None


CRASHES = [
    (DatasetFiles, "adopt", "before", 1),
    (DatasetFiles, "adopt", "after", 1),
    (DatasetFiles, "_write_meta", "before", 2),
    (Dispatcher, "start_ingest", "before", 1),
    (Dispatcher, "start_ingest", "after", 1),
    (Collections, "release", "before", 1),
    (Collections, "release", "after", 1),
    (Collections, "record", "before", 1),
    (Collections, "record", "after", 1),
]


@pytest.mark.parametrize(
    ("target", "name", "when", "nth"), CRASHES, ids=[f"{each[2]} {each[1]} {each[3]}" for each in CRASHES]
)
def test_a_sync_that_dies_is_done_by_another(cloud: CloudWorld, target: type, name: str, when: str, nth: int) -> None:
    index = make_index(cloud, papers(cloud))
    cloud.crash(target, name, when=when, nth=nth)
    cloud.settle()
    assert not cloud.errors, cloud.errors
    found = get_index(cloud, index["id"])
    assert found["metadata"]["status"] == "ready", found
    assert found["last_exported_at"] is not None
    assert len(cloud.stored()) == 2
    assert_invariants(cloud)


@pytest.mark.parametrize("name", ["remove_file", "remove_dataset"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_removal_that_dies_is_done_by_another(cloud: CloudWorld, name: str, when: str) -> None:
    directory = papers(cloud)
    gone = put_into(cloud, directory, make_file(cloud, "gone.txt", "Soon forgotten."))
    index = built(cloud, directory)
    take_out(cloud, gone)
    cloud.crash(Dispatcher, name, when=when)
    sync(cloud, index["id"])
    cloud.settle()
    assert len(cloud.stored()) == 2
    assert cloud.http.delete(f"{INDEXES}/{index['id']}").status_code == 204
    cloud.settle()
    assert cloud.stored() == {}
    assert_invariants(cloud)


def test_a_worker_that_dies_while_it_embeds_loses_nothing(cloud: CloudWorld) -> None:
    index = make_index(cloud, papers(cloud))
    cloud.run_until("embed")
    cloud.queue.messages.clear()
    cloud.settle()
    assert get_index(cloud, index["id"])["metadata"]["files_completed"] == 2


def test_cancelling_a_sync_that_waits_ends_it(cloud: CloudWorld) -> None:
    index = make_index(cloud, papers(cloud))
    answer = cloud.http.post(f"{INDEXES}/{index['id']}/sync/cancel")
    assert answer.status_code == 200
    cloud.settle()
    assert sync_jobs(cloud, index["id"]) == ["cancelled"]
    assert get_index(cloud, index["id"])["metadata"]["status"] == "pending"
    assert cloud.stored() == {}
    assert synced(cloud, index["id"])["status"] == "ready"


def test_cancelling_during_the_ingest_ends_that(cloud: CloudWorld) -> None:
    index = make_index(cloud, papers(cloud))
    cloud.run_until("embed")
    assert cloud.http.post(f"{INDEXES}/{index['id']}/sync/cancel").status_code == 200
    cloud.settle()
    found = get_index(cloud, index["id"])
    assert found["metadata"]["status"] != "syncing"
    assert found["metadata"]["files_completed"] == 0
    assert cloud.stored() == {}
    assert synced(cloud, index["id"])["files_completed"] == 2


def test_a_file_that_failed_is_tried_again_by_a_sync(cloud: CloudWorld) -> None:
    directory = papers(cloud)
    put_into(cloud, directory, make_file(cloud, "stars.txt", "Stars burn."))
    index = make_index(cloud, directory)
    cloud.fail(UniversalParser, "parse", RuntimeError("a bug"), times=1)
    cloud.settle()
    cloud.errors.clear()
    assert get_index(cloud, index["id"])["metadata"]["files_failed"] == 1
    assert synced(cloud, index["id"])["files_failed"] == 0


def test_bytes_that_are_gone_are_told_and_others_go_on(cloud: CloudWorld) -> None:
    directory = papers(cloud)
    lost = put_into(cloud, directory, make_file(cloud, "lost.txt", "Lost."))
    entry = objects_of(cloud).get("directory_file", lost)
    CloudFiles.of(cloud.settings, entry.project_id).remove(entry.body["file_hash"])
    facts = built(cloud, directory)["metadata"]
    assert (facts["status"], facts["files_completed"], facts["files_failed"]) == ("partial", 2, 1)
    assert "not stored any more" in facts["errors"][0]["message"]


def test_a_store_that_fails_is_asked_again(cloud: CloudWorld) -> None:
    index = make_index(cloud, papers(cloud))
    cloud.fail(Dispatcher, "start_ingest", UpstreamError("the broker does not answer"), times=2)
    cloud.settle()
    assert get_index(cloud, index["id"])["metadata"]["status"] == "ready"


def test_a_sync_that_fails_as_a_whole_says_why(cloud: CloudWorld) -> None:
    index = make_index(cloud, papers(cloud))
    cloud.fail(Dispatcher, "start_ingest", ConflictError("the database is being moved"), times=1)
    cloud.settle()
    facts = get_index(cloud, index["id"])["metadata"]
    assert (facts["status"], facts["files_failed"]) == ("error", 2)
    assert "being moved" in facts["errors"][0]["message"]
    assert synced(cloud, index["id"])["status"] == "ready"


def test_an_index_that_follows_its_directory_is_synced_by_itself(cloud: CloudWorld) -> None:
    directory = papers(cloud)
    index = built(cloud, directory, sync_frequency="on_source_change")
    sweep(cloud.runtime)
    assert not cloud.queue.messages
    late = put_into(cloud, directory, make_file(cloud, "late.txt", "Came late."))
    sweep(cloud.runtime)
    cloud.settle()
    assert get_index(cloud, index["id"])["metadata"]["files_completed"] == 3
    take_out(cloud, late)
    sweep(cloud.runtime)
    cloud.settle()
    assert get_index(cloud, index["id"])["metadata"]["files_completed"] == 2
    sweep(cloud.runtime)
    assert not cloud.queue.messages


def test_an_index_that_nobody_syncs_stays_as_it_is(cloud: CloudWorld) -> None:
    directory = papers(cloud)
    index = built(cloud, directory)
    put_into(cloud, directory, make_file(cloud, "late.txt", "Came late."))
    sweep(cloud.runtime)
    assert not cloud.queue.messages
    assert get_index(cloud, index["id"])["metadata"]["file_count"] == 2


def test_a_file_put_into_the_dataset_from_the_other_side_is_removed_by_the_next_sync(cloud: CloudWorld) -> None:
    index = built(cloud, papers(cloud))
    place = collection_of(cloud, index["id"])
    path = f"/v1/projects/llamacloud/{place.project_id}/datasets/{place.dataset}/data"
    assert cloud.http.post(path, files={"file": ("foreign.txt", b"Not of this index.")}).status_code == 200
    assert "foreign.txt" in stored_names(cloud, index["id"])
    synced(cloud, index["id"])
    assert stored_names(cloud, index["id"]) == {"tides.txt", "bread.txt"}
    assert_invariants(cloud)


def test_what_somebody_asks_for_is_not_lost_in_a_scheduled_sync(cloud: CloudWorld) -> None:
    directory = papers(cloud)
    put_into(cloud, directory, make_file(cloud, "stars.txt", "Stars burn."))
    index = make_index(cloud, directory)
    cloud.fail(UniversalParser, "parse", RuntimeError("a bug"), times=1)
    cloud.settle()
    cloud.errors.clear()
    collections, place = Collections(cloud.database), collection_of(cloud, index["id"])
    scheduled, _ = collections.request_sync(place, scheduled=True)
    sync(cloud, index["id"])
    assert [each.id for each in cloud.cloud_jobs.all(SYNC, JobFilter(item_key=place.id))][-1] == scheduled.id
    cloud.settle()
    assert get_index(cloud, index["id"])["metadata"]["files_failed"] == 0


def test_a_schedule_that_ticks_during_a_sync_does_not_prolong_it(
    cloud: CloudWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = make_index(cloud, papers(cloud))
    collections, place = Collections(cloud.database), collection_of(cloud, index["id"])
    original, rounds = _Alignment.run, []

    def run(self: _Alignment, found: CloudObject) -> object:
        rounds.append(found.id)
        if len(rounds) < 5:
            collections.request_sync(place, scheduled=True)
        return original(self, found)

    monkeypatch.setattr(_Alignment, "run", run)
    cloud.settle()
    assert rounds == [index["id"]]
    assert sync_jobs(cloud, index["id"]) == ["completed"]


def test_an_index_whose_directory_was_deleted_keeps_what_it_has_and_says_so(cloud: CloudWorld) -> None:
    directory = papers(cloud)
    index = built(cloud, directory)
    assert cloud.http.delete(f"/api/v1/beta/directories/{directory}").status_code == 204
    facts = synced(cloud, index["id"])
    assert (facts["status"], facts["file_count"], facts["files_completed"]) == ("error", 2, 2)
    assert f"its directory {directory} was deleted" in facts["errors"][0]["message"]  # type: ignore[index]
    assert stored_names(cloud, index["id"]) == {"tides.txt", "bread.txt"}
