from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from config.writing import MAX_BACKUPS
from rag.errors import UpstreamError
from server.parts import Engine
from tests.api.helpers import assert_error, assert_ok

BAD_NAMES = {
    "dots": "%2e%2e",
    "dots and slash": "..%2f..%2fetc",
    "backslash": "..%5c..%5cetc",
    "nul": "a%00b",
    "newline": "a%0ab",
    "drive": "C:",
    "hidden": ".hidden",
    "blank": "%20",
    "look-alike": "pr%D0%BEject",
    "fullwidth dots": "%EF%BC%8E%EF%BC%8E",
    "long": "x" * 5000,
    "broken utf-8": "%ff",
}


def test_unknown_namespace_has_no_projects(client: TestClient) -> None:
    assert assert_ok(client.get("/v1/projects/nobody")) == {"total": 0, "projects": []}


def test_created_project_is_listed_and_read(client: TestClient) -> None:
    created = assert_ok(client.post("/v1/projects/org", json={"name": "new"}))["project"]
    assert (created["namespace"], created["name"]) == ("org", "new")
    assert created["config"]["name"] == "new"
    assert created["config"]["namespace"] == "org"
    listed = assert_ok(client.get("/v1/projects/org"))
    assert listed["total"] == 1
    assert listed["projects"][0] == assert_ok(client.get("/v1/projects/org/new"))["project"]


@pytest.mark.parametrize("template", ["default", "advanced", "server", "rag", None])
def test_every_template_gives_a_valid_project(client: TestClient, template: str | None) -> None:
    body = {"name": "new", "config_template": template}
    assert assert_ok(client.post("/v1/projects/org", json=body))["project"]["validation_error"] is None


def test_unknown_template_is_404(client: TestClient) -> None:
    response = client.post("/v1/projects/org", json={"name": "new", "config_template": "../default"})
    assert_error(response, 404, "No config template file found", code="ConfigTemplateNotFound")


def test_second_project_of_one_name_is_a_conflict(client: TestClient) -> None:
    assert_ok(client.post("/v1/projects/org", json={"name": "new"}))
    assert_error(client.post("/v1/projects/org", json={"name": "new"}), 409, "Project org/new already exists")


def test_reserved_namespace_is_refused(client: TestClient) -> None:
    response = client.post("/v1/projects/llamafarm", json={"name": "new"})
    assert_error(response, 400, "reserved", code="ReservedNamespace")


@pytest.mark.parametrize(
    "name", ["", " ", "..", "a/b", "a\\b", "a\x00b", "a\nb", ".x", "ä", "x" * 101, "C:"], ids=ascii
)
def test_bad_project_name_is_refused(client: TestClient, engine: Engine, name: str) -> None:
    response = client.post("/v1/projects/org", json={"name": name})
    assert response.status_code in (400, 422)
    assert_error(response, response.status_code)
    assert list(engine.settings.data_dir.rglob("llamafarm.yaml")) == []


@pytest.mark.parametrize("body", [{}, {"name": None}, {"name": ["a"]}, {"name": "a", "config_template": 3}])
def test_malformed_creation_is_422(client: TestClient, body: object) -> None:
    assert_error(client.post("/v1/projects/org", json=body), 422)


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES.keys())
def test_names_never_leave_the_data_directory(client: TestClient, tmp_path: Path, name: str) -> None:
    before = set(tmp_path.rglob("*"))
    for path in ("/v1/projects/{}", "/v1/projects/{}/bot", "/v1/projects/org/{}"):
        for method in ("GET", "DELETE", "PUT", "POST"):
            response = client.request(method, path.format(name), json={"name": "x", "config": {}})
            assert response.status_code in (400, 404, 405, 422)
            assert_error(response, response.status_code)
    assert set(tmp_path.rglob("*")) == before


def test_unknown_project_is_404(client: TestClient) -> None:
    assert_error(client.get("/v1/projects/org/none"), 404, "Project org/none not found", code="ProjectNotFound")
    assert_error(client.put("/v1/projects/org/none", json={"config": {}}), 404, code="ProjectNotFound")
    assert_error(client.delete("/v1/projects/org/none"), 404, code="ProjectNotFound")


