import errno
import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from config.loader import ProjectStore
from config.public import public_config
from config.reading import parse_config
from config.settings import Settings
from rag.errors import BadRequestError, ConfigError, ConflictError, NotFoundError, RagError, StorageFullError

WriteFile = Callable[..., Path]

GOOD = """\
version: v1
name: bot
namespace: org
runtime:
  models:
    - name: m   # the only one
      provider: openai
      model: gpt
      api_key: k-1
project_brief: {goal: test}
"""


@pytest.fixture
def config() -> dict[str, Any]:
    return parse_config(GOOD.encode(), "llamafarm.yaml")


@pytest.fixture
def file(write_file: WriteFile) -> Path:
    return write_file(GOOD)


def backups(file: Path) -> list[Path]:
    return sorted(path for path in file.parent.iterdir() if path != file)


# --- reading


def test_a_project_is_read_with_what_the_api_needs(store: ProjectStore, file: Path, config: dict[str, Any]) -> None:
    loaded = store.get("org", "bot")
    assert (loaded.namespace, loaded.name, loaded.raw, loaded.validation_error) == ("org", "bot", config, None)
    assert loaded.config is not None
    assert loaded.config.model().model == "gpt"
    assert loaded.last_modified.tzinfo is UTC
    assert abs(datetime.now(UTC) - loaded.last_modified) < timedelta(minutes=1)
    assert len(loaded.etag) == 32
    json.dumps(loaded.raw)


def test_a_project_is_read_once_until_its_file_changes(store: ProjectStore, file: Path) -> None:
    first = store.get("org", "bot")
    assert store.get("org", "bot") is first
    file.write_text(GOOD.replace("gpt", "xyz"))  # same size
    os.utime(file, ns=(1, 1))
    second = store.get("org", "bot")
    assert second.config is not None
    assert second.config.model().model == "xyz"
    assert second.etag != first.etag


def test_a_file_put_in_its_place_with_the_same_time_and_size_is_noticed(store: ProjectStore, file: Path) -> None:
    os.utime(file, ns=(1, 1))
    store.get("org", "bot")
    other = file.with_name("other")
    other.write_text(GOOD.replace("gpt", "xyz"))
    os.utime(other, ns=(1, 1))
    other.replace(file)
    assert store.load("org", "bot").model().model == "xyz"


def test_the_folder_decides_the_name(store: ProjectStore, write_file: WriteFile) -> None:
    write_file("version: v1\nname: other\nnamespace: else\nruntime: {}\n")
    loaded = store.load("org", "bot")
    assert (loaded.namespace, loaded.name) == ("org", "bot")


@pytest.mark.parametrize(
    ("file_name", "content"),
    [
        ("llamafarm.yml", "version: v1\nruntime: {}\n"),
        ("llamafarm.toml", 'version = "v1"\n[runtime]\n'),
        ("llamafarm.json", '{"version": "v1", "runtime": {}}'),
    ],
)
def test_every_format_is_read(store: ProjectStore, write_file: WriteFile, file_name: str, content: str) -> None:
    write_file(content, file_name=file_name)
    assert store.load("org", "bot").version == "v1"


def test_a_missing_project_is_not_found(store: ProjectStore) -> None:
    for look in (store.get, store.load, store.delete):
        with pytest.raises(NotFoundError, match=r"^Project org/bot not found$") as caught:
            look("org", "bot")
        assert caught.value.code == "ProjectNotFound"


def test_a_folder_without_a_config_file_is_a_config_error(store: ProjectStore, file: Path) -> None:
    file.unlink()
    with pytest.raises(ConfigError, match=r"org/bot has no config file; add llamafarm\.yaml"):
        store.get("org", "bot")


def test_a_broken_rule_is_told_by_get_and_raised_by_load(store: ProjectStore, write_file: WriteFile) -> None:
    write_file("version: v9\nruntime: {}\n")
    loaded = store.get("org", "bot")
    assert loaded.config is None
    assert loaded.validation_error == "llamafarm.yaml: version = 'v9'; accepted: 'v1'"
    assert loaded.raw == {"version": "v9", "runtime": {}}
    with pytest.raises(ConfigError, match="version = 'v9'"):
        store.load("org", "bot")


