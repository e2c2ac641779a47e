"""Where pipelines take files from besides uploads."""

import http.server
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.outside import Fetched
from state.cloud.blobs import CloudFiles
from state.cloud.objects import CloudObjects
from state.cloud.tables import CloudJobRow, CloudObjectRow
from tests.cloud.conftest import CloudWorld
from workers.cloud import sources
from workers.cloud.runner import run_next

PATH = "/api/v1/data-sources"
PAGES: dict[str, bytes | None] = {}
KEYS: list[str | None] = []
HANGS, GO_ON = threading.Event(), threading.Event()
"""Set when a server has sent a part of `/hang.txt`, and to let it end."""


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        KEYS.append(self.headers.get("X-Key"))
        body = PAGES.get(self.path)
        if body is None:
            self.send_error(500 if self.path in PAGES else 404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.path == "/hang.txt":
            self.wfile.write(body[:100_000])
            HANGS.set()
            GO_ON.wait(20)
            return
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return None


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that the operator allows."""
    found = tmp_path / "allowed" / "docs"
    found.mkdir(parents=True)
    monkeypatch.setenv("LF_DATA_SOURCE_DIRS", str(found.parent))
    monkeypatch.setenv("LF_ALLOWED_HOSTS", "127.0.0.1")
    return found


@pytest.fixture
def world(folder: Path, cloud: CloudWorld) -> CloudWorld:
    assert cloud.settings.data_source_dirs == [str(folder.parent)]
    return cloud


@pytest.fixture
def origin() -> Iterator[str]:
    PAGES.clear()
    KEYS.clear()
    HANGS.clear()
    GO_ON.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def pipeline(world: CloudWorld) -> str:
    """The path of a pipeline."""
    answer = world.http.post("/api/v1/pipelines", json={"name": "p", "project_id": "team"})
    assert answer.status_code == 201, answer.text
    return f"/api/v1/pipelines/{answer.json()['id']}"


def attach(cloud: CloudWorld, pipeline: str, *sources: dict[str, Any]) -> list[dict[str, Any]]:
    answer = cloud.http.put(f"{pipeline}/data-sources", json=list(sources))
    assert answer.status_code == 200, answer.text
    cloud.settle()
    found: list[dict[str, Any]] = cloud.http.get(f"{pipeline}/data-sources").json()
    return found


def sync(cloud: CloudWorld, pipeline: str) -> None:
    assert cloud.http.post(f"{pipeline}/sync").status_code == 200
    cloud.settle()


def files(cloud: CloudWorld, pipeline: str) -> dict[str, str]:
    found = cloud.http.get(f"{pipeline}/files").json()
    return {each["metadata"]["source"]: each["status"] for each in found}


def directory(folder: Path, **config: Any) -> dict[str, Any]:
    return {"name": "docs", "source_type": "directory", "config": {"path": str(folder), **config}}


def test_a_directory_fills_a_pipeline_and_follows_its_changes(world: CloudWorld, folder: Path, pipeline: str) -> None:
    (folder / "a.txt").write_text("The moon is made of cheese.")
    (folder / "below").mkdir()
    (folder / "below" / "b.md").write_text("# Sun\n\nThe sun is a star.")
    (found,) = attach(world, pipeline, {**directory(folder), "custom_metadata": {"team": "space"}})
    assert (found["status"], found["errors"], found["source_type"]) == ("SUCCESS", {}, "local_directory")
    assert found["config"] == found["component"]
    assert files(world, pipeline) == {"a.txt": "completed", "below/b.md": "completed"}
    (listed, _) = world.http.get(f"{pipeline}/files").json()
    assert (listed["metadata"]["team"], listed["data_source_id"]) == ("space", found["data_source_id"])
    (folder / "a.txt").unlink()
    (folder / "c.txt").write_text("Mars is red.")
    (folder / "below" / "b.md").write_text("# Sun\n\nThe sun is a yellow dwarf.")
    sync(world, pipeline)
    assert files(world, pipeline) == {"below/b.md": "completed", "c.txt": "completed"}
    hits = world.http.post(f"{pipeline}/retrieve", json={"query": "yellow dwarf cheese", "top_k": 5}).json()["results"]
    assert any("yellow dwarf" in each["text"] for each in hits)
    assert not any("cheese" in each["text"] for each in hits)


def test_what_did_not_change_is_not_read_again(
    world: CloudWorld, folder: Path, pipeline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.txt").write_text("The moon.")
    attach(world, pipeline, directory(folder))
    monkeypatch.setattr("state.cloud.blobs.CloudFiles.receive", lambda *_: pytest.fail("it was read again"))
    sync(world, pipeline)
    assert files(world, pipeline) == {"a.txt": "completed"}


def test_links_hidden_names_and_pipes_in_a_directory_are_passed_over(
    world: CloudWorld, folder: Path, pipeline: str, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key.txt").write_text("secret")
    (folder / "a.txt").write_text("The moon.")
    (folder / "link.txt").symlink_to(secret / "key.txt")
    (folder / "linked").symlink_to(secret)
    (folder / ".hidden").write_text("hidden")
    os.mkfifo(folder / "pipe.txt")
    attach(world, pipeline, directory(folder))
    assert files(world, pipeline) == {"a.txt": "completed"}


def test_patterns_and_depth_narrow_a_directory(world: CloudWorld, folder: Path, pipeline: str) -> None:
    (folder / "a.txt").write_text("The moon.")
    (folder / "b.log").write_text("The sun.")
    (folder / "below").mkdir()
    (folder / "below" / "c.txt").write_text("Mars.")
    attach(world, pipeline, directory(folder, patterns=["*.txt"], recursive=False))
    assert files(world, pipeline) == {"a.txt": "completed"}
    attach(world, pipeline, directory(folder))  # the same name: the source is changed
    assert files(world, pipeline).keys() == {"a.txt", "b.log", "below/c.txt"}
    assert len(world.http.get(f"{pipeline}/data-sources").json()) == 1


def test_a_source_that_cannot_be_read_keeps_what_it_gave(world: CloudWorld, folder: Path, pipeline: str) -> None:
    (folder / "a.txt").write_text("The moon.")
    attach(world, pipeline, directory(folder))
    folder.rename(folder.with_name("moved"))
    sync(world, pipeline)
    (found,) = world.http.get(f"{pipeline}/data-sources").json()
    assert (found["status"], list(found["errors"])) == ("ERROR", [""])
    status = world.http.get(f"{pipeline}/data-sources/{found['data_source_id']}/status").json()
    assert status["status"] == "ERROR"
    assert "LF_DATA_SOURCE_DIRS" in status["error"][0]["message"]
    assert files(world, pipeline) == {"a.txt": "completed"}


def test_what_is_said_of_a_file_of_a_source_outlives_its_syncs(world: CloudWorld, folder: Path, pipeline: str) -> None:
    (folder / "a.txt").write_text("The moon is made of cheese.")
    attach(world, pipeline, directory(folder))
    (made,) = world.http.get(f"{pipeline}/files").json()
    told = {"custom_metadata": {"team": "space"}}
    assert world.http.put(f"{pipeline}/files/{made['file_id']}", json=told).status_code == 200
    (folder / "a.txt").write_text("The moon is made of stone.")
    sync(world, pipeline)
    sync(world, pipeline)
    (found,) = world.http.get(f"{pipeline}/files").json()
    assert (found["metadata"], found["status"]) == ({"team": "space"}, "completed")


def test_a_pipeline_that_is_deleted_during_a_long_download_stays_deleted(
    world: CloudWorld, pipeline: str, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    PAGES["/a.txt"] = b"The moon is cold."
    original = sources.fetch_url

    def slow(*given: Any, **options: Any) -> Fetched:
        assert world.http.delete(pipeline).status_code == 200
        monkeypatch.setattr("workers.cloud.sync.MAX_WAITS", 0)  # the deletion has waited as long as it does
        assert run_next(world.runtime, "ask")
        return original(*given, **options)

    monkeypatch.setattr(sources, "fetch_url", slow)
    source = {"name": "web", "source_type": "web_urls", "config": {"urls": [f"{origin}/a.txt"]}}
    assert world.http.put(f"{pipeline}/data-sources", json=[source]).status_code == 200
    world.settle()
    assert not world.errors, world.errors
    assert CloudObjects(world.database).all("member") == []
    blobs = world.settings.projects_dir / "llamacloud" / "team" / "lf_data" / "cloud" / "files"
    assert list(blobs.iterdir()) == []


def blobs(cloud: CloudWorld) -> list[str]:
    return [each.name for each in CloudFiles.of(cloud.settings, "team").root.glob("[fi]*/*") if each.name[0] != "."]


def test_a_cancel_between_two_files_takes_back_what_was_brought(
    world: CloudWorld, pipeline: str, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    PAGES.update({"/a.txt": b"The moon is cold.", "/b.txt": b"The sun is hot.", "/c.txt": b"Mars is red."})
    monkeypatch.setattr(sources, "CHECK_INTERVAL_S", 0.0)
    original = sources.fetch_url

    def fetch(url: str, *given: Any, **options: Any) -> Fetched:
        found = original(url, *given, **options)
        if url.endswith("b.txt"):
            assert len(blobs(world)) == 3  # a, the draft of b, and an upload of our own
            assert world.http.post(f"{pipeline}/sync/cancel").status_code == 200
        return found

    world.upload("own.txt", "Uploaded.", "team")
    monkeypatch.setattr(sources, "fetch_url", fetch)
    urls = [f"{origin}/{each}.txt" for each in "abc"]
    source = {"name": "web", "source_type": "web_urls", "config": {"urls": urls}}
    attach(world, pipeline, source)
    assert world.http.get(f"{pipeline}/status").json()["status"] == "CANCELLED"
    assert len(blobs(world)) == 1
    assert KEYS == [None, None], "the third was fetched although nobody wanted it"


def test_a_project_that_is_deleted_during_a_download_does_not_come_back(
    world: CloudWorld, pipeline: str, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    PAGES.update({"/a.txt": b"The moon is cold.", "/b.txt": b"The sun is hot."})
    monkeypatch.setattr(sources, "CHECK_INTERVAL_S", 0.0)
    original = sources.fetch_url

    def fetch(url: str, *given: Any, **options: Any) -> Fetched:
        if url.endswith("b.txt"):
            assert world.http.delete("/v1/projects/llamacloud/team").status_code == 200
        return original(url, *given, **options)

    monkeypatch.setattr(sources, "fetch_url", fetch)
    urls = [f"{origin}/a.txt", f"{origin}/b.txt"]
    source = {"name": "web", "source_type": "web_urls", "config": {"urls": urls}}
    assert world.http.put(f"{pipeline}/data-sources", json=[source]).status_code == 200
    world.settle()
    assert not world.errors, world.errors
    assert not world.projects.paths("llamacloud", "team").root.exists()
    assert world.rows(CloudObjectRow) == world.rows(CloudJobRow) == []


def test_a_download_notices_a_cancel_while_the_server_says_nothing(
    world: CloudWorld, pipeline: str, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    PAGES["/hang.txt"] = b"x" * 5_000_000
    for module in ("config.outside", "workers.cloud.sources"):
        monkeypatch.setattr(f"{module}.CHECK_INTERVAL_S", 0.05)

    def cancel() -> None:
        assert HANGS.wait(10)
        assert world.http.post(f"{pipeline}/sync/cancel").status_code == 200

    threading.Thread(target=cancel, daemon=True).start()
    source = {"name": "web", "source_type": "web_urls", "config": {"urls": [f"{origin}/hang.txt"]}}
    begun = time.monotonic()
    try:
        attach(world, pipeline, source)
    finally:
        GO_ON.set()
    assert time.monotonic() - begun < 5
    assert world.http.get(f"{pipeline}/status").json()["status"] == "CANCELLED"
    assert blobs(world) == []


def test_addresses_fill_a_pipeline(
    world: CloudWorld, pipeline: str, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGES_KEY", "s3cret")
    PAGES.update({"/a.txt": b"The moon is cold.", "/b.txt": b"The sun is hot.", "/down.txt": None})
    urls = [f"{origin}/a.txt", f"{origin}/b.txt", f"{origin}/down.txt", f"{origin}/none.txt", f"{origin}/a.txt"]
    source = {"urls": urls, "headers": {"X-Key": "Bearer ${PAGES_KEY}"}}
    (found,) = attach(world, pipeline, {"name": "web", "source_type": "web_urls", "config": source})
    assert found["status"] == "SUCCESS"
    assert found["errors"].keys() == {urls[2], urls[3]}
    assert set(KEYS) == {"Bearer s3cret"}
    assert "s3cret" not in world.http.get(PATH, params={"project_id": "team"}).text
    assert files(world, pipeline) == {urls[0]: "completed", urls[1]: "completed"}
    del PAGES["/a.txt"]  # gone for good
    PAGES["/b.txt"] = None  # out of order for a while
    sync(world, pipeline)
    assert files(world, pipeline) == {urls[1]: "completed"}


def test_a_source_of_the_project_is_used_and_deleted(world: CloudWorld, folder: Path, pipeline: str) -> None:
    (folder / "a.txt").write_text("The moon.")
    body = {"name": "docs", "source_type": "LOCAL_DIRECTORY", "component": {"path": str(folder)}}
    made = world.http.post(PATH, json=body, params={"project_id": "team"}).json()
    assert world.http.get(PATH, params={"project_id": "team"}).json() == [made]
    (found,) = attach(world, pipeline, {"data_source_id": made["id"], "sync_interval": 3600})
    assert (found["data_source_id"], found["sync_interval"]) == (made["id"], 3600)
    assert world.http.get(pipeline).json()["sync_interval"] == 3600
    faster = world.http.put(f"{pipeline}/data-sources/{made['id']}", json={"sync_interval": 5}).json()
    assert faster["sync_interval"] == 60
    assert world.http.get(pipeline).json()["sync_interval"] == 60
    assert world.http.put(f"{PATH}/{made['id']}", json={"name": "other"}).json()["name"] == "other"
    assert world.http.post(f"{pipeline}/data-sources/{made['id']}/sync").status_code == 200
    assert world.http.delete(f"{PATH}/{made['id']}").status_code == 204
    world.settle()
    assert world.http.get(f"{pipeline}/data-sources").json() == []
    assert files(world, pipeline) == {}
    assert world.http.get(f"{PATH}/{made['id']}").status_code == 404
    blobs = world.settings.projects_dir / "llamacloud" / "team" / "lf_data" / "cloud" / "files"
    assert list(blobs.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "config", "words"),
    [
        ("S3", {"bucket": "b", "aws_access_secret": "x"}, "local_directory"),
        ("NOTION_PAGE", {}, "web_urls"),
        ("directory", {}, "config.path"),
        ("directory", {"path": "/etc"}, "LF_DATA_SOURCE_DIRS"),
        ("directory", {"path": "docs"}, "LF_DATA_SOURCE_DIRS"),
        ("directory", {"path": "{folder}/../../../etc"}, "LF_DATA_SOURCE_DIRS"),
        ("directory", {"path": "{folder}/escape"}, "LF_DATA_SOURCE_DIRS"),
        ("directory", {"path": "{folder}", "token": "x"}, "config.token"),
        ("web_urls", {"urls": []}, "config.urls"),
        ("web_urls", {"urls": ["file:///etc/passwd"]}, "http"),
        ("web_urls", {"urls": ["http://a@b/"]}, "user name"),
        ("web_urls", {"urls": ["http://b/"], "headers": {"Authorization": "Bearer secret"}}, "secrets are not stored"),
        ("web_urls", {"urls": ["http://b/"], "headers": {"Host": "${X}"}}, "Host"),
    ],
)
def test_what_is_not_served_is_400_and_says_what_is(
    world: CloudWorld, folder: Path, tmp_path: Path, pipeline: str, kind: str, config: dict[str, Any], words: str
) -> None:
    (folder / "escape").symlink_to(tmp_path)
    config = {key: value.format(folder=folder) if key == "path" else value for key, value in config.items()}
    body = {"name": "n", "source_type": kind, "config": config}
    answer = world.http.post(PATH, json=body)
    assert answer.status_code == 400
    assert words in answer.json()["detail"]
    assert world.http.put(f"{pipeline}/data-sources", json=[directory(folder), body]).status_code == 400
    assert world.http.get(f"{pipeline}/data-sources").json() == []


def test_no_directory_is_allowed_unless_the_operator_says_so(cloud: CloudWorld, tmp_path: Path) -> None:
    answer = cloud.http.post(PATH, json={"name": "n", "source_type": "directory", "config": {"path": str(tmp_path)}})
    assert answer.status_code == 400
    assert "LF_DATA_SOURCE_DIRS" in answer.json()["detail"]


def test_sources_of_other_projects_are_not_found(world: CloudWorld, folder: Path, pipeline: str) -> None:
    made = world.http.post(PATH, json=directory(folder), params={"project_id": "p2"}).json()
    answer = world.http.put(f"{pipeline}/data-sources", json=[{"data_source_id": made["id"]}])
    assert answer.status_code == 400
    assert world.http.get(f"{PATH}/{made['id']}", params={"project_id": "team"}).status_code == 404
    assert world.http.get(f"{pipeline}/data-sources", params={"project_id": "p2"}).status_code == 404
    assert world.http.put(f"{pipeline}/data-sources", json=[{"sync_interval": 5}]).status_code == 400
