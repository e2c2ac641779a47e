import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.api.conftest import MakeClient
from tests.api.helpers import assert_error, assert_ok

RELEASE = {
    "tag_name": "v9.8.7",
    "name": "Nine",
    "body": "### Features\n- all",
    "html_url": "https://example.org/releases/v9.8.7",
    "published_at": "2026-01-15T10:30:00Z",
    "draft": False,
    "prerelease": False,
}


class Releases:
    """A server that answers as GitHub's release API does."""

    def __init__(self) -> None:
        self.status = 200
        self.answer: Any = RELEASE
        self.asked_count = 0
        releases = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                releases.asked_count += 1
                body = json.dumps(releases.answer).encode()
                self.send_response(releases.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/latest"


@pytest.fixture
def releases() -> Iterator[Releases]:
    found = Releases()
    threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield found
    found.server.shutdown()
    found.server.server_close()


def check(client: Any) -> dict[str, Any]:
    return dict(assert_ok(client.get("/v1/system/version-check")))


def test_nobody_is_asked_by_default(make_client: MakeClient) -> None:
    found = check(make_client())
    assert found["checked"] is False
    assert found["latest_version"] == found["current_version"]


def test_latest_release_is_told_with_the_fields_of_the_reference(make_client: MakeClient, releases: Releases) -> None:
    found = check(make_client(releases_url=releases.url))
    assert found["latest_version"] == "v9.8.7"
    assert found["name"] == "Nine"
    assert found["release_notes"] == RELEASE["body"]
    assert found["release_url"] == RELEASE["html_url"]
    assert found["published_at"] == RELEASE["published_at"]
    assert found["from_cache"] is False
    assert set(found["install"]) == {"mac_linux", "windows"}
    assert found["current_version"]


def test_answer_is_kept_for_every_process(make_client: MakeClient, releases: Releases) -> None:
    check(make_client(releases_url=releases.url))
    found = check(make_client(releases_url=releases.url))
    assert found["from_cache"] is True
    assert found["latest_version"] == "v9.8.7"
    assert releases.asked_count == 1


def test_answer_is_asked_for_again_after_six_hours(
    make_client: MakeClient, releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(releases_url=releases.url)
    check(client)
    service = client.app.state.services.releases  # type: ignore[attr-defined]
    service._now = lambda: time.time() + 6 * 3600 + 1
    assert check(client)["from_cache"] is False
    assert releases.asked_count == 2


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"url": 1}'], ids=repr)
def test_damaged_cache_is_as_none(make_client: MakeClient, releases: Releases, content: bytes) -> None:
    client = make_client(releases_url=releases.url)
    file = client.app.state.services.releases._file  # type: ignore[attr-defined]
    file.parent.mkdir()
    file.write_bytes(content)
    assert check(client)["latest_version"] == "v9.8.7"


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (404, {}, "Unable to reach GitHub releases"),
        (500, "no", "Unable to reach GitHub releases"),
        (200, ["x"], "is no release"),
        (200, {"tag_name": ""}, "is no release"),
    ],
    ids=str,
)
def test_releases_that_cannot_be_had_are_503(
    make_client: MakeClient, releases: Releases, status: int, answer: Any, words: str
) -> None:
    releases.status, releases.answer = status, answer
    client = make_client(releases_url=releases.url)
    assert_error(client.get("/v1/system/version-check"), 503, words)


@pytest.mark.parametrize("mark", ["draft", "prerelease"])
def test_release_that_is_not_finished_is_502(make_client: MakeClient, releases: Releases, mark: str) -> None:
    releases.answer = {**RELEASE, mark: True}
    response = make_client(releases_url=releases.url).get("/v1/system/version-check")
    assert_error(response, 502, "draft or a pre-release", code="BadGateway")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/latest", "http://[::", "nonsense"])
def test_address_that_does_not_answer_is_503(make_client: MakeClient, url: str) -> None:
    client = make_client(releases_url=url)
    assert_error(client.get("/v1/system/version-check"), 503, "Unable to reach GitHub releases")


def test_disks_are_told_with_what_is_free(make_client: MakeClient) -> None:
    client = make_client()
    disks = assert_ok(client.get("/v1/system/disk"))
    assert set(disks) == {"cache", "system"}
    for disk in disks.values():
        assert 0 <= disk["free_bytes"] <= disk["total_bytes"]
        assert disk["used_bytes"] <= disk["total_bytes"]
        assert 0 <= disk["percent_free"] <= 100
    settings = client.app.state.services.engine.settings  # type: ignore[attr-defined]
    assert disks["system"]["path"] == str(settings.data_dir)
