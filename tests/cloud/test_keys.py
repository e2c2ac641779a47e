"""Keys of a project: every object of another one is as if it did not exist, whatever route names it."""

from collections.abc import Iterator

import pytest

from state.keys import ApiKeys
from tests.api.document import Documented, operations
from tests.cloud.conftest import CloudWorld

OURS, THEIRS = "ours", "theirs"
BY_ID = [
    each
    for each in operations()
    if each.path.startswith("/api/")
    and each.path_parameters
    and each.method in ("GET", "DELETE")
    and not each.path.startswith("/api/v1/signed/")
]
LISTS = [
    each for each in operations() if each.path.startswith("/api/") and not each.path_parameters and each.method == "GET"
]
WITH_QUERY = {"source_id": "nothing", "data_source_id": "nothing", "name": "nothing", "extraction_agent_id": "nothing"}


@pytest.fixture(autouse=True)
def _known_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.access.STALE_AFTER_S", -1)


@pytest.fixture
def tokens(cloud: CloudWorld) -> dict[str, dict[str, str]]:
    keys = ApiKeys(cloud.database)
    made = {name: keys.create(name, "llamacloud", name)[1] for name in (OURS, THEIRS)}
    return {name: {"Authorization": f"Bearer {text}"} for name, text in made.items()}


@pytest.fixture
def ids(cloud: CloudWorld, tokens: dict[str, dict[str, str]]) -> dict[str, str]:
    """Path parameter → an object of ours; none of the requests names a project."""

    def post(path: str, body: object, status: tuple[int, ...] = (200, 201)) -> dict[str, str]:
        answer = cloud.http.post(path, json=body, headers=tokens[OURS])
        assert answer.status_code in status, (path, answer.text)
        found: dict[str, str] = answer.json()
        return found

    upload = cloud.http.post(
        "/api/v1/beta/files",
        files={"file": ("a.md", b"# A\n\nours")},
        data={"purpose": "user_data"},
        headers=tokens[OURS],
    )
    assert upload.status_code == 200, upload.text
    file_id = upload.json()["id"]
    assert upload.json()["project_id"] == OURS
    directory = post("/api/v1/beta/directories", {"name": "our papers"})["id"]
    entry = post(f"/api/v1/beta/directories/{directory}/files", {"file_id": file_id})["id"]
    saved = {"name": "fast", "parameters": {"product_type": "parse_v2", "tier": "fast", "version": "latest"}}
    return {
        "file_id": file_id,
        "directory_id": directory,
        "directory_file_id": entry,
        "index_id": post("/api/v1/indexes", {"source_directory_id": directory})["id"],
        "pipeline_id": post("/api/v1/pipelines", {"name": "our pipeline", "project_id": OURS})["id"],
        "session_id": post("/api/v1/chat", {})["session_id"],
        "config_id": post("/api/v1/beta/configurations", saved)["id"],
        "agent_id": post(
            "/api/v1/extraction/extraction-agents",
            {
                "name": "our agent",
                "project_id": OURS,
                "data_schema": {"type": "object", "properties": {}},
                "config": {},
            },
        )["id"],
        "item_id": post("/api/v1/beta/agent-data", {"deployment_name": "d", "data": {"is": "ours"}})["id"],
        "project_id": OURS,
        "region_type": "table",
    }


def url_of(each: Documented, ids: dict[str, str]) -> str:
    return each.url(**{name: ids[name] for name in each.path_parameters if name in ids})


def test_nothing_of_another_project_is_found_by_its_id(
    cloud: CloudWorld, tokens: dict[str, dict[str, str]], ids: dict[str, str]
) -> None:
    assert len(BY_ID) > 30
    for each in BY_ID:
        for query in ({}, {"project_id": OURS}):
            answer = cloud.http.request(
                each.method, url_of(each, ids), params=query | WITH_QUERY, headers=tokens[THEIRS]
            )
            assert answer.status_code in (404, 501), (each.id, query, answer.status_code, answer.text)
            assert "our " not in answer.text
    for path in still_there(ids):
        assert cloud.http.get(path, headers=tokens[OURS]).status_code == 200, path


def still_there(ids: dict[str, str]) -> Iterator[str]:
    yield f"/api/v1/beta/files/{ids['file_id']}/content"
    yield f"/api/v1/beta/directories/{ids['directory_id']}"
    yield f"/api/v1/beta/directories/{ids['directory_id']}/files/{ids['directory_file_id']}"
    yield f"/api/v1/indexes/{ids['index_id']}"
    yield f"/api/v1/pipelines/{ids['pipeline_id']}"
    yield f"/api/v1/chat/{ids['session_id']}"
    yield f"/api/v1/beta/configurations/{ids['config_id']}"
    yield f"/api/v1/extraction/extraction-agents/{ids['agent_id']}"
    yield f"/api/v1/beta/agent-data/{ids['item_id']}"


def test_no_list_shows_what_is_of_another_project(
    cloud: CloudWorld, tokens: dict[str, dict[str, str]], ids: dict[str, str]
) -> None:
    for each in LISTS:
        answer = cloud.http.get(each.path, params=WITH_QUERY, headers=tokens[THEIRS])
        assert not [name for name, value in ids.items() if name != "project_id" and value in answer.text], each.id
        outside = cloud.http.get(each.path, params=WITH_QUERY | {"project_id": OURS}, headers=tokens[THEIRS])
        assert not [name for name, value in ids.items() if name != "project_id" and value in outside.text], each.id


def test_the_projects_of_a_key_are_its_own(
    cloud: CloudWorld, tokens: dict[str, dict[str, str]], ids: dict[str, str]
) -> None:
    assert ids["file_id"]
    for path in ("/api/v1/projects", "/api/v2/projects"):
        answer = cloud.http.get(path, headers=tokens[THEIRS])
        assert OURS not in answer.text.replace(THEIRS, "")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/pipelines", {"name": "x", "project_id": OURS}),
        (
            "/api/v1/extraction/extraction-agents",
            {"name": "x", "project_id": OURS, "data_schema": {"type": "object", "properties": {}}},
        ),
    ],
)
def test_a_project_in_the_body_is_held_against_the_key(
    cloud: CloudWorld, tokens: dict[str, dict[str, str]], path: str, body: dict[str, object]
) -> None:
    answer = cloud.http.post(path, json=body, headers=tokens[THEIRS])
    assert answer.status_code == 404, answer.text
    assert cloud.http.get(path, params={"project_id": OURS}, headers=tokens[OURS]).json() == []


def test_a_key_that_is_not_known_reads_otherwise_than_none(
    cloud: CloudWorld, tokens: dict[str, dict[str, str]]
) -> None:
    def told(headers: dict[str, str]) -> str:
        answer = cloud.http.get("/api/v1/pipelines", headers=headers)
        assert answer.status_code == 401
        return str(answer.json()["message"])

    assert "not known, or was revoked" in told({"Authorization": "Bearer llx-wrong"})
    assert "needs an API key" in told({})
    assert "needs an API key" in told({"Authorization": "Basic abc"})
