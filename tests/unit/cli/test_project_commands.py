"""`lf init`, `lf config`, `lf projects`: a folder and its project."""

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from config.loader import TEMPLATES_DIR
from tests.unit.cli.client_run import Lf, P
from tests.unit.cli.fake_api import Reply

CONFIG = {
    "version": "v1",
    "name": "shop",
    "namespace": "default",
    "runtime": {"models": [{"name": "quotes", "provider": "extractive"}]},
}
VALID = (TEMPLATES_DIR / "rag.yaml").read_text()


def answer(**more: Any) -> dict[str, Any]:
    return {"project": {"namespace": "default", "name": "shop", "config": CONFIG, "warnings": [], **more}}


@pytest.fixture
def empty(lf: Lf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lf:
    monkeypatch.chdir(tmp_path)
    return lf


def test_init_makes_a_project_and_writes_its_file(empty: Lf, tmp_path: Path) -> None:
    lf = empty
    lf.api.on("POST", "/v1/projects/default", answer())
    lf.api.on("GET", "/v1/projects/default/shop", answer())
    assert lf("init", "shop", "--template", "rag").stdout == f"Created project default/shop in {tmp_path}/shop\n"
    assert lf.api.seen[0].json == {"name": "shop", "config_template": "rag"}
    assert YAML(typ="safe").load(tmp_path / "shop" / "llamafarm.yaml") == CONFIG
    assert "already exists" in lf("init", "shop", code=1).stderr
    assert len(lf.api.requests("POST", "/v1/projects/default")) == 1


def test_init_takes_names_from_options_and_can_fetch(empty: Lf, tmp_path: Path) -> None:
    lf = empty
    lf.api.on("GET", P, answer(name="bakery", namespace="acme"))
    found = lf.json("init", "here", "--namespace", "acme", "--project", "bakery", "--fetch")
    assert (found["namespace"], found["name"]) == ("acme", "bakery")
    assert [each.method for each in lf.api.seen] == ["GET"]
    assert lf.error("init", "there", "--fetch", "--template", "rag", code=2)["exit_code"] == 2


def test_init_leaves_nothing_behind_when_the_server_refuses(empty: Lf, tmp_path: Path) -> None:
    lf = empty
    (tmp_path / "mine").mkdir()
    before = sorted(tmp_path.rglob("*"))
    lf.api.on("POST", "/v1/projects/default", Reply({"detail": "Project default/shop already exists"}, 409))
    for path in ("shop", "deep/er/shop", "mine", "mine/shop"):
        assert "already exists" in lf("init", path, code=1).stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_init_into_a_file_is_told(empty: Lf, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be written" in empty("init", "file/sub", code=1).stderr
    assert empty.api.seen == []


def test_a_file_is_checked_without_a_server(lf: Lf) -> None:
    dead = ("--server-url", "http://127.0.0.1:9")
    (lf.folder / "good.yaml").write_text(VALID)
    assert lf("config", "validate", "good.yaml", *dead).stdout == "good.yaml is valid\n"
    assert lf.json("config", "validate", "good.yaml")["valid"] is True
    (lf.folder / "bad.yaml").write_text("version: v2\nname: x\n")
    failed = lf.error("config", "validate", "bad.yaml")
    assert "bad.yaml" in failed["error"]
    assert "version" in failed["error"]
    assert "runtime" in lf("config", "validate", code=1).stderr
    (lf.folder / "llamafarm.yaml").unlink()
    assert "name the file" in lf("config", "validate", code=2).stderr
    assert "cannot be read" in lf("config", "validate", "absent.yaml", code=1).stderr


def test_what_has_no_effect_is_warned_of(lf: Lf) -> None:
    (lf.folder / "good.yaml").write_text(VALID + "nonsense: 1\n")
    done = lf("config", "validate", "good.yaml")
    assert "nonsense" in done.stderr
    assert any("nonsense" in warning for warning in lf.json("config", "validate", "good.yaml")["warnings"])


def test_the_schema_is_printed(lf: Lf) -> None:
    assert "runtime" in json.loads(lf("config", "schema").stdout)["properties"]


def test_show_prints_yaml_or_json(lf: Lf) -> None:
    lf.api.on("GET", P, answer(validation_error="runtime is missing"))
    done = lf("config", "show")
    assert YAML(typ="safe").load(done.stdout) == CONFIG
    assert "runtime is missing" in done.stderr
    assert lf.json("config", "show") == CONFIG


def test_pull_keeps_comments_and_push_sends(lf: Lf) -> None:
    path = lf.folder / "llamafarm.yaml"
    path.write_text("# mine\nversion: v1\nname: bakery # the name\nnamespace: acme\n")
    lf.api.on("GET", P, {"project": {"config": {**CONFIG, "name": "bakery", "namespace": "acme"}}})
    lf("config", "pull", "--yes")
    text = path.read_text()
    assert "# mine" in text
    assert "# the name" in text
    assert "extractive" in text
    lf.api.on("PUT", P, {"project": {"warnings": ["mcp: has no effect"]}})
    done = lf("config", "push", "--if-match", '"e1"')
    assert "mcp: has no effect" in done.stderr
    sent = lf.api.requests("PUT", P)[0]
    assert sent.headers["if-match"] == '"e1"'
    assert sent.json["config"]["runtime"] == CONFIG["runtime"]


def test_push_can_make_the_project(lf: Lf) -> None:
    lf.api.on("GET", P, Reply({"detail": "Project acme/bakery not found"}, 404))
    lf.api.on("PUT", P, Reply({"detail": "Project acme/bakery not found"}, 404))
    assert "not found" in lf("config", "push", code=1).stderr
    lf.api.on("POST", "/v1/projects/acme", {})
    lf.api.on("PUT", P, {"project": {}})
    lf("config", "push", "--create")
    assert lf.api.requests("POST", "/v1/projects/acme")[0].json == {"name": "bakery"}


def test_projects_are_listed_made_checked_and_deleted(lf: Lf) -> None:
    entries = [{"namespace": "acme", "name": "a"}, {"name": "b", "validation_error": "bad"}]
    lf.api.on("GET", "/v1/projects/acme", {"total": 2, "projects": entries})
    assert lf("projects", "list").stdout == "acme/a\nacme/b  (its configuration cannot be used)\n"
    lf.api.on("POST", "/v1/projects/acme", {"project": {}})
    assert lf("projects", "create", "shop", "--template", "rag").stdout == "created project acme/shop\n"
    assert lf.api.seen[-1].json == {"name": "shop", "config_template": "rag"}
    lf.api.on("DELETE", "/v1/projects/other/shop", {"project": {}})
    assert lf("projects", "delete", "other/shop", "--yes").stdout == "deleted project other/shop\n"
    lf.api.on("GET", P, answer(warnings=["careful"]), answer(validation_error="runtime is missing"))
    done = lf("projects", "validate")
    assert (done.stdout, done.stderr) == ("acme/bakery is valid\n", "careful\n")
    assert "acme/bakery: runtime is missing" in lf("projects", "validate", "acme/bakery", code=1).stderr


OWN = {**CONFIG, "name": "bakery", "namespace": "acme"}
THEIRS = {
    **OWN,
    "datasets": [{"name": "added"}, {"name": "later"}],
    "rag": {"databases": [{"name": "store"}]},
}


def stored(config: dict[str, Any], etag: str | None) -> Reply:
    return Reply({"project": {"config": config}}, headers={"ETag": etag} if etag else {})


def sent_tags(lf: Lf) -> list[str | None]:
    return [each.headers.get("if-match") for each in lf.api.requests("PUT", P)]


def test_push_replaces_only_the_version_that_the_file_came_from(lf: Lf) -> None:
    lf.api.on("GET", P, stored(OWN, '"e1"'))
    lf("config", "pull", "--yes")
    lf.api.on("PUT", P, stored(OWN, '"e2"'))
    lf("config", "push")
    lf("config", "push")
    assert sent_tags(lf) == ['"e1"', '"e2"']
    lf.api.on("PUT", P, Reply({"detail": "changed by someone else"}, 412))
    lf.api.on("GET", P, stored(THEIRS, '"e3"'))
    failed = lf("config", "push", code=1).stderr
    for told in ("acme/bakery was changed", "datasets added, later; databases store", "config pull", "push --force"):
        assert told in failed
    lf.api.on("PUT", P, stored(OWN, '"e4"'))
    lf("config", "push", "--force")
    lf("config", "push")
    assert sent_tags(lf)[-2:] == [None, '"e4"']


def test_init_remembers_the_version_that_it_wrote(empty: Lf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lf = empty
    lf.api.on("GET", P, stored(OWN, '"e1"'))
    lf("init", "here", "--namespace", "acme", "--project", "bakery", "--fetch")
    monkeypatch.chdir(tmp_path / "here")
    lf.api.on("PUT", P, stored(OWN, '"e2"'))
    lf("config", "push")
    assert sent_tags(lf) == ['"e1"']


def test_push_of_a_file_of_unknown_origin_asks_only_where_something_would_vanish(lf: Lf) -> None:
    lf.api.on("PUT", P, stored(OWN, None))
    lf.api.on("GET", P, stored(THEIRS, '"e1"'))
    refused = lf("config", "push", code=2).stderr
    assert "datasets added, later; databases store; models quotes" in refused
    assert "--yes" in refused
    assert lf.api.requests("PUT", P) == []
    lf("config", "push", "--yes")
    lf.api.on("GET", P, stored({"name": "bakery", "namespace": "acme"}, '"e5"'))
    lf("config", "push")
    lf("config", "push")  # a server without ETags: asked anew each time
    assert sent_tags(lf) == [None, '"e5"', '"e5"']


def test_push_into_a_project_made_just_now_asks_nothing(lf: Lf) -> None:
    lf.api.on("GET", P, Reply({"detail": "Project acme/bakery not found"}, 404))
    lf.api.on("POST", "/v1/projects/acme", stored(THEIRS, '"made"'))
    lf.api.on("PUT", P, stored(OWN, '"e1"'))
    lf("config", "push", "--create")
    assert sent_tags(lf) == ['"made"']


def test_pull_asks_before_edits_are_lost_and_keeps_what_it_replaces(lf: Lf) -> None:
    path = lf.folder / "llamafarm.yaml"
    path.chmod(0o600)
    first = path.read_text()
    lf.api.on("GET", P, stored(OWN, '"e1"'))
    assert "--yes" in lf("config", "pull", code=2).stderr
    assert path.read_text() == first
    lf("config", "pull", "--yes")
    (backup,) = lf.folder.glob("llamafarm.yaml.*.bak")
    assert (backup.read_text(), backup.stat().st_mode & 0o777) == (first, 0o600)
    lf("config", "pull")
    lf.api.on("GET", P, stored(THEIRS, '"e2"'))
    lf("config", "pull")
    path.write_text(path.read_text().replace("later", "mine"))
    edited = path.read_text()
    assert "--yes" in lf("config", "pull", code=2).stderr
    found = lf.json("config", "pull", "--yes")
    assert Path(found["backup"]).read_text() == edited
    assert "later" in path.read_text()
    assert len(list(lf.folder.glob("*.bak"))) == 3
