"""Uploading, listing, fetching and deleting files."""

import http.server
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from config import outside
from rag.errors import UpstreamError
from server.llamacloud.services import downloads
from state.cloud.ids import DEFAULT_PROJECT_ID
from state.cloud.shelf import FileShelf
from tests.cloud.conftest import CLIENT_HEADERS, CloudWorld

PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n"
DRIPS = threading.Event()


def blobs(cloud: CloudWorld, project_id: str = DEFAULT_PROJECT_ID) -> list[str]:
    folder = cloud.settings.projects_dir / "llamacloud" / project_id / "lf_data" / "cloud" / "files"
    return sorted(each.name for each in folder.iterdir())


@pytest.mark.parametrize("part", ["file", "upload_file"])
def test_an_upload_tells_what_it_is(cloud: CloudWorld, part: str) -> None:
    answer = cloud.http.post("/api/v1/files", params={"project_id": "p1"}, files={part: ("plan.pdf", PDF, "text/html")})
    assert answer.status_code == 200
    file = answer.json()
    assert file["name"] == "plan.pdf"
    assert file["project_id"] == "p1"
    assert (file["file_size"], file["content_type"], file["file_type"]) == (len(PDF), "application/pdf", "pdf")
    assert file["created_at"].startswith("20")
    assert cloud.http.get(f"/api/v1/files/{file['id']}").json() == file
    assert cloud.http.get(f"/api/v1/beta/files/{file['id']}", params={"project_id": "p1"}).json() == file


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.txt", b"plain words", ("text/plain", "txt")),
        ("a.md", b"# Plan", ("text/markdown", "md")),
        ("a.pdf", b"just words", ("text/plain", "txt")),
        ("a.csv", b"x,y", ("text/csv", "csv")),
        ("scan.txt", PDF, ("application/pdf", "pdf")),
        ("noname", b"words", ("text/plain", "txt")),
        ("noname", b"\0\1\2", ("application/octet-stream", "bin")),
        ("picture", b"\x89PNG\r\n\x1a\n....", ("image/png", "png")),
        ("book.xlsx", b"PK\x03\x04....", ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx")),
    ],
)
def test_the_type_goes_by_content_and_then_by_name(
    cloud: CloudWorld, name: str, content: bytes, kind: tuple[str, str]
) -> None:
    file = cloud.http.get(f"/api/v1/beta/files/{cloud.upload(name, content)}").json()
    assert (file["content_type"], file["file_type"]) == kind


def test_the_published_upload_needs_a_project_unless_a_client_of_the_vendor_asks(cloud: CloudWorld) -> None:
    files = {"file": ("a.txt", b"words")}
    assert cloud.http.post("/api/v1/files", files=files).status_code == 400
    answer = cloud.http.post("/api/v1/files", files=files, headers=CLIENT_HEADERS)
    assert answer.json()["project_id"] == DEFAULT_PROJECT_ID


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\x.txt", "x.txt"),
        ("a\u2028b.txt", "ab.txt"),
        ("..", "file"),
        ("план 🦊.txt", "план 🦊.txt"),
        ("x" * 400 + ".txt", "x" * 251 + ".txt"),
    ],
)
def test_names_lose_their_folders_and_controls(cloud: CloudWorld, name: str, shown: str) -> None:
    assert cloud.http.get(f"/api/v1/files/{cloud.upload(name, 'words')}").json()["name"] == shown


