"""What is kept of things that are no more goes with them, or after its time."""

import os
import time
from pathlib import Path

from sqlalchemy import update

from state.cloud.blobs import CloudFiles
from state.cloud.shelf import FileShelf
from state.cloud.tables import CloudJobRow
from tests.cloud.conftest import CloudWorld
from tests.cloud.makers import objects_of
from tests.cloud.test_indexes import INDEXES, built, get_index, papers
from workers.upkeep import tidy_up

DAY_S = 86_400.0


def root(cloud: CloudWorld, project_id: str) -> Path:
    return CloudFiles.of(cloud.settings, project_id).root


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if not each.name.startswith(".")) if folder.is_dir() else []


def age(path: Path, days: float = 2.0) -> None:
    then = time.time() - days * DAY_S
    os.utime(path, (then, then))


def parse(cloud: CloudWorld, file_id: str) -> str:
    """The id of a job that has ended."""
    made = cloud.http.post("/api/v2/parse", params={"project_id": "team"}, json={"file_id": file_id})
    assert made.status_code == 200, made.text
    cloud.settle()
    return str(made.json()["id"])


def end_long_ago(cloud: CloudWorld, *job_ids: str, days: float = 31.0) -> None:
    with cloud.database.write() as session:
        ended = update(CloudJobRow).where(CloudJobRow.id.in_(job_ids))
        session.execute(ended.values(finished_at=time.time() - days * DAY_S))


def test_the_texts_of_a_file_go_with_its_bytes(cloud: CloudWorld) -> None:
    first, second = (cloud.upload(name, "The moon.", "team") for name in ("a.txt", "b.txt"))
    parse(cloud, first)
    assert len(names(root(cloud, "team") / "parsed")) == 1
    cloud.http.delete(f"/api/v1/files/{first}")
    assert len(names(root(cloud, "team") / "parsed")) == 1  # the other one has the same bytes
    cloud.http.delete(f"/api/v1/files/{second}")
    assert names(root(cloud, "team") / "parsed") == names(root(cloud, "team") / "files") == []


def test_a_text_that_was_read_while_its_bytes_went_is_swept(cloud: CloudWorld) -> None:
    kept = cloud.upload("a.txt", "The moon.", "team")
    parse(cloud, kept)
    folder = root(cloud, "team") / "parsed"
    (text,) = names(folder)
    (folder / f"{'0' * 64}.1234.json").write_text("{}")
    tidy_up(cloud.runtime)
    assert names(folder) == [text]


def test_jobs_of_long_ago_go_with_their_results(cloud: CloudWorld) -> None:
    file_id = cloud.upload("a.txt", "The moon.", "team")
    old, new = parse(cloud, file_id), parse(cloud, file_id)
    end_long_ago(cloud, old)
    end_long_ago(cloud, new, days=29)
    for each in (old, new):
        age(root(cloud, "team") / "jobs" / each)
    tidy_up(cloud.runtime)
    query = {"project_id": "team"}
    assert cloud.http.get(f"/api/v2/parse/{old}", params=query).status_code == 404
    assert cloud.http.get(f"/api/parsing/job/{new}/result/text", params=query).json()["text"].strip() == "The moon."
    assert names(root(cloud, "team") / "jobs") == [new]


def test_results_of_sheets_stay(cloud: CloudWorld) -> None:
    file_id = cloud.upload("a.csv", "name,price\nmoon,3\nsun,4\n", "team")
    made = cloud.http.post("/api/v1/beta/sheets/jobs", params={"project_id": "team"}, json={"file_id": file_id}).json()
    cloud.settle()
    end_long_ago(cloud, made["id"], days=400)
    folder = root(cloud, "team") / "jobs" / made["id"]
    age(folder)
    before = names(folder)
    tidy_up(cloud.runtime)
    assert names(folder) == before
    got = cloud.http.get(f"/api/v1/beta/sheets/jobs/{made['id']}", params={"project_id": "team"})
    assert got.status_code == 200


def test_bytes_that_nothing_points_at_are_swept_after_a_day(cloud: CloudWorld) -> None:
    used = cloud.upload("a.txt", "The moon.", "team")
    files = CloudFiles.of(cloud.settings, "team")
    shelf = FileShelf(objects_of(cloud), files, "team")
    lost, young, again = (shelf.put_bytes(each, "x.txt", 100).hash for each in (b"lost", b"young", b"again"))
    for each in names(files.root / "files"):
        if each != young:
            age(files.root / "files" / each)
    shelf.put_bytes(b"again", "x.txt", 100)  # work that has just begun brings the same bytes
    tidy_up(cloud.runtime)
    left = names(files.root / "files")
    assert lost not in left
    assert {young, again} < set(left)
    assert len(left) == 3
    assert cloud.http.get(f"/api/v1/files/{used}/content", params={"project_id": "team"}).status_code == 200


def test_what_is_behind_a_deleted_index_goes_also_when_the_project_cannot_be_read_for_a_while(
    cloud: CloudWorld,
) -> None:
    index = built(cloud, papers(cloud))
    file = cloud.projects.paths("llamacloud", index["project_id"]).config_file
    before = file.read_bytes()
    file.write_text("version: [")
    assert cloud.http.delete(f"{INDEXES}/{index['id']}").status_code == 204
    cloud.settle()
    assert {job.state for job in cloud.rows(CloudJobRow) if job.kind == "drop"} == {"failed"}
    tidy_up(cloud.runtime)
    cloud.settle()
    assert cloud.stored() != {}
    file.write_bytes(before)
    tidy_up(cloud.runtime)
    cloud.settle()
    assert {job.state for job in cloud.rows(CloudJobRow) if job.kind == "drop"} == {"completed"}
    assert cloud.stored() == {}
    config = cloud.projects.load("llamacloud", index["project_id"])
    assert (config.databases, config.datasets) == ([], [])
    assert objects_of(cloud).all("member") == []


def test_syncs_of_long_ago_are_forgotten_but_for_the_last_of_each_collection(cloud: CloudWorld) -> None:
    directory = papers(cloud)
    first, second = built(cloud, directory), built(cloud, directory)
    for _ in range(2):
        assert cloud.http.post(f"{INDEXES}/{first['id']}/sync").status_code == 200
        cloud.settle()
    syncs = [job for job in cloud.rows(CloudJobRow) if job.kind == "sync"]
    assert len(syncs) == 4
    end_long_ago(cloud, *(job.id for job in syncs))
    tidy_up(cloud.runtime)
    left = [job.item_key for job in cloud.rows(CloudJobRow) if job.kind == "sync"]
    assert sorted(left) == sorted([first["id"], second["id"]])
    assert get_index(cloud, first["id"])["metadata"]["status"] == "ready"