def test_secrets_are_not_shown(client: TestClient, project: str) -> None:
    for url in (project, "/v1/projects/org"):
        response = client.get(url)
        assert_ok(response)
        assert "sk-secret-value" not in response.text


def test_project_is_read_anew_after_an_edit_by_hand(client: TestClient, engine: Engine, project: str) -> None:
    first = client.get(project)
    path = engine.settings.projects_dir / "org" / "bot" / "llamafarm.yaml"
    path.write_text(path.read_text().replace("main_db", "renamed_db"), encoding="utf-8")
    second = client.get(project)
    assert second.json()["project"]["config"]["rag"]["default_database"] == "renamed_db"
    assert first.headers["etag"] != second.headers["etag"]


def test_broken_rule_is_shown_and_can_be_repaired(client: TestClient, engine: Engine, project: str) -> None:
    path = engine.settings.projects_dir / "org" / "bot" / "llamafarm.yaml"
    good = client.get(project).json()["project"]["config"]
    path.write_text("version: v7\nname: bot\nnamespace: org\n", encoding="utf-8")
    shown = assert_ok(client.get(project))["project"]
    assert "version" in shown["validation_error"]
    assert assert_ok(client.get("/v1/projects/org"))["projects"][0]["validation_error"]
    assert_error(client.get(f"{project}/datasets"), 422, "version", code="ProjectConfigError")
    good["rag"]["databases"][0]["embedding_strategies"][0]["config"]["api_key"] = "sk-new"
    assert assert_ok(client.put(project, json={"config": good}))["project"]["validation_error"] is None


def test_unreadable_project_is_422_and_listed_with_the_reason(client: TestClient, engine: Engine, project: str) -> None:
    path = engine.settings.projects_dir / "org" / "bot" / "llamafarm.yaml"
    path.write_text("a: [", encoding="utf-8")
    assert_error(client.get(project), 422, "llamafarm.yaml", code="ProjectConfigError")
    listed = assert_ok(client.get("/v1/projects/org"))
    assert (listed["total"], listed["projects"][0]["name"], listed["projects"][0]["config"]) == (1, "bot", {})
    assert "llamafarm.yaml" in listed["projects"][0]["validation_error"]


def test_unreadable_project_is_repaired_by_an_update(client: TestClient, engine: Engine, project: str) -> None:
    good = client.get(project).json()["project"]["config"]
    path = engine.settings.projects_dir / "org" / "bot" / "llamafarm.yaml"
    path.write_text("a: [", encoding="utf-8")
    good["rag"]["databases"][0]["embedding_strategies"][0]["config"]["api_key"] = "sk-new"
    assert assert_ok(client.put(project, json={"config": good}))["project"]["validation_error"] is None
    assert assert_ok(client.get(project))["project"]["config"]["datasets"] == good["datasets"]
    assert "a: [" in [each.read_text() for each in path.parent.glob("llamafarm.2*.yaml")]


def test_two_editors_never_overwrite_each_other(client: TestClient, project: str) -> None:
    """Both read, change and write again and again, at the same time: every change that was accepted is there."""

    def append(editor: str) -> int:
        refused = 0
        for number in range(5):
            while True:
                read = client.get(project)
                config = read.json()["project"]["config"]
                config["notes"] = [*config.get("notes", []), f"{editor}{number}"]
                written = client.put(project, json={"config": config}, headers={"If-Match": read.headers["etag"]})
                if written.status_code == 200:
                    break
                assert_error(written, 412, code="PreconditionFailed")
                refused += 1
        return refused

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(append, "ab"))
    notes = client.get(project).json()["project"]["config"]["notes"]
    assert sorted(notes) == [f"{editor}{number}" for editor in "ab" for number in range(5)]


def test_backups_are_bounded(client: TestClient, engine: Engine, project: str) -> None:
    config = client.get(project).json()["project"]["config"]
    for number in range(MAX_BACKUPS + 5):
        assert_ok(client.put(project, json={"config": {**config, "number": number}}))
    folder = engine.settings.projects_dir / "org" / "bot"
    assert len(list(folder.glob("llamafarm.2*.yaml"))) == MAX_BACKUPS