def test_a_file_that_is_no_yaml_names_line_and_column_but_no_folder(
    store: ProjectStore, write_file: WriteFile, settings: Settings
) -> None:
    write_file("version: v1\nruntime: [\n")
    with pytest.raises(ConfigError, match=r"^llamafarm\.yaml: line \d+, column \d+: ") as caught:
        store.get("org", "bot")
    assert str(settings.data_dir) not in str(caught.value)


def test_listing_includes_broken_projects_and_skips_folders_without_config(
    store: ProjectStore, write_file: WriteFile, settings: Settings
) -> None:
    write_file(GOOD, project="good")
    write_file("version: v9\nruntime: {}\n", project="against_a_rule")
    write_file("[", project="no_yaml")
    write_file(GOOD, project=".hidden")
    (settings.projects_dir / "org" / "empty").mkdir()
    (settings.projects_dir / "org" / "a file").write_text("x")
    listed = {project.name: project for project in store.list("org")}
    assert sorted(listed) == ["against_a_rule", "good", "no_yaml"]
    assert [listed[name].validation_error is None for name in sorted(listed)] == [False, True, False]
    assert listed["no_yaml"].raw == {}


def test_an_unknown_namespace_is_empty(store: ProjectStore) -> None:
    assert store.list("nowhere") == []
    assert store.namespaces() == []


@pytest.mark.parametrize("name", ["..", "a/b", ".x", "a\0"])
def test_no_name_leads_out_of_the_projects(store: ProjectStore, name: str) -> None:
    for look in (lambda: store.list(name), lambda: store.get(name, "p"), lambda: store.get("n", name),
                 lambda: store.create("n", name), lambda: store.delete("n", name)):  # fmt: skip
        with pytest.raises(BadRequestError, match="accepted are"):
            look()


def test_a_linked_project_folder_is_not_followed(store: ProjectStore, file: Path, settings: Settings) -> None:
    (settings.projects_dir / "org" / "link").symlink_to(file.parent)
    (settings.projects_dir / "linked").symlink_to(settings.projects_dir / "org")
    assert [project.name for project in store.list("org")] == ["bot"]
    assert store.list("linked") == []
    assert store.namespaces() == ["org"]
    for namespace, project in (("org", "link"), ("linked", "bot")):
        with pytest.raises(NotFoundError):
            store.delete(namespace, project)
    assert file.exists()


# --- creating


def test_a_new_project_starts_from_the_template_of_the_settings(store: ProjectStore) -> None:
    loaded = store.create("my-org", "bot.v2")
    assert loaded.validation_error is None
    assert (loaded.raw["namespace"], loaded.raw["name"]) == ("my-org", "bot.v2")
    assert store.load("my-org", "bot.v2").database().name == "main_database"
    assert store.namespaces() == ["my-org"]


def test_a_new_project_keeps_the_comments_of_its_template(store: ProjectStore) -> None:
    store.create("org", "bot", "server")
    assert "# A chat server" in store.paths("org", "bot").config_file.read_text()


def test_the_ways_of_not_creating_a_project(store: ProjectStore) -> None:
    store.create("org", "bot")
    cases: list[tuple[tuple[str, ...], type[RagError], str, str]] = [
        (("org", "bot"), ConflictError, "Conflict", r"^Project org/bot already exists$"),
        (("llamafarm", "x"), BadRequestError, "ReservedNamespace", r"^Namespace llamafarm is reserved$"),
        (
            ("org", "x", "none"),
            NotFoundError,
            "ConfigTemplateNotFound",
            r"template 'none'\. Searched: advanced, default",
        ),
        (("org", "x", "../server"), NotFoundError, "ConfigTemplateNotFound", "No config template file found"),
    ]
    for arguments, kind, code, text in cases:
        with pytest.raises(kind, match=text) as caught:
            store.create(*arguments)
        assert caught.value.code == code
    assert [project.name for project in store.list("org")] == ["bot"]


# --- replacing


def test_replacing_removes_what_is_not_sent_and_keeps_unknown_keys(
    store: ProjectStore, file: Path, config: dict[str, Any]
) -> None:
    del config["runtime"]["models"][0]["api_key"]
    config["datasets"] = [{"name": "d", "database": "x", "files": ["ab"], "colour": "red"}]
    loaded = store.replace("org", "bot", config)
    assert "api_key" not in file.read_text()
    assert loaded.raw["project_brief"] == {"goal": "test"}
    assert loaded.raw["datasets"] == [{"name": "d", "database": "x", "colour": "red"}]
    assert "# the only one" in file.read_text()


