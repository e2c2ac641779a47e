"""Projects and the organization."""

import pytest

from state.cloud.ids import DEFAULT_ORGANIZATION_ID, DEFAULT_PROJECT_ID
from tests.cloud.conftest import CloudWorld


def test_there_is_a_default_project_before_anything_is_written(cloud: CloudWorld) -> None:
    (project,) = cloud.http.get("/api/v1/projects", params={"project_name": "Default"}).json()
    assert project["id"] == DEFAULT_PROJECT_ID
    assert project["is_default"] is True
    assert project["organization_id"] == DEFAULT_ORGANIZATION_ID
    assert cloud.http.get(f"/api/v1/projects/{DEFAULT_PROJECT_ID}").json() == project
    assert cloud.http.get("/api/v1/projects", params={"project_name": "other"}).json() == []


def test_a_project_is_made_by_writing_to_it(cloud: CloudWorld) -> None:
    unwritten = cloud.http.get("/api/v1/projects/team-a").json()
    assert (unwritten["id"], unwritten["name"], unwritten["created_at"]) == ("team-a", "team-a", None)
    cloud.upload("a.txt", "words", "team-a")
    assert [each["name"] for each in cloud.http.get("/api/v1/projects").json()] == ["Default", "team-a"]
    assert cloud.http.get("/api/v2/projects/team-a").json()["created_at"] is not None


def test_projects_are_walked_by_pages(cloud: CloudWorld) -> None:
    for name in ("a", "b", "c"):
        cloud.upload("a.txt", "words", name)
    found, token = [], ""
    while token is not None:
        page = cloud.http.get("/api/v2/projects", params={"page_size": 3, "page_token": token}).json()
        found += [each["name"] for each in page["items"]]
        token = page["next_page_token"]
    assert found == ["Default", "a", "b", "c"]
    assert cloud.http.get("/api/v2/projects", params={"page_token": "x"}).status_code == 422


@pytest.mark.parametrize("name", ["..", "a b", "a/b", "x" * 101, "%00"])
def test_what_cannot_name_a_project_is_refused(cloud: CloudWorld, name: str) -> None:
    assert cloud.http.get("/api/v1/beta/files", params={"project_id": name}).status_code == 400
    assert cloud.http.get(f"/api/v1/projects/{name}").status_code in (400, 404)


def test_there_is_one_organization(cloud: CloudWorld) -> None:
    (found,) = cloud.http.get("/api/v1/organizations").json()
    assert cloud.http.get(f"/api/v1/organizations/{found['id']}").json() == found
    assert cloud.http.get("/api/v1/organizations/other").status_code == 404
    assert cloud.http.get("/api/v1/organizations/x/usage").status_code == 501


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/retrievers"),
        ("POST", "/api/v1/retrievers/r-1/retrieve"),
        ("PUT", "/api/v1/data-sinks"),
        ("DELETE", "/api/v1/beta/webhook-configs/w-1"),
        ("GET", "/api/v1/files/f-1/page_screenshots/0"),
        ("GET", "/api/v1/files/f-1/page-figures/0/name"),
        ("POST", "/api/alpha/verify"),
        ("GET", "/api/v1/beta/usage-metrics"),
        ("GET", "/api/parsing/job/pjb-1/result/xlsx"),
        ("GET", "/api/v1/parsing/job/pjb-1/result/raw/xlsx"),
        ("GET", "/api/v1/parsing/job/pjb-1/result/image/page_1.png"),
    ],
)
def test_what_is_not_built_answers_501_and_says_what_to_do(cloud: CloudWorld, method: str, path: str) -> None:
    answer = cloud.http.request(method, path)
    assert answer.status_code == 501
    assert answer.json()["error"] == "NotImplemented"
    assert len(answer.json()["detail"]) > 30