def test_update_replaces_and_keeps_what_it_does_not_know(client: TestClient, project: str) -> None:
    config = client.get(project).json()["project"]["config"]
    config["project_brief"] = {"what": "tests"}
    config["name"] = "other"
    del config["datasets"]
    updated = assert_ok(client.put(project, json={"config": config}))["project"]["config"]
    assert updated["project_brief"] == {"what": "tests"}
    assert updated["name"] == "bot"
    assert "datasets" not in updated


@pytest.mark.parametrize(
    "config",
    [{}, {"version": "v1"}, {"version": "v1", "name": "bot", "namespace": "org", "runtime": []}, {"version": 1}],
)
def test_invalid_update_is_422_and_changes_nothing(client: TestClient, project: str, config: object) -> None:
    before = client.get(project).text
    assert_error(client.put(project, json={"config": config}), 422, "llamafarm.yaml", code="ProjectConfigError")
    assert client.get(project).text == before


@pytest.mark.parametrize("body", [{}, {"config": None}, {"config": []}, {"config": "version: v1"}])
def test_malformed_update_is_422(client: TestClient, project: str, body: object) -> None:
    assert_error(client.put(project, json=body), 422)


def test_update_with_the_known_etag_is_taken(client: TestClient, project: str) -> None:
    read = client.get(project)
    etag = read.headers["etag"]
    config = {**read.json()["project"]["config"], "note": 1}
    written = client.put(project, json={"config": config}, headers={"If-Match": etag})
    assert_ok(written)
    assert written.headers["etag"] not in ("", etag)
    again = client.put(project, json={"config": config}, headers={"If-Match": etag})
    assert_error(again, 412, "changed", code="PreconditionFailed")
    assert_ok(client.put(project, json={"config": config}, headers={"If-Match": "*"}))


def test_delete_removes_folder_and_data(client: TestClient, engine: Engine, project: str) -> None:
    deleted = assert_ok(client.delete(project))["project"]
    assert deleted["config"]["name"] == "bot"
    assert not (engine.settings.projects_dir / "org" / "bot").exists()
    assert engine.dispatcher.removed == [("project", "org", "bot")]  # type: ignore[attr-defined]
    assert_error(client.get(project), 404)


def test_delete_of_a_broken_project_works(client: TestClient, engine: Engine, project: str) -> None:
    (engine.settings.projects_dir / "org" / "bot" / "llamafarm.yaml").write_text("a: [", encoding="utf-8")
    assert_ok(client.delete(project))
    assert not (engine.settings.projects_dir / "org" / "bot").exists()


def test_delete_that_cannot_clear_the_store_leaves_the_project(
    client: TestClient, engine: Engine, project: str
) -> None:
    engine.dispatcher.failure = UpstreamError("the store does not answer")  # type: ignore[attr-defined]
    assert_error(client.delete(project), 503)
    assert_ok(client.get(project))


def test_projects_answer_with_a_slash_at_the_end(client: TestClient, project: str) -> None:
    assert assert_ok(client.get(f"{project}/")) == assert_ok(client.get(project))
    assert assert_ok(client.get("/v1/projects/org/")) == assert_ok(client.get("/v1/projects/org"))


def test_config_that_is_a_folder_is_422_for_reading_and_replacing(
    client: TestClient, project: str, engine: Engine
) -> None:
    file = engine.settings.projects_dir / "org" / "bot" / "llamafarm.yaml"
    config = assert_ok(client.get(project))["project"]["config"]
    file.unlink()
    file.mkdir()
    assert_error(client.get(project), 422, "llamafarm.yaml is a folder")
    assert_error(client.put(project, json={"config": config}), 422, "llamafarm.yaml is a folder")
    assert file.is_dir()


def test_toml_project_is_warned_that_it_becomes_yaml(client: TestClient, project: str, engine: Engine) -> None:
    folder = engine.settings.projects_dir / "org" / "bot"
    (folder / "llamafarm.yaml").unlink()
    (folder / "llamafarm.toml").write_text('version = "v1"\n[runtime]\n', encoding="utf-8")
    shown = assert_ok(client.get(project))["project"]
    assert "llamafarm.toml" in shown["warnings"][0]
    after = assert_ok(client.put(project, json={"config": shown["config"]}))["project"]
    assert [warning for warning in after["warnings"] if "toml" in warning] == []