def test_name_and_namespace_are_those_of_the_path(store: ProjectStore, file: Path, config: dict[str, Any]) -> None:
    loaded = store.replace("org", "bot", {**config, "name": "x", "namespace": "y"})
    assert (loaded.raw["name"], loaded.raw["namespace"]) == ("bot", "org")
    del config["name"], config["namespace"]
    assert store.replace("org", "bot", config).raw["name"] == "bot"


def test_an_answered_config_can_be_sent_back_with_its_hidden_key(store: ProjectStore, file: Path) -> None:
    sent = public_config(store.get("org", "bot").raw)
    assert sent["runtime"]["models"][0]["api_key"] == "***"
    assert store.replace("org", "bot", sent).raw["runtime"]["models"][0]["api_key"] == "k-1"


@pytest.mark.parametrize(
    "broken",
    [
        {"version": "v9"},
        {"runtime": {"models": [{"name": "a", "provider": "x"}]}},
        {"datasets": [{"name": "a b", "database": "m"}]},
        {"x": float("inf")},
        {"prompts": [{"name": "A"}]},
    ],
    ids=["version", "provider", "dataset name", "infinity", "prompt name"],
)
def test_an_invalid_config_changes_nothing(
    store: ProjectStore, file: Path, config: dict[str, Any], broken: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=r"^llamafarm\.yaml: "):
        store.replace("org", "bot", {**config, **broken})
    assert file.read_text() == GOOD
    assert backups(file) == []


def test_an_old_dataset_name_may_stay_but_no_new_one_of_its_kind_may_come(
    store: ProjectStore, file: Path, config: dict[str, Any]
) -> None:
    config["datasets"] = [{"name": "my set", "database": "m"}]
    file.write_text(json.dumps(config))
    store.replace("org", "bot", {**config, "version": "v1"})
    config["datasets"].append({"name": "another one", "database": "m"})
    with pytest.raises(ConfigError, match=r"datasets\[1\]\.name = 'another one'; accepted: 1 to 100"):
        store.replace("org", "bot", config)


@pytest.mark.parametrize(
    "content",
    [
        "[",
        "version: v9",
        "- a",
        "a: &a [*a]",
        "\x00",
        "",
        "datasets: 3\nruntime: 3\nprompts: {}",
        "datasets: [{name: []}, 3]",
    ],
    ids=repr,
)
def test_a_broken_file_is_repaired(
    store: ProjectStore, write_file: WriteFile, config: dict[str, Any], content: str
) -> None:
    file = write_file(content)
    assert store.replace("org", "bot", config).validation_error is None
    assert [path.read_text() for path in backups(file)] == [content]


def test_a_missing_project_is_not_created_by_replacing(store: ProjectStore, config: dict[str, Any]) -> None:
    with pytest.raises(NotFoundError):
        store.replace("org", "bot", config)
    assert store.list("org") == []


def test_a_backup_is_made_of_what_is_replaced(store: ProjectStore, file: Path, config: dict[str, Any]) -> None:
    store.replace("org", "bot", {**config, "voice": {}})
    (backup,) = backups(file)
    assert backup.read_text() == GOOD
    datetime.strptime(backup.name, "llamafarm.%Y%m%d_%H%M%S.yaml").replace(tzinfo=UTC)


def test_a_toml_project_goes_on_as_yaml_and_a_json_project_stays_json(
    store: ProjectStore, write_file: WriteFile, config: dict[str, Any]
) -> None:
    toml = write_file('version = "v1"\n[runtime]\n', project="t", file_name="llamafarm.toml")
    store.replace("org", "t", config)
    assert not toml.exists()
    assert [path.suffix for path in sorted(toml.parent.iterdir())] == [".toml", ".yaml"]
    file = write_file('{"version": "v1", "runtime": {}}', project="j", file_name="llamafarm.json")
    store.replace("org", "j", config)
    assert json.loads(file.read_text())["project_brief"] == {"goal": "test"}


@pytest.mark.parametrize("form", ['"{}"', '"other", "{}"', 'W/"x",W/"{0}" , "{0}"', "*", " * "])
def test_a_matching_etag_lets_a_change_through(
    store: ProjectStore, file: Path, config: dict[str, Any], form: str
) -> None:
    store.replace("org", "bot", config, if_match=form.format(store.get("org", "bot").etag))


