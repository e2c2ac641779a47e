"""Keys of `lf keys create`: asked for once there is one, hashed, revocable, and good for no more than their scope."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from rag.errors import UpstreamError
from server.access import KeyRing, refusal
from server.llamacloud.scope import EVERYTHING, KeyScope
from server.parts import Engine
from state.cloud.tables import ApiKeyRow
from state.keys import ApiKeys, KeyRecord
from tests.api.conftest import MakeClient
from tests.api.document import Documented, operations
from tests.api.helpers import assert_error, assert_ok

MCP_STDIO = {"mcp": {"servers": [{"name": "shell", "transport": "stdio", "command": "sh"}]}}
USER = [{"role": "user", "content": "How long is the leave?"}]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def keys(engine: Engine) -> ApiKeys:
    return ApiKeys(engine.database)


@pytest.fixture(autouse=True)
def _known_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.access.STALE_AFTER_S", -1)


# -- keys at all --------------------------------------------------------------------------------------------


def test_from_the_first_key_on_one_is_asked_for(client: TestClient, keys: ApiKeys) -> None:
    assert_ok(client.get("/v1/projects/org"))
    _, key = keys.create("me")
    for headers in (
        {},
        bearer("lf-wrong"),
        bearer(key[:-1]),
        {"Authorization": key},
        {"Authorization": f"Basic {key}"},
    ):
        assert_error(client.get("/v1/projects/org", headers=headers), 401, "API key", code="Unauthorized")
        assert_error(client.get("/api/v1/projects", headers=headers), 401, "API key", code="Unauthorized")
    assert_ok(client.get("/v1/projects/org", headers=bearer(key)))
    assert_ok(client.get("/info", headers=bearer(key)))
    assert_error(client.get(f"/v1/projects/org?api_key={key}"), 401)


def test_a_revoked_key_opens_nothing_and_the_last_one_leaves_the_door_open(client: TestClient, keys: ApiKeys) -> None:
    (first, text), (second, other) = keys.create("first"), keys.create("second")
    keys.revoke(first.id)
    assert_error(client.get("/info", headers=bearer(text)), 401)
    assert_ok(client.get("/info", headers=bearer(other)))
    keys.revoke(second.id)
    assert_ok(client.get("/info"))


def test_what_was_given_out_is_not_kept(keys: ApiKeys, engine: Engine) -> None:
    record, key = keys.create("me", "org", "bot")
    with engine.database.read() as session:
        (row,) = session.scalars(select(ApiKeyRow))
    held = " ".join(str(value) for value in vars(row).values())
    assert key not in held
    assert row.digest == hashlib.sha256(key.encode()).hexdigest()
    assert (record.hint, record.namespace, record.project) == (key[-4:], "org", "bot")
    assert key.startswith("lf-")
    assert len(key) >= 45


def test_the_master_key_stays_good_beside_others(make_client: MakeClient) -> None:
    client = make_client(api_key="the-master")
    _, key = ApiKeys(client.app.state.services.engine.database).create("me", "org")  # type: ignore[attr-defined]
    assert_ok(client.get("/info", headers=bearer("the-master")))
    assert_ok(client.get("/v1/projects/org", headers=bearer(key)))
    assert_error(client.get("/info", headers=bearer(key)), 403)


@pytest.mark.parametrize("path", ["/health", "/health/liveness", "/docs", "/openapi.json"])
def test_health_and_the_reference_need_no_key(client: TestClient, keys: ApiKeys, path: str) -> None:
    keys.create("me")
    assert client.get(path).status_code == 200


def test_a_signed_link_needs_no_key_but_its_signature(client: TestClient, keys: ApiKeys) -> None:
    keys.create("me")
    assert client.get("/api/v1/signed/forged").status_code in (403, 404)


def test_with_a_key_the_name_of_the_server_is_irrelevant(make_client: MakeClient) -> None:
    client = make_client(allowed_host_names=[])
    assert_error(client.get("/info", headers={"Host": "any.example"}), 421, "lf keys create")
    _, key = ApiKeys(client.app.state.services.engine.database).create("me")  # type: ignore[attr-defined]
    assert_ok(client.get("/info", headers={"Host": "any.example", **bearer(key)}))


def test_when_the_state_does_not_answer_nobody_is_let_in(
    client: TestClient, keys: ApiKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: ApiKeys) -> list[KeyRecord]:
        raise UpstreamError("the state database does not answer")

    keys.create("me")
    monkeypatch.setattr(ApiKeys, "in_use", fails)
    assert_error(client.get("/v1/projects/org"), 503, "state database")
    assert_error(client.get("/v1/projects/org", headers={"Host": "evil.example"}), 421)


# -- what a scope holds -------------------------------------------------------------------------------------


def create(client: TestClient, namespace: str, name: str, key: str) -> None:
    assert_ok(client.post(f"/v1/projects/{namespace}", json={"name": name}, headers=bearer(key)))


def names(client: TestClient, namespace: str, key: str) -> list[str]:
    listed = assert_ok(client.get(f"/v1/projects/{namespace}", headers=bearer(key)))
    assert listed["total"] == len(listed["projects"])
    return [each["name"] for each in listed["projects"]]


def test_a_key_of_a_namespace_is_at_home_there_and_nowhere_else(client: TestClient, keys: ApiKeys) -> None:
    (_, master), (_, key) = keys.create("all"), keys.create("team", "org")
    create(client, "org", "one", key)
    create(client, "other", "two", master)
    assert names(client, "org", key) == ["one"]
    assert_ok(client.get("/v1/projects/org/one", headers=bearer(key)))
    assert_error(client.get("/v1/projects/other/two", headers=bearer(key)), 404, code="ProjectNotFound")
    assert_error(client.get("/v1/projects/other", headers=bearer(key)), 404)
    assert_error(client.post("/v1/projects/other", json={"name": "mine"}, headers=bearer(key)), 404)
    assert names(client, "other", master) == ["two"]


def test_a_key_of_a_project_sees_it_alone_in_the_listing_and_makes_none(client: TestClient, keys: ApiKeys) -> None:
    (_, master), (_, key) = keys.create("all"), keys.create("bot", "org", "one")
    create(client, "org", "one", master)
    create(client, "org", "two", master)
    assert names(client, "org", key) == ["one"]
    assert_ok(client.get("/v1/projects/org/one/datasets", headers=bearer(key)))
    assert_error(client.get("/v1/projects/org/two/datasets", headers=bearer(key)), 404, code="ProjectNotFound")
    assert_error(client.post("/v1/projects/org", json={"name": "three"}, headers=bearer(key)), 403, code="Forbidden")
    assert_error(client.delete("/v1/projects/org/two", headers=bearer(key)), 404)
    assert names(client, "org", master) == ["one", "two"]


@pytest.mark.parametrize("path", ["/v1/projects/org%2Ftwo/one", "/v1/projects/org/two/../one", "/v1/projects//org/one"])
def test_odd_paths_lead_nowhere(client: TestClient, keys: ApiKeys, path: str) -> None:
    (_, master), (_, key) = keys.create("all"), keys.create("bot", "org", "one")
    create(client, "org", "two", master)
    assert client.get(path, headers=bearer(key)).status_code in (403, 404)


SERVER_WIDE = [
    ("GET", "/info"),
    ("GET", "/v1/models"),
    ("DELETE", "/v1/models/org/bot"),
    ("GET", "/v1/system/disk"),
    ("GET", "/v1/system/version-check"),
    ("GET", "/v1/examples"),
    ("POST", "/v1/examples/handbook/import-project"),
    ("POST", "/mcp"),
    ("GET", "/v1/projects"),
    ("GET", "/nowhere"),
]


@pytest.mark.parametrize(("method", "path"), SERVER_WIDE)
def test_what_concerns_the_whole_server_is_denied(client: TestClient, keys: ApiKeys, method: str, path: str) -> None:
    _, key = keys.create("team", "org")
    assert_error(client.request(method, path, json={}, headers=bearer(key)), 403, "namespace org", code="Forbidden")


@pytest.mark.parametrize("each", operations(), ids=lambda each: each.id)
def test_no_operation_lets_a_foreign_key_in(each: Documented) -> None:
    """Decided before any route runs: also of routes that are added later."""
    key, path = KeyScope("elsewhere", "p"), each.url()
    refused = refusal({"method": each.method, "path": path, "headers": []}, key)
    if path in ("/", "/v1/chat/completions", "/v1/embeddings", "/v1/schema/llamafarm.json"):
        assert refused is None  # they look at the model, or hold nothing of a project
    else:
        assert refused is not None


def test_the_models_of_openai_are_those_of_the_scope(client: TestClient, keys: ApiKeys, project: str) -> None:
    (_, inside), (_, outside) = keys.create("in", "org", "bot"), keys.create("out", "org", "other")
    engine: Engine = client.app.state.services.engine  # type: ignore[attr-defined]
    config = engine.projects.load("org", "bot")
    engine.assembly.fill("org", "bot", config.database(), ["Parental leave lasts 90 days."])  # type: ignore[attr-defined]
    for path, body in (
        ("/v1/chat/completions", {"model": "org/bot", "messages": USER}),
        ("/v1/embeddings", {"model": "org/bot", "input": "x"}),
    ):
        assert_ok(client.post(path, json=body, headers=bearer(inside)))
        assert client.post(path, json=body, headers=bearer(outside)).status_code == 404
    assert project


def test_an_unknown_model_names_no_project_of_others(client: TestClient, keys: ApiKeys, project: str) -> None:
    _, key = keys.create("new", "new")
    body = {"model": "new/absent", "messages": USER}
    answer = client.post("/v1/chat/completions", json=body, headers=bearer(key))
    assert answer.status_code == 404
    assert project
    assert "org/bot" not in answer.text


def test_a_header_names_no_project_of_others(client: TestClient, keys: ApiKeys, project: str) -> None:
    _, key = keys.create("bot", "org", "bot")
    for active, status in (("org/bot", 200), ("other/two", 404), ("org/two", 404)):
        response = client.get(project, headers={**bearer(key), "X-Active-Project": active})
        assert response.status_code == status, active


def test_a_key_of_a_part_brings_in_no_programs(make_client: MakeClient, tmp_path: Path) -> None:
    client = make_client(data_dir=tmp_path / "guarded")
    keys = ApiKeys(client.app.state.services.engine.database)  # type: ignore[attr-defined]
    (_, master), (_, key) = keys.create("all"), keys.create("team", "org")
    create(client, "org", "one", key)
    config: dict[str, Any] = assert_ok(client.get("/v1/projects/org/one", headers=bearer(key)))["project"]["config"]
    assert_ok(client.put("/v1/projects/org/one", json={"config": config}, headers=bearer(key)))
    body = {"config": {**config, **MCP_STDIO}}
    assert_error(client.put("/v1/projects/org/one", json=body, headers=bearer(key)), 403, "LF_MCP_STDIO")
    assert_ok(client.put("/v1/projects/org/one", json=body, headers=bearer(master)))


# -- the LlamaCloud API -------------------------------------------------------------------------------------


def test_the_llamacloud_api_is_for_keys_of_its_namespace(client: TestClient, keys: ApiKeys) -> None:
    (_, all_of_it), (_, other) = keys.create("cloud", "llamacloud"), keys.create("team", "org")
    assert client.get("/api/v1/projects", headers=bearer(all_of_it)).status_code != 404
    assert_error(client.get("/api/v1/projects", headers=bearer(other)), 404, "another namespace")


# -- how the ring learns ------------------------------------------------------------------------------------


class Counted:
    def __init__(self) -> None:
        self.held: list[KeyRecord] = []
        self.reads = 0

    def in_use(self) -> list[KeyRecord]:
        self.reads += 1
        return list(self.held)


def record(key: bytes, namespace: str | None = None) -> KeyRecord:
    return KeyRecord("id", "n", "hint", namespace, None, 0.0, None, hashlib.sha256(key).hexdigest())


@pytest.mark.anyio
async def test_the_state_is_asked_once_in_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.access.STALE_AFTER_S", 2.0)
    now, stored = [100.0], Counted()
    ring = KeyRing(None, stored, clock=lambda: now[0])
    assert not await ring.is_asked_for()
    stored.held = [record(b"lf-a", "org")]
    for _ in range(50):
        assert await ring.scope_of(b"lf-a") is None
    assert stored.reads == 1
    now[0] += 2.1
    assert await ring.scope_of(b"lf-a") == KeyScope("org")
    stored.held = []
    assert await ring.is_asked_for()
    now[0] += 2.1
    assert await ring.scope_of(b"lf-a") is None
    assert stored.reads == 3


@pytest.mark.anyio
async def test_a_state_that_fails_is_not_asked_by_each_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.access.STALE_AFTER_S", 2.0)
    now, stored, is_down = [100.0], Counted(), [True]

    class Failing(Counted):
        def in_use(self) -> list[KeyRecord]:
            stored.reads += 1
            if is_down[0]:
                raise UpstreamError("the state database does not answer")
            return [record(b"lf-a")]

    ring = KeyRing(None, Failing(), clock=lambda: now[0])
    for _ in range(20):
        with pytest.raises(UpstreamError, match="state database"):
            await ring.scope_of(b"lf-a")
    assert stored.reads == 1
    is_down[0] = False
    now[0] += 2.1
    assert await ring.scope_of(b"lf-a") == EVERYTHING


@pytest.mark.anyio
async def test_the_master_key_is_never_looked_up() -> None:
    stored = Counted()
    ring = KeyRing("schlüssel", stored)
    assert await ring.is_asked_for()
    assert await ring.scope_of("schlüssel".encode()) == EVERYTHING
    assert stored.reads == 0
    assert await ring.scope_of(b"other") is None


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
