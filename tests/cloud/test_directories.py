"""Directories."""

from typing import Any

import pytest

from tests.cloud.conftest import CloudWorld

PATH = "/api/v1/beta/directories"


def make(cloud: CloudWorld, name: str = "d", **body: Any) -> dict[str, Any]:
    answer = cloud.http.post(PATH, json={"name": name, **body})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_directory_is_made_and_changed(cloud: CloudWorld) -> None:
    found = make(cloud, description="first")
    assert found["id"].startswith("dir-")
    assert (found["type"], found["description"], found["deleted_at"]) == ("user", "first", None)
    changed = cloud.http.patch(f"{PATH}/{found['id']}", json={"name": "other", "description": None}).json()
    assert (changed["name"], changed["description"]) == ("other", "first")
    assert changed["updated_at"] > found["updated_at"]
    assert cloud.http.get(f"{PATH}/{found['id']}").json() == changed


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "a\x00"},
        {"name": 1},
        {"name": "a", "type": "index"},
        {"name": "a", "data_source_id": "x"},
    ],
)
def test_a_malformed_directory_is_422(cloud: CloudWorld, body: dict[str, Any]) -> None:
    assert cloud.http.post(PATH, json=body).status_code == 422


def test_a_list_shows_what_users_made_unless_another_type_is_asked_for(cloud: CloudWorld) -> None:
    first, second, short = (
        make(cloud, "a"),
        make(cloud, "b"),
        make(cloud, "c", type="ephemeral", system_metadata={"x": 1}),
    )
    assert short["system_metadata"] == {"x": 1}

    def ids(**query: Any) -> list[str]:
        return [each["id"] for each in cloud.http.get(PATH, params=query).json()["items"]]

    assert ids() == [first["id"], second["id"]]
    assert ids(type="ephemeral") == [short["id"]]
    assert ids(types=["user", "ephemeral"]) == [first["id"], second["id"], short["id"]]
    assert ids(name="b") == [second["id"]]
    assert ids(type="index") == []
    assert ids(data_source_id="x") == []
    assert cloud.http.get(PATH, params={"type": "other"}).status_code == 422
    page = cloud.http.get(PATH, params={"page_size": 1}).json()
    assert page["total_size"] == 2
    assert ids(page_token=page["next_page_token"]) == [second["id"]]
    assert cloud.http.get(PATH, params={"page_token": page["next_page_token"], "name": "b"}).status_code == 422


def test_a_deleted_directory_is_hidden_with_its_files(cloud: CloudWorld) -> None:
    found = make(cloud)
    path = f"{PATH}/{found['id']}"
    entry = cloud.http.post(f"{path}/files", json={"file_id": cloud.upload("a.txt", "words")}).json()
    answer = cloud.http.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    for gone in (path, f"{path}/files", f"{path}/files/{entry['id']}"):
        assert cloud.http.get(gone).status_code == 404
    assert cloud.http.get(PATH).json()["items"] == []
    (shown,) = cloud.http.get(PATH, params={"include_deleted": True}).json()["items"]
    assert shown["deleted_at"] is not None
    assert cloud.http.delete(path).status_code == 404


def test_a_directory_of_another_project_is_not_found(cloud: CloudWorld) -> None:
    found = cloud.http.post(PATH, json={"name": "d"}, params={"project_id": "p1"}).json()
    for method in ("GET", "PATCH", "DELETE"):
        answer = cloud.http.request(method, f"{PATH}/{found['id']}", json={}, params={"project_id": "p2"})
        assert answer.status_code == 404
    assert cloud.http.get(PATH, params={"project_id": "p2"}).json()["items"] == []


def test_an_update_that_changes_nothing_leaves_the_time(cloud: CloudWorld) -> None:
    directory = cloud.http.post(PATH, json={"name": "d"}).json()
    files = f"{PATH}/{directory['id']}/files"
    file_id = cloud.upload("a.txt", "words")
    entry = cloud.http.post(files, json={"file_id": file_id, "metadata": {"x": 1}}).json()
    for body in ({}, {"name": "d"}, {"name": None}):
        assert cloud.http.patch(f"{PATH}/{directory['id']}", json=body).json() == directory
    for body in ({}, {"display_name": "a.txt"}, {"metadata": {"x": 1}}):
        assert cloud.http.patch(f"{files}/{entry['id']}", json=body).json() == entry
    changed = cloud.http.patch(f"{files}/{entry['id']}", json={"metadata": {"x": True}}).json()
    assert changed["metadata"] == {"x": True}
    assert changed["updated_at"] > entry["updated_at"]
