from pathlib import Path

import pytest

from cli.environment import child_environment, load_settings, prepare_data_dir, supervision_mark
from cli.errors import CliError, InvalidSettingsError


def test_invalid_settings_are_told_one_line_each_and_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LF_PORT", "99999")
    monkeypatch.setenv("LF_PARSE_PROCESSES", "many")
    with pytest.raises(InvalidSettingsError) as caught:
        load_settings()
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("LF_PORT: ")
    assert lines[0].endswith("(it is '99999')")
    assert lines[1].startswith("LF_PARSE_PROCESSES: ")
    assert caught.value.exit_code == 2


def test_an_open_door_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LF_API_KEY", raising=False)
    with pytest.raises(InvalidSettingsError, match=r"^settings: listening on 0\.0\.0\.0 without a key"):
        load_settings(host="0.0.0.0")


def test_a_list_that_is_no_json_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LF_CORS_ORIGINS", "http://a")
    with pytest.raises(InvalidSettingsError, match="cors_origins"):
        load_settings()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CliError, match=r"data directory .*file/data cannot be written .*--data-dir"):
        prepare_data_dir(tmp_path / "file" / "data")


def test_the_parts_get_resolved_settings_and_what_env_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LF_DATABASE_URL", "sqlite:///here.db")
    monkeypatch.setenv("BOTH", "environment")
    (tmp_path / ".env").write_text("FROM_FILE=yes\nBOTH=file\nLF_PARSE_PROCESSES=3\n")
    settings = load_settings(port=9999, data_dir=Path("data"))
    prepare_data_dir(settings.data_dir)
    environment = child_environment(settings)
    assert environment["LF_PORT"] == "9999"
    assert environment["LF_DATA_DIR"] == str(tmp_path / "data")
    assert environment["LF_DATABASE_URL"] == f"sqlite:///{tmp_path / 'here.db'}"
    assert environment["LF_PARSE_PROCESSES"] == "3"
    assert (environment["FROM_FILE"], environment["BOTH"]) == ("yes", "environment")


def test_a_copied_data_directory_has_a_mark_of_its_own(tmp_path: Path) -> None:
    for name in ("one", "two"):
        prepare_data_dir(tmp_path / name)
    assert supervision_mark(tmp_path / "one") != supervision_mark(tmp_path / "two")
