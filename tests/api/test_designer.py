from pathlib import Path

import pytest
from starlette.testclient import TestClient

from server.app import ROUTERS
from server.llamacloud import app as llamacloud
from server.services.designer import Designer, env_script, with_script
from tests.api.conftest import MakeClient
from tests.api.helpers import assert_error, assert_ok

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PAGE = """<!doctype html><html><head>
<script id="env-insertion-point"></script>
<script type="module" src="/assets/index-abc123.js"></script>
</head><body><div id="root"></div></body></html>"""


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built web app; beside it lies a file that is none of its own."""
    monkeypatch.setenv("VITE_APP_API_URL", "http://localhost:8000")
    monkeypatch.setenv("VITE_APP_NOTE", "</script><script>alert(1)</script>")
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(PAGE)
    (folder / "assets" / "index-abc123.js").write_text("console.log(1)")
    (folder / "favicon.svg").write_text("<svg/>")
    (folder / ".env").write_text("SECRET=1")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


@pytest.fixture
def client(make_client: MakeClient, build: Path) -> TestClient:
    return make_client(designer_dist_path=build)


@pytest.mark.parametrize("path", ["/", "/chat/data", "/samples", "/index.html", "/some.name/x"])
def test_browser_gets_the_page_everywhere(client: TestClient, path: str) -> None:
    response = client.get(path, headers=BROWSER)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert '<div id="root">' in response.text
    assert '"VITE_APP_API_URL": "http://localhost:8000"' in response.text
    assert "env-insertion-point" not in response.text


def test_variables_cannot_break_out_of_their_script(client: TestClient) -> None:
    text = client.get("/", headers=BROWSER).text
    assert "alert(1)</script>" not in text
    assert "\\u003c/script\\u003e\\u003cscript\\u003ealert(1)" in text


def test_assets_are_kept_for_ever(client: TestClient) -> None:
    response = client.get("/assets/index-abc123.js")
    assert response.text == "console.log(1)"
    assert "javascript" in response.headers["content-type"]
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert response.headers["x-content-type-options"] == "nosniff"
    again = client.get("/assets/index-abc123.js", headers={"If-None-Match": response.headers["etag"]})
    assert again.status_code == 304


def test_other_files_are_asked_for_again_each_time(client: TestClient) -> None:
    response = client.get("/favicon.svg")
    assert response.text == "<svg/>"
    assert response.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/", "/chat", "/assets/index-abc123.js"])
def test_head_answers_as_get_does_but_for_the_body(client: TestClient, path: str) -> None:
    response = client.head(path, headers=BROWSER)
    assert response.status_code == 200
    assert response.content == b""
    assert response.headers["content-length"] == client.get(path, headers=BROWSER).headers["content-length"]


def test_programs_get_json_at_the_root(client: TestClient) -> None:
    assert assert_ok(client.get("/", headers={"Accept": "application/json"})) == {"message": "Hello, World!"}
    assert assert_ok(client.get("/")) == {"message": "Hello, World!"}


@pytest.mark.parametrize("path", ["/chat", "/nowhere"])
def test_programs_get_json_404_elsewhere(client: TestClient, path: str) -> None:
    assert_error(client.get(path), 404, path)


@pytest.mark.parametrize(
    "path", ["/v1/nowhere", "/v1", "/V1/nowhere", "/api/v1/nowhere", "/health/nowhere", "/assets/missing.js", "/docs/x"]
)
def test_nothing_of_the_api_and_no_missing_asset_is_a_page(client: TestClient, path: str) -> None:
    assert_error(client.get(path, headers=BROWSER), 404, path)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_other_methods_are_no_page(client: TestClient, method: str) -> None:
    assert_error(client.request(method, "/chat", headers=BROWSER), 404)


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/assets/%2e%2e%2f%2e%2e%2fsecret.txt",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/..%5csecret.txt",
        "/link.txt",
        "/.env",
        "/assets/../.env",
        "/x%00.js",
        f"/{'a' * 5000}",
    ],
)
def test_nothing_outside_of_the_build_is_served(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert_error(response, 404)
    assert "secret" not in client.get(path, headers=BROWSER).text.lower().replace("secret.txt", "")


def test_key_locks_the_api_and_not_the_page(make_client: MakeClient, build: Path) -> None:
    client = make_client(designer_dist_path=build, api_key="k" * 20)
    assert client.get("/", headers=BROWSER).status_code == 200
    assert client.get("/chat", headers=BROWSER).status_code == 200
    assert client.get("/assets/index-abc123.js").status_code == 200
    assert client.post("/chat").status_code == 401
    paths = {getattr(route, "path", "/") for router in (*ROUTERS, *llamacloud.ROUTERS) for route in router.routes}
    assert {"/v1/projects/{namespace}/{project}", "/api/v1/indexes/{index_id}"} <= paths
    for path in paths:
        if path != "/" and not path.startswith(("/health", "/api/v1/signed/")):
            assert_error(client.get(path, headers=BROWSER), 401)
    for path in ("/v1", "/v1/", "/V1/projects/x", "/v1/nowhere", "/api", "/api/", "/API/v1/x", "/mcp", "/info"):
        assert_error(client.get(path, headers=BROWSER), 401)


def test_key_locks_everything_where_there_is_no_page(make_client: MakeClient) -> None:
    client = make_client(api_key="k" * 20)
    assert_error(client.get("/", headers=BROWSER), 401)
    assert_error(client.get("/assets/x.js"), 401)


def test_without_a_build_the_root_greets_everybody(make_client: MakeClient) -> None:
    client = make_client()
    assert assert_ok(client.get("/", headers=BROWSER)) == {"message": "Hello, World!"}
    assert_error(client.get("/chat", headers=BROWSER), 404)


def test_folder_without_a_page_greets_and_is_told_by_health(make_client: MakeClient, tmp_path: Path) -> None:
    client = make_client(designer_dist_path=tmp_path / "none")
    assert assert_ok(client.get("/", headers=BROWSER)) == {"message": "Hello, World!"}
    assert_error(client.get("/assets/x.js"), 404)
    components = {each["name"]: each for each in assert_ok(client.get("/health"))["components"]}
    assert components["designer"]["status"] == "unhealthy"
    assert "DESIGNER_DIST_PATH" in components["designer"]["message"]


def test_page_is_read_anew_when_it_was_built_again(client: TestClient, build: Path) -> None:
    client.get("/", headers=BROWSER)
    (build / "index.html").write_text(PAGE.replace("root", "rebuilt"))
    assert 'id="rebuilt"' in client.get("/", headers=BROWSER).text


@pytest.mark.parametrize(
    "place",
    [
        '<script id="env-insertion-point"></script>',
        "<div id='env-insertion-point'></div>",
        "<meta id=env-insertion-point>",
        '<div class="x" id="env-insertion-point" data-y="1"/>',
        '<noscript\n  id = "env-insertion-point"\n></noscript>',
    ],
)
def test_the_element_is_replaced_however_it_is_written(place: str) -> None:
    page = with_script(f"<head>{place}<script>app()</script></head>", env_script({"VITE_APP_A": "1"}))
    assert page == '<head><script>window.ENV = {"VITE_APP_A": "1"};</script><script>app()</script></head>'


def test_page_without_the_element_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>env-insertion-point</p>")
    assert Designer(tmp_path, {"VITE_APP_A": "1"}).page() == b"<p>env-insertion-point</p>"


def test_replacement_text_is_not_a_pattern(tmp_path: Path) -> None:
    assert '"\\\\1"' in with_script('<i id="env-insertion-point"></i>', env_script({"VITE_APP_A": "\\1"}))
