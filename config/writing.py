"""Writes a config file: comments kept where the old file allows it, atomically, with a backup of what it replaces."""

import errno
import io
import json
import os
import re
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.scalarstring import LiteralScalarString

from config.reading import parse_config
from rag.errors import ConfigError, StorageFullError

MAX_BACKUPS = 20
NEW_FILE_MODE = 0o644

_BACKUP = re.compile(r"llamafarm\.\d{8}_\d{6}(_\d+)?\.(yaml|yml|toml|json)")
_NAMES_AN_ENTRY = ("name", "type", "role")


def render(config: dict[str, Any], old_content: bytes | None, file_name: str) -> bytes:
    """The bytes of a file that reads back as exactly `config`.

    JSON stays JSON. YAML keeps the comments and the order of `old_content`; a file that uses anchors or cannot be
    read is written anew.

    Raises:
        ConfigError: a value cannot be written, or the bounds of reading are passed.
    """
    if file_name.endswith(".json"):
        return (json.dumps(config, indent=2) + "\n").encode()
    merged = None if old_content is None else _merged(config, old_content, file_name)
    return merged if merged is not None else _written_anew(config, file_name)


def _written_anew(config: dict[str, Any], file_name: str) -> bytes:
    written = _dump(_styled(config))
    if parse_config(written, file_name) != config:
        raise ConfigError(f"{file_name}: holds a value that YAML cannot hold")
    return written


def _merged(config: dict[str, Any], old_content: bytes, file_name: str) -> bytes | None:
    """None where merging would not give `config` back: the caller then writes anew."""
    try:
        parse_config(old_content, file_name)  # bounded: what is nested without end never reaches the slow loader
        if _has_anchors(old_content):
            return None  # a shared value cannot be changed in one place only
        document = _round_trip().load(old_content.decode("utf-8-sig"))
        if not isinstance(document, dict):
            return None
        _merge_mapping(document, config)
        written = _dump(document)
        return written if parse_config(written, file_name) == config else None
    except (YAMLError, ConfigError, ValueError, TypeError, AttributeError, KeyError):
        return None  # a comment is lost rather than a save


def _has_anchors(content: bytes) -> bool:
    """By the parser's word: an `&` inside a text is no anchor."""
    if b"&" not in content:
        return False
    events = YAML(typ="safe", pure=True).parse(content.decode("utf-8-sig"))
    return any(getattr(event, "anchor", None) is not None for event in events)


def _merge_mapping(target: Any, wanted: Mapping[str, Any]) -> None:
    for key in [key for key in target if key not in wanted]:
        del target[key]
    for key, value in wanted.items():
        target[key] = _merge(target.get(key), value)


def _merge(old: Any, value: Any) -> Any:
    if isinstance(old, dict) and isinstance(value, dict):
        _merge_mapping(old, value)
        return old
    if isinstance(old, list) and isinstance(value, list):
        _merge_list(old, value)
        return old
    return old if old is not None and _same(old, value) else _styled(value)


def _merge_list(old: list[Any], wanted: list[Any]) -> None:
    """Entries keep their comments by name; the rest by position."""
    if [_label(entry) for entry in old] == [_label(entry) for entry in wanted[: len(old)]]:
        for index, entry in enumerate(wanted[: len(old)]):
            old[index] = _merge(old[index], entry)
        old.extend(_styled(wanted[len(old) :]))
        return
    by_label = {_label(entry): entry for entry in old if _label(entry) is not None}
    merged = [_merge(by_label.pop(_label(entry), None), entry) for entry in wanted]
    del old[:]
    old.extend(merged)


def _label(entry: Any) -> tuple[str, Any] | None:
    if not isinstance(entry, dict):
        return None
    return next(((key, entry[key]) for key in _NAMES_AN_ENTRY if isinstance(entry.get(key), str)), None)


def _same(old: Any, value: Any) -> bool:
    return bool(old == value) and isinstance(old, bool) == isinstance(value, bool)


def _styled(value: Any) -> Any:
    """A copy in which texts of several lines are written as blocks, so that a prompt can be read in the file."""
    if isinstance(value, dict):
        return {key: _styled(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_styled(entry) for entry in value]
    if isinstance(value, str) and "\n" in value and value.replace("\n", "").isprintable() and not value[0].isspace():
        return LiteralScalarString(value)
    return value


class _Representer(RoundTripRepresenter):
    """Quotes what a plain text could not carry: control characters and line ends of other systems."""


def _represent_text(representer: _Representer, text: str) -> Any:
    return representer.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Representer.add_representer(str, _represent_text)


def _round_trip() -> YAML:
    yaml = YAML(typ="rt", pure=True)
    yaml.Representer = _Representer
    yaml.preserve_quotes = True
    yaml.width = 4096  # long lines are not folded: a prompt keeps its shape
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.allow_unicode = True
    return yaml


def _dump(document: Any) -> bytes:
    buffer = io.BytesIO()
    _round_trip().dump(document, buffer)
    return buffer.getvalue()


def write_atomically(path: Path, content: bytes, *, mode_of: Path | None = None) -> None:
    """Readers see the old file or the new one, also after a crash.

    Args:
        mode_of: the file whose permissions the new one gets; default: the one it replaces.

    Raises:
        StorageFullError: the disk is full; the old file stands.
    """
    try:
        _replace_file(path, content, mode_of or path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFullError(f"{path.name} was not saved: the disk is full; free some space") from error
        raise


def _replace_file(path: Path, content: bytes, mode_of: Path) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode_of.stat().st_mode & 0o777 if mode_of.exists() else NEW_FILE_MODE)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def back_up(path: Path, content: bytes, now: datetime) -> None:
    """Keep `content` as `llamafarm.<YYYYMMDD_HHMMSS>` beside `path`; the newest twenty are kept."""
    stamp = now.astimezone(UTC).strftime("%Y%m%d_%H%M%S")
    counts = [count for time, count in map(_age, _backups(path.parent)) if time == stamp]
    suffix = f"_{max(counts) + 1}" if counts else ""
    write_atomically(path.with_name(f"llamafarm.{stamp}{suffix}{path.suffix}"), content, mode_of=path)
    for old in sorted(_backups(path.parent), key=_age)[:-MAX_BACKUPS]:
        old.unlink(missing_ok=True)


def _backups(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if _BACKUP.fullmatch(entry.name)]


def _age(path: Path) -> tuple[str, int]:
    """The time in the name, then the count among those of one second."""
    stamp = path.name.split(".")[1]
    return stamp[:15], int(stamp[16:] or 0)
