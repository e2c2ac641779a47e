"""Projects and the organization."""

import os
import shutil

import pytest

from rag.errors import UpstreamError
from state.cloud.ids import DEFAULT_ORGANIZATION_ID, DEFAULT_PROJECT_ID
from state.cloud.tables import AgentDataRow, AgentValueRow, CloudJobRow, CloudObjectRow
from tests.cloud.conftest import CloudWorld
from tests.cloud.makers import make_directory, make_file, put_into
from workers.dispatch import Dispatcher


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


def test_a_project_keeps_the_time_when_it_was_made(cloud: CloudWorld) -> None:
    cloud.upload("a.txt", "words", "team-a")
    made = cloud.http.get("/api/v1/projects/team-a").json()
    path = cloud.projects.paths("llamacloud", "team-a").existing_config_file
    assert path is not None
    later = path.stat().st_mtime + 5
    cloud.use_model("team-a", provider="extractive")
    os.utime(path, (later, later))
    changed = cloud.http.get("/api/v1/projects/team-a").json()
    assert changed["created_at"] == made["created_at"]
    assert changed["updated_at"] > made["updated_at"]


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
        ("GET", "/api/parsing/job/pjb-1/result/pdf"),
        ("GET", "/api/v1/parsing/job/pjb-1/result/raw/pdf"),
        ("GET", "/api/v1/parsing/job/pjb-1/result/images"),
        ("GET", "/api/v1/parsing/job/pjb-1/result/image/page_1.png"),
    ],
)
def test_what_is_not_built_answers_501_and_says_what_to_do(cloud: CloudWorld, method: str, path: str) -> None:
    answer = cloud.http.request(method, path)
    assert answer.status_code == 501
    assert answer.json()["error"] == "NotImplemented"
    assert len(answer.json()["detail"]) > 30


def test_a_project_that_is_deleted_as_one_of_llamafarm_leaves_nothing(cloud: CloudWorld) -> None:
    query = {"project_id": "team"}
    directory = make_directory(cloud, "team")
    put_into(cloud, directory, make_file(cloud, "tides.txt", "The moon pulls.", "team"))
    index = cloud.http.post("/api/v1/indexes", params=query, json={"source_directory_id": directory}).json()
    cloud.settle()
    assert cloud.stored() != {}
    file_id = cloud.upload("a.txt", "The moon.", "team")
    kept = cloud.upload("b.txt", "The sun.", "other")
    note = {"deployment_name": "d", "collection": "c", "data": {"a": 1}}
    assert cloud.http.post("/api/v1/beta/agent-data", params=query, json=note).status_code == 200
    assert cloud.http.post("/api/v2/parse", params=query, json={"file_id": file_id}).status_code == 200  # waits
    before = counts(cloud)
    assert min(before["team"].values()) > 0, before
    answer = cloud.http.delete("/v1/projects/llamacloud/team")
    assert answer.status_code == 200, answer.text
    assert counts(cloud) == {"other": before["other"]}
    assert cloud.rows(AgentValueRow) == []
    assert not cloud.projects.paths("llamacloud", "team").root.exists()
    assert cloud.http.get(f"/api/v1/indexes/{index['id']}", params=query).status_code == 404
    assert cloud.http.get("/api/v1/beta/files", params=query).json()["items"] == []
    assert cloud.http.get(f"/api/v1/files/{kept}/content", params={"project_id": "other"}).status_code == 200
    cloud.settle()
    assert cloud.stored() == {}
    assert not cloud.projects.paths("llamacloud", "team").root.exists()
    cloud.upload("a.txt", "Another moon.", "team")
    assert len(cloud.http.get("/api/v1/beta/files", params=query).json()["items"]) == 1


def test_a_project_whose_databases_cannot_be_removed_keeps_what_clients_made(
    cloud: CloudWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = {"project_id": "team"}
    cloud.upload("a.txt", "The moon.", "team")
    note = {"deployment_name": "d", "collection": "c", "data": {"a": 1}}
    made = cloud.http.post("/api/v1/beta/agent-data", params=query, json=note).json()

    def away(*_: object) -> None:
        raise UpstreamError("the vector store is away")

    with monkeypatch.context() as context:
        context.setattr(Dispatcher, "remove_project", away)
        assert cloud.http.delete("/v1/projects/llamacloud/team").status_code == 503
    assert cloud.http.get(f"/api/v1/beta/agent-data/{made['id']}", params=query).status_code == 200
    assert len(cloud.http.get("/api/v1/beta/files", params=query).json()["items"]) == 1
    assert cloud.http.delete("/v1/projects/llamacloud/team").status_code == 200
    assert counts(cloud) == {}


def test_what_is_left_of_a_project_whose_folder_is_not_there_goes_only_when_it_is_deleted(cloud: CloudWorld) -> None:
    """The folder may lie on a disk that is not mounted, and the rows in a database of their own."""
    query = {"project_id": "team"}
    note = {"deployment_name": "d", "collection": "c", "data": {"a": 1}}
    made = cloud.http.post("/api/v1/beta/agent-data", params=query, json=note).json()
    shutil.rmtree(cloud.projects.paths("llamacloud", "team").root)
    cloud.upload("b.txt", "The sun.", "team")  # makes the project
    assert cloud.http.get(f"/api/v1/beta/agent-data/{made['id']}", params=query).status_code == 200
    shutil.rmtree(cloud.projects.paths("llamacloud", "team").root)
    assert cloud.http.delete("/v1/projects/llamacloud/team").status_code == 200
    assert counts(cloud) == {}
    assert cloud.http.delete("/v1/projects/llamacloud/team").status_code == 404


def counts(cloud: CloudWorld) -> dict[str, dict[str, int]]:
    """Project → table → rows."""
    found: dict[str, dict[str, int]] = {}
    for table in (CloudObjectRow, CloudJobRow, AgentDataRow):
        for row in cloud.rows(table):
            of_project = found.setdefault(row.project_id, {})
            of_project[table.__tablename__] = of_project.get(table.__tablename__, 0) + 1
    return found