@pytest.mark.parametrize("form", ['W/"{}"', "{}", '"{}', '""', "", "W/*", '"other"', '"*"'])
def test_what_names_no_strong_tag_of_the_stored_file_does_not(
    store: ProjectStore, file: Path, config: dict[str, Any], form: str
) -> None:
    """A weak tag says 'equivalent' only: RFC 9110 compares strongly here."""
    with pytest.raises(ConflictError, match="changed by someone else"):
        store.replace("org", "bot", config, if_match=form.format(store.get("org", "bot").etag))
    assert file.read_text() == GOOD


def test_any_version_is_one_that_exists(store: ProjectStore, file: Path, config: dict[str, Any]) -> None:
    file.unlink()
    with pytest.raises(ConflictError):
        store.replace("org", "bot", config, if_match="*")
    store.replace("org", "bot", config)
    assert file.exists()


def test_an_old_etag_does_not(store: ProjectStore, file: Path, config: dict[str, Any]) -> None:
    seen = f'"{store.get("org", "bot").etag}"'
    store.replace("org", "bot", {**config, "voice": {}}, if_match=seen)
    with pytest.raises(ConflictError, match="changed by someone else") as caught:
        store.replace("org", "bot", config, if_match=seen)
    assert caught.value.code == "PreconditionFailed"


def test_fifty_concurrent_writers_leave_one_whole_config(
    store: ProjectStore, settings: Settings, file: Path, config: dict[str, Any]
) -> None:
    stop, torn = threading.Event(), []

    def read_all_the_time() -> None:
        while not stop.is_set():
            try:
                parse_config(file.read_bytes(), file.name)
            except (ConfigError, OSError) as error:
                torn.append(error)

    reader = threading.Thread(target=read_all_the_time)
    reader.start()
    stores = [store, ProjectStore(settings)]
    with ThreadPoolExecutor(50) as pool:
        sent = [{**config, "writer": number, "also": "x" * number} for number in range(50)]
        list(pool.map(lambda each: stores[each["writer"] % 2].replace("org", "bot", each), sent))
    stop.set()
    reader.join()
    assert torn == []
    assert store.get("org", "bot").raw in sent
    assert len(backups(file)) == 20
    assert not [path for path in file.parent.iterdir() if path.name.endswith(".tmp")]


def test_of_two_writers_with_one_etag_only_one_wins(store: ProjectStore, file: Path, config: dict[str, Any]) -> None:
    seen = f'"{store.get("org", "bot").etag}"'

    def write(number: int) -> bool:
        try:
            store.replace("org", "bot", {**config, "writer": number}, if_match=seen)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(8))) == 1


def test_a_full_disk_is_told_and_leaves_the_old_file(
    store: ProjectStore, file: Path, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("config.writing.os.fsync", fail)
    with pytest.raises(StorageFullError, match="the disk is full"):
        store.replace("org", "bot", {**config, "voice": {}})
    assert file.read_text() == GOOD
    assert backups(file) == []


def test_a_backup_is_as_private_as_its_file(store: ProjectStore, file: Path, config: dict[str, Any]) -> None:
    file.chmod(0o600)
    store.replace("org", "bot", {**config, "voice": {}})
    assert {path.stat().st_mode & 0o777 for path in file.parent.iterdir()} == {0o600}


# --- editing


def add_dataset(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda raw: raw.setdefault("datasets", []).append({"name": name, "database": "main"})


def test_an_edit_keeps_comments_and_unknown_keys(store: ProjectStore, file: Path) -> None:
    loaded = store.edit("org", "bot", add_dataset("papers"))
    assert loaded.config is not None
    assert loaded.config.dataset("papers").database == "main"
    assert file.read_text().startswith(GOOD.partition("project_brief")[0])
    assert loaded.raw["project_brief"] == {"goal": "test"}


def test_an_edit_that_changes_nothing_writes_nothing(store: ProjectStore, file: Path) -> None:
    before = file.stat().st_mtime_ns
    store.edit("org", "bot", lambda raw: None)
    assert file.stat().st_mtime_ns == before
    assert backups(file) == []


def test_an_edit_that_fails_or_breaks_a_rule_writes_nothing(store: ProjectStore, file: Path) -> None:
    def refuse(raw: dict[str, Any]) -> None:
        raw.clear()
        raise ConflictError("no")

    with pytest.raises(ConflictError, match="no"):
        store.edit("org", "bot", refuse)
    with pytest.raises(ConfigError, match="runtime is missing"):
        store.edit("org", "bot", lambda raw: raw.pop("runtime"))
    assert file.read_text() == GOOD
    assert "runtime" in store.get("org", "bot").raw


def test_concurrent_edits_lose_nothing(store: ProjectStore, file: Path) -> None:
    names = [f"set_{number}" for number in range(20)]
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda name: store.edit("org", "bot", add_dataset(name)), names))
    assert sorted(dataset.name for dataset in store.load("org", "bot").datasets) == sorted(names)