@pytest.mark.parametrize(
    "request_of",
    [
        {"files": {"file": ("empty.txt", b"")}},
        {"files": {"other": ("a.txt", b"words")}},
        {"data": {"file": "no file"}},
        {"content": b"--x\r\nbroken", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        {"content": b"{}", "headers": {"content-type": "application/json"}},
        {"files": [("file", ("a.txt", b"1")), ("upload_file", ("b.txt", b"2"))]},
        {"files": {"file": ("a.txt", b"1")}, "data": {"external_file_id": "a\x00b"}},
    ],
    ids=["empty", "no part", "a field", "broken", "json", "two files", "NUL"],
)
def test_what_is_no_upload_is_400_and_leaves_nothing(cloud: CloudWorld, request_of: dict[str, Any]) -> None:
    answer = cloud.http.post("/api/v1/files", params={"project_id": "p1"}, **request_of)
    assert answer.status_code == 400
    assert answer.json()["detail"]
    assert cloud.http.get("/api/v1/beta/files", params={"project_id": "p1"}).json()["items"] == []
    assert list(cloud.settings.projects_dir.rglob("*.part")) == []


@pytest.mark.parametrize(
    ("request_of", "says"),
    [
        ({"files": {"fiel": ("a.txt", b"words")}, "data": {"purpose": "parse"}}, "; the form has 'purpose', 'fiel'"),
        ({"content": b"words"}, "and this body came without a Content-Type"),
        ({"content": b"words", "headers": {"content-type": "multipart/form-data"}}, "with a boundary in its"),
    ],
    ids=["a mistyped part", "no type", "no boundary"],
)
def test_a_wrong_upload_is_told_what_was_sent(cloud: CloudWorld, request_of: dict[str, Any], says: str) -> None:
    answer = cloud.http.post("/api/v1/beta/files", **request_of)
    assert answer.status_code == 422
    assert says in answer.json()["message"]


def test_an_upload_beyond_the_limit_is_413(cloud: CloudWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "server.llamacloud.engine.CloudEngine.settings", cloud.settings.model_copy(update={"max_upload_bytes": 10})
    )
    assert cloud.http.post("/api/v1/beta/files", files={"file": ("a.txt", b"x" * 11)}).status_code == 413


def test_a_list_is_walked_by_pages_and_filtered(cloud: CloudWorld) -> None:
    ids = [cloud.upload(f"{number}.txt", f"words {number}") for number in range(5)]
    found, token = [], None
    for _ in range(5):
        page = cloud.http.get("/api/v1/beta/files", params={"page_size": 2, "page_token": token or ""}).json()
        assert page["total_size"] == 5
        found += [each["id"] for each in page["items"]]
        token = page["next_page_token"]
        if token is None:
            break
    assert found == ids
    assert [each["id"] for each in cloud.http.get("/api/v1/beta/files?file_name=3.txt").json()["items"]] == [ids[3]]
    some = cloud.http.get("/api/v1/beta/files", params={"file_ids": [ids[1], ids[4]], "order_by": "name"}).json()
    assert [each["name"] for each in some["items"]] == ["1.txt", "4.txt"]
    newest = cloud.http.get("/api/v1/beta/files", params={"order_by": "created_at"}).json()
    assert [each["id"] for each in newest["items"]] == ids[::-1]


def test_a_token_of_another_query_is_refused(cloud: CloudWorld) -> None:
    for number in range(3):
        cloud.upload(f"{number}.txt", "words")
    token = cloud.http.get("/api/v1/beta/files?page_size=1").json()["next_page_token"]
    for query in ({"file_name": "1.txt"}, {"order_by": "name"}, {"project_id": "other"}):
        assert cloud.http.get("/api/v1/beta/files", params={"page_token": token, **query}).status_code == 422
    assert cloud.http.get("/api/v1/beta/files", params={"page_token": "nonsense"}).status_code == 422


def test_older_clients_query_by_a_body(cloud: CloudWorld) -> None:
    cloud.http.post(
        "/api/v1/beta/files", files={"file": ("a.txt", b"1")}, data={"purpose": "parse", "external_file_id": "ext-1"}
    )
    cloud.upload("b.txt", "2")
    body = {"filter": {"external_file_id": "ext-1", "only_manually_uploaded": True}, "page_size": 10}
    (item,) = cloud.http.post("/api/v1/beta/files/query", json=body).json()["items"]
    assert (item["name"], item["purpose"], item["external_file_id"]) == ("a.txt", "parse", "ext-1")
    assert cloud.http.post("/api/v1/beta/files/query", json={"filter": {"project_id": "p2"}}).json()["items"] == []


def test_files_of_another_project_are_not_found(cloud: CloudWorld) -> None:
    file_id = cloud.upload("a.txt", "words", "p1")
    for path in (f"/api/v1/beta/files/{file_id}", f"/api/v1/files/{file_id}/content"):
        assert cloud.http.get(path, params={"project_id": "p2"}).status_code == 404
    assert cloud.http.delete(f"/api/v1/files/{file_id}", params={"project_id": "p2"}).status_code == 404
    assert cloud.http.get(f"/api/v1/files/{file_id}").status_code == 200


def test_bytes_go_with_the_last_file_that_has_them(cloud: CloudWorld) -> None:
    first, second = cloud.upload("a.txt", "same"), cloud.upload("b.txt", "same")
    assert first != second
    assert len(blobs(cloud)) == 1
    assert cloud.http.delete(f"/api/v1/beta/files/{first}").status_code == 204
    link = cloud.http.get(f"/api/v1/beta/files/{second}/content").json()["url"]
    assert cloud.http.get(link).text == "same"
    cloud.http.delete(f"/api/v1/beta/files/{second}")
    assert blobs(cloud) == []
    assert cloud.http.delete(f"/api/v1/beta/files/{second}").status_code == 404


def test_a_directory_keeps_the_bytes_of_a_deleted_file(cloud: CloudWorld) -> None:
    file_id = cloud.upload("a.txt", "kept")
    directory = cloud.http.post("/api/v1/beta/directories", json={"name": "d"}).json()["id"]
    path = f"/api/v1/beta/directories/{directory}/files"
    entry = cloud.http.post(path, json={"file_id": file_id}).json()["id"]
    cloud.http.delete(f"/api/v1/files/{file_id}")
    shown = cloud.http.get(f"{path}/{entry}", params={"expand": "download_url"}).json()
    assert cloud.http.get(shown["download_url"]["url"]).text == "kept"
    cloud.http.delete(f"{path}/{entry}")
    assert blobs(cloud) == []


def test_deleting_and_uploading_the_same_content_at_once_loses_nothing(cloud: CloudWorld) -> None:
    def turn(number: int) -> str:
        kept = cloud.upload(f"kept-{number}.txt", "shared")
        doomed = cloud.upload(f"doomed-{number}.txt", "shared")
        assert cloud.http.delete(f"/api/v1/files/{doomed}").status_code == 204
        return kept

    with ThreadPoolExecutor(4) as pool:
        kept = list(pool.map(turn, range(12)))
    for file_id in kept:
        link = cloud.http.get(f"/api/v1/files/{file_id}/content").json()["url"]
        assert cloud.http.get(link).text == "shared"


def test_a_presigned_upload_takes_the_bytes_once(cloud: CloudWorld) -> None:
    slot = cloud.http.put("/api/v1/files", json={"name": "a/plan.pdf", "file_size": len(PDF), "external_file_id": "e"})
    assert slot.status_code == 200
    file_id, url = slot.json()["file_id"], slot.json()["url"]
    assert cloud.http.get(f"/api/v1/files/{file_id}").json()["file_size"] is None
    assert cloud.http.get(f"/api/v1/files/{file_id}/content").status_code == 404
    assert cloud.http.put(url, content=b"short").status_code == 400
    assert cloud.http.put(url, content=PDF).status_code == 200
    file = cloud.http.get(f"/api/v1/files/{file_id}").json()
    assert (file["name"], file["file_size"], file["file_type"]) == ("plan.pdf", len(PDF), "pdf")
    assert file["external_file_id"] == "e"
    again = cloud.http.put(url, content=PDF)
    assert (again.status_code, again.headers["x-should-retry"]) == (409, "false")
    assert cloud.http.get(url).status_code == 403


def test_two_uploads_to_one_link_at_once_leave_one_content(cloud: CloudWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    slot = cloud.http.put("/api/v1/files", json={"name": "plan.txt"}).json()
    first = threading.Barrier(2, timeout=10)
    put = FileShelf.put

    def together(shelf: FileShelf, *args: Any) -> Any:
        first.wait()
        return put(shelf, *args)

    monkeypatch.setattr(FileShelf, "put", together)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda data: cloud.http.put(slot["url"], content=data), [b"one", b"other"]))
    assert sorted(each.status_code for each in answers) == [200, 409]
    assert len([each for each in blobs(cloud) if each != ".lock"]) == 1


