from pathlib import Path

import pytest

from config.layout import ProjectPaths, check_name
from config.settings import Settings
from rag.errors import BadRequestError, NotFoundError

HASH = "0123456789abcdef" * 4


@pytest.fixture
def paths(settings: Settings) -> ProjectPaths:
    return ProjectPaths.of(settings, "org", "bot")


@pytest.mark.parametrize("name", ["a", "my-org", "v1.2_x", "A" * 100, "-x", "0"])
def test_an_ordinary_name_is_accepted(name: str) -> None:
    assert check_name("project", name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "a\0b",
        ".hidden",
        "%2e%2e",
        "a b",
        "a\n",
        "ä",
        "\u2024\u2024",
        "C:",
        "a" * 101,
    ],
)
def test_a_name_that_could_leave_its_folder_is_refused_with_what_is_accepted(name: str) -> None:
    with pytest.raises(BadRequestError, match=r"^namespace .*accepted are 1 to 100 letters, digits"):
        check_name("namespace", name)


def test_a_refused_name_is_shown_and_shortened() -> None:
    with pytest.raises(BadRequestError, match=r"^project 'a/b':"):
        check_name("project", "a/b")
    with pytest.raises(BadRequestError) as caught:
        check_name("project", "x" * 10_000)
    assert len(str(caught.value)) < 300


def test_a_project_lives_below_its_namespace(paths: ProjectPaths, settings: Settings) -> None:
    assert paths.root == settings.data_dir / "projects" / "org" / "bot"
    assert paths.lf_data == paths.root / "lf_data"


def test_a_dataset_follows_the_published_layout(paths: ProjectPaths) -> None:
    dataset = paths.dataset("papers")
    assert dataset.root == paths.root / "lf_data" / "datasets" / "papers"
    assert dataset.raw(HASH) == dataset.root / "raw" / HASH
    assert dataset.meta(HASH) == dataset.root / "meta" / f"{HASH}.json"
    assert dataset.index_by_name == dataset.root / "index" / "by_name"


@pytest.mark.parametrize(
    "file_hash", ["", "abc", HASH.upper(), HASH + "0", HASH[:-1] + "/", "../" + HASH[3:], HASH + "\n"]
)
def test_what_is_no_hash_is_a_file_that_is_not_there(paths: ProjectPaths, file_hash: str) -> None:
    with pytest.raises(NotFoundError, match="not found"):
        paths.dataset("papers").raw(file_hash)
    with pytest.raises(NotFoundError):
        paths.dataset("papers").meta(file_hash)


def test_the_config_file_is_the_first_that_exists_and_yaml_when_none_does(paths: ProjectPaths) -> None:
    assert paths.config_file.name == "llamafarm.yaml"
    assert paths.existing_config_file is None
    paths.root.mkdir(parents=True)
    for name in ("llamafarm.json", "llamafarm.toml", "llamafarm.yml", "llamafarm.yaml"):
        (paths.root / name).write_text("{}")
        assert paths.config_file.name == name


def test_a_config_file_linked_from_elsewhere_is_not_seen(paths: ProjectPaths, tmp_path: Path) -> None:
    paths.root.mkdir(parents=True)
    outside = tmp_path / "secret.yaml"
    outside.write_text("secret: true")
    (paths.root / "llamafarm.yaml").symlink_to(outside)
    assert paths.existing_config_file is None


def test_a_config_file_linked_within_its_project_is_seen(paths: ProjectPaths) -> None:
    """Mounted config maps are made of such links."""
    (paths.root / "..data").mkdir(parents=True)
    (paths.root / "..data" / "llamafarm.yaml").write_text("{}")
    (paths.root / "llamafarm.yaml").symlink_to("..data/llamafarm.yaml")
    assert paths.existing_config_file == paths.root / "llamafarm.yaml"