def test_a_flat_runtime_stays_as_written_when_something_else_is_edited(
    store: ProjectStore, write_file: WriteFile
) -> None:
    file = write_file("version: v1\nruntime:\n  provider: ollama\n  model: x\n")
    store.edit("org", "bot", add_dataset("d"))
    assert "runtime:\n  provider: ollama\n  model: x\n" in file.read_text()


# --- deleting


def test_deleting_removes_the_folder_and_returns_what_it_was(
    store: ProjectStore, file: Path, config: dict[str, Any], settings: Settings
) -> None:
    (file.parent / "lf_data" / "datasets").mkdir(parents=True)
    assert store.delete("org", "bot").raw == config
    assert list((settings.projects_dir / "org").iterdir()) == []
    with pytest.raises(NotFoundError):
        store.get("org", "bot")


def test_deleting_does_not_follow_links(store: ProjectStore, file: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    (file.parent / "link").symlink_to(precious)
    store.delete("org", "bot")
    assert (precious / "file").exists()


@pytest.mark.parametrize("content", ["[", None], ids=["broken", "no file"])
def test_a_broken_project_can_be_deleted(store: ProjectStore, file: Path, content: str | None) -> None:
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    assert store.delete("org", "bot").validation_error
    assert not file.parent.exists()


def test_a_deleted_project_can_be_created_again(store: ProjectStore) -> None:
    for _ in range(2):
        store.create("org", "bot")
        store.delete("org", "bot")
    assert store.list("org") == []


# --- what stands in the way of a file


def test_a_folder_under_the_files_name_is_refused_and_left_alone(
    store: ProjectStore, settings: Settings, config: dict[str, Any]
) -> None:
    folder = settings.projects_dir / "org" / "bot" / "llamafarm.yaml"
    folder.mkdir(parents=True)
    for act in (
        lambda: store.get("org", "bot"),
        lambda: store.replace("org", "bot", config),
        lambda: store.create("org", "bot"),
    ):
        with pytest.raises(ConfigError, match=r"llamafarm\.yaml is a folder"):
            act()
    assert folder.is_dir()


@pytest.mark.parametrize("is_there", [True, False], ids=["outside", "nowhere"])
def test_a_link_out_of_the_project_is_neither_followed_nor_replaced(
    store: ProjectStore, settings: Settings, config: dict[str, Any], tmp_path: Path, is_there: bool
) -> None:
    root, outside = settings.projects_dir / "org" / "bot", tmp_path / "elsewhere.yaml"
    root.mkdir(parents=True)
    if is_there:
        outside.write_text(GOOD)
    (root / "llamafarm.yaml").symlink_to(outside)
    for act in (
        lambda: store.get("org", "bot"),
        lambda: store.replace("org", "bot", config),
        lambda: store.create("org", "bot"),
    ):
        with pytest.raises(ConfigError, match="not followed"):
            act()
    assert (root / "llamafarm.yaml").is_symlink()
    assert not is_there or outside.read_text() == GOOD


def test_a_link_within_the_project_is_written_through(store: ProjectStore, file: Path, config: dict[str, Any]) -> None:
    real = file.parent / "conf" / "mine.yaml"
    real.parent.mkdir()
    file.rename(real)
    file.symlink_to("conf/mine.yaml")
    store.replace("org", "bot", {**config, "project_brief": {"goal": "other"}})
    assert file.is_symlink()
    assert "other" in real.read_text()
    assert store.get("org", "bot").raw["project_brief"] == {"goal": "other"}