def test_an_upload_to_a_file_that_was_deleted_meanwhile_leaves_no_bytes(
    cloud: CloudWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot = cloud.http.put("/api/v1/files", json={"name": "plan.txt"}).json()
    put = FileShelf.put

    def late(shelf: FileShelf, *args: Any) -> Any:
        assert cloud.http.delete(f"/api/v1/files/{slot['file_id']}").status_code == 204
        return put(shelf, *args)

    monkeypatch.setattr(FileShelf, "put", late)
    assert cloud.http.put(slot["url"], content=b"words").status_code == 404
    assert blobs(cloud) == []


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", self.headers.get("X-Target", "/files/report%20one.txt"))
            self.end_headers()
            return
        if self.path.startswith("/drip"):
            self._drip()
            return
        if self.path == "/gone":
            self.send_error(404)
            return
        body = b"x" * 50_000 if self.path == "/large" else f"key={self.headers.get('X-Key')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/named":
            self.send_header("Content-Disposition", 'attachment; filename="../named.txt"')
        self.end_headers()
        self.wfile.write(body)

    def _drip(self) -> None:
        """A header that never ends, a byte at a time."""
        DRIPS.set()
        with suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
            for _ in range(100):
                self.wfile.write(b"x")
                time.sleep(0.05)

    def do_POST(self) -> None:
        self._drip()

    def log_message(self, *_: Any) -> None:
        return None


@pytest.fixture
def origin() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def trusting(cloud: CloudWorld, monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
    changed = cloud.settings.model_copy(update={"allowed_hosts": ["127.0.0.1"], **more})
    monkeypatch.setattr("server.llamacloud.engine.CloudEngine.settings", changed)


def test_a_file_is_fetched_from_an_address(cloud: CloudWorld, monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    trusting(cloud, monkeypatch)
    body = {"url": f"{origin}/files/report%20one.txt?x=1", "request_headers": {"X-Key": "k"}, "external_file_id": "e"}
    answer = cloud.http.put("/api/v1/files/upload_from_url", json=body)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["name"], answer.json()["external_file_id"]) == ("report one.txt", "e")
    link = cloud.http.get(f"/api/v1/files/{answer.json()['id']}/content").json()["url"]
    assert cloud.http.get(link).text == "key=k"
    named = cloud.http.put("/api/v1/files/upload_from_url", json={"url": f"{origin}/named"})
    assert named.json()["name"] == "named.txt"
    moved = cloud.http.put("/api/v1/files/upload_from_url", json={"url": f"{origin}/moved"})
    assert moved.json()["name"] == "report one.txt"


@pytest.mark.parametrize(
    "body",
    [
        {"url": "{origin}/gone"},
        {"url": "{origin}/moved", "follow_redirects": False},
        {"url": "{origin}/moved", "request_headers": {"X-Target": "http://127.0.0.2:1/"}},
        {"url": "{origin}/moved", "request_headers": {"X-Target": "http://169.254.169.254/latest"}},
        {"url": "{origin}/moved", "request_headers": {"X-Target": "file:///etc/passwd"}},
        {"url": "{origin}/moved", "request_headers": {"X-Target": "/moved"}},
        {"url": "{origin}/files/a", "request_headers": {"Host": "evil"}},
        {"url": "{origin}/files/a", "request_headers": {"X": "a\r\nY: b"}},
        {"url": "{origin}/files/a", "verify_ssl": False},
        {"url": "{origin}/files/a", "proxy_url": "http://127.0.0.1:1"},
    ],
)
def test_an_address_that_gives_no_file_is_400(
    cloud: CloudWorld, monkeypatch: pytest.MonkeyPatch, origin: str, body: dict[str, Any]
) -> None:
    trusting(cloud, monkeypatch)
    body = {**body, "url": body["url"].format(origin=origin)}
    assert cloud.http.put("/api/v1/files/upload_from_url", json=body).status_code == 400
    assert cloud.http.get("/api/v1/beta/files").json()["items"] == []


def test_a_fetched_file_is_bounded(cloud: CloudWorld, monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    trusting(cloud, monkeypatch, max_upload_bytes=20_000)
    answer = cloud.http.put("/api/v1/files/upload_from_url", json={"url": f"{origin}/large"})
    assert answer.status_code == 413


def test_a_server_that_drips_its_headers_gets_no_more_time(
    cloud: CloudWorld, monkeypatch: pytest.MonkeyPatch, origin: str
) -> None:
    trusting(cloud, monkeypatch)
    monkeypatch.setattr("config.outside.TOTAL_TIMEOUT_S", 1.0)
    monkeypatch.setattr("config.outside.POST_TIMEOUT_S", 0.3)
    begun = time.monotonic()
    answer = cloud.http.put("/api/v1/files/upload_from_url", json={"url": f"{origin}/drip"})
    assert answer.status_code == 400, answer.text
    assert "took longer than" in answer.json()["message"]
    with pytest.raises(UpstreamError):
        outside.post(f"{origin}/drip", b"{}", cloud.settings.model_copy(update={"allowed_hosts": ["127.0.0.1"]}))
    assert time.monotonic() - begun < 3


def test_only_a_few_files_are_fetched_at_once(cloud: CloudWorld, monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    trusting(cloud, monkeypatch)
    monkeypatch.setattr("config.outside.TOTAL_TIMEOUT_S", 1.0)
    monkeypatch.setattr(downloads, "_free", threading.BoundedSemaphore(1))
    DRIPS.clear()
    url = "/api/v1/files/upload_from_url"
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(cloud.http.put, url, json={"url": f"{origin}/drip"})
        assert DRIPS.wait(5)
        answer = cloud.http.put(url, json={"url": f"{origin}/files/a"})
        assert (answer.status_code, slow.result().status_code) == (429, 400)
    assert cloud.http.put(url, json={"url": f"{origin}/files/a"}).status_code == 200


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:6379/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/",
        "http://0.0.0.0/",
        "http://user@example.org/",
        "ftp://example.org/x",
        "file:///etc/passwd",
        "http://exa mple.org/",
        "http://127.0.0.1\\@example.org/",
        "nothing",
    ],
)
def test_private_addresses_and_odd_ones_are_refused(cloud: CloudWorld, url: str) -> None:
    answer = cloud.http.put("/api/v1/files/upload_from_url", json={"url": url})
    assert answer.status_code == 400, answer.text


def test_a_name_that_changes_its_address_is_judged_where_it_is_connected(
    cloud: CloudWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A name server that answers with a harmless address first and with a private one afterwards gains nothing."""
    from ipaddress import ip_address

    import httpcore

    answers = iter([{ip_address("93.184.216.34")}, {ip_address("127.0.0.1")}])
    monkeypatch.setattr(outside, "resolved", lambda _host: next(answers))
    went: list[str] = []

    def connect(_self: object, host: str, *_: Any) -> httpcore.NetworkStream:
        went.append(host)
        raise httpcore.ConnectError("unreachable")

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    assert cloud.http.put("/api/v1/files/upload_from_url", json={"url": "http://rebind.example/"}).status_code == 400
    assert cloud.http.put("/api/v1/files/upload_from_url", json={"url": "http://rebind.example/"}).status_code == 400
    assert went == ["93.184.216.34"]
