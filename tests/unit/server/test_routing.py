import pytest
from fastapi import FastAPI
from starlette.routing import Match, Mount
from starlette.testclient import TestClient
from starlette.types import Scope

from server.routing import Router


@pytest.fixture
def router() -> Router:
    found = Router(prefix="/api")

    @found.get("/things/{thing_id}")
    def get(thing_id: str) -> str:
        return thing_id

    @found.put("/files/{path:path}")
    def put(path: str) -> str:
        return path

    return found


@pytest.fixture
def client(router: Router) -> TestClient:
    app = FastAPI()
    other = Router()

    @other.get("/api/{anything}")
    def last(anything: str) -> str:
        return f"last {anything}"

    app.include_router(router)
    app.include_router(other)
    return TestClient(app)


def test_paths_find_their_route_whichever_router_has_it(client: TestClient) -> None:
    assert client.get("/api/things/a%20b").json() == "a b"
    assert client.put("/api/files/a/b/c").json() == "a/b/c"
    assert client.get("/api/things").json() == "last things"
    assert client.get("/api/things/a/b").status_code == 404


def test_method_that_a_path_does_not_have_is_told(client: TestClient) -> None:
    answer = client.post("/api/things/1")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


def test_server_below_a_path_finds_its_routes(router: Router) -> None:
    inner, outer = FastAPI(), FastAPI()
    inner.include_router(router)
    outer.router.routes.append(Mount("/below", app=inner))
    assert TestClient(outer).get("/below/api/things/1").json() == "1"


def test_routes_are_not_asked_about_paths_of_others(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def matches(_: object, scope: Scope) -> tuple[Match, Scope]:
        asked.append(scope["path"])
        return Match.NONE, {}

    monkeypatch.setattr("fastapi.APIRouter.matches", matches)
    for path in ("/api/things/1", "/api/thing/1", "/things/1", "/api/files/", "/"):
        router.matches({"type": "http", "method": "GET", "path": path})
    assert asked == ["/api/things/1", "/api/files/"]
