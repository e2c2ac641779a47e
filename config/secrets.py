"""What in a config is a secret, how it is hidden in answers, and how a hidden one finds its value again."""

import re
from collections.abc import Mapping
from typing import Any

from rag.errors import ConfigError

REDACTED = "***"

_SECRET_KEY = re.compile(
    r"((api|access|secret|private)[_-]?key|(access|api|auth|bearer|bot|hf|hub|refresh)[_-]?token|^token|passw(or)?d"
    r"|secret|authorization|credentials?)$",
    re.IGNORECASE,
)
_SECRET_ENTRY = re.compile(r"key|token|secret|passw|auth|credential|cookie", re.IGNORECASE)
OPEN_MAPS = frozenset({"headers", "env"})
"""Mappings whose keys are free names, judged more strictly."""
_ADDRESS_KEYS = ("base_url", "api_base", "host", "url")
_URL_PASSWORD = re.compile(r"(\w+://[^\s:/@]*):(?!\$\{[^}]*\}@)[^\s/]+@")
_HIDDEN_URL_PASSWORD = f":{REDACTED}@"
_REFERENCE = re.compile(r"\$\{(env:)?[A-Za-z_][A-Za-z0-9_]*\}")


def is_secret_key(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None


def redact(value: Any, *, parent: str = "") -> Any:
    """A copy without nulls in which every secret is `***`; a `${VAR}` reference is no secret and stays."""
    if isinstance(value, Mapping):
        return {
            key: REDACTED if _hides(key, entry, parent) else redact(entry, parent=key)
            for key, entry in value.items()
            if entry is not None
        }
    if isinstance(value, list):
        return [redact(entry, parent=parent) for entry in value if entry is not None]
    return _without_password(value)


def _without_password(value: Any) -> Any:
    """A text in which the password of an address is `***`; anything else as it is."""
    return _URL_PASSWORD.sub(rf"\1{_HIDDEN_URL_PASSWORD}", value) if isinstance(value, str) else value


def _hides(key: str, value: Any, parent: str) -> bool:
    if isinstance(value, (Mapping, list)) or value == "" or _REFERENCE.fullmatch(str(value)):
        return False
    return is_secret_key(key) or (parent in OPEN_MAPS and _SECRET_ENTRY.search(key) is not None)


def restore(value: Any, stored: Any, *, path: str = "", has_moved: bool = False) -> Any:
    """A copy of `value` in which every secret `***` is what `stored` holds at the same place.

    Entries of a list are matched by their `name`, else by their position.

    Args:
        has_moved: an address further up differs from the stored one.

    Raises:
        ConfigError: nothing is stored there, or the address it goes with changed: a stored key is not sent elsewhere.
    """
    if isinstance(value, Mapping):
        kept = stored if isinstance(stored, Mapping) else {}
        has_moved = has_moved or any(
            _without_password(value.get(key)) != _without_password(kept.get(key)) for key in _ADDRESS_KEYS
        )
        return {
            key: _stored_secret(key, kept, path, has_moved=has_moved)
            if entry == REDACTED and _hides(key, entry, _last_key(path))
            else restore(entry, kept.get(key), path=_join(path, key), has_moved=has_moved)
            for key, entry in value.items()
        }
    if isinstance(value, list):
        kept_list = stored if isinstance(stored, list) else []
        return [
            restore(entry, _counterpart(entry, index, kept_list), path=f"{path}[{index}]", has_moved=has_moved)
            for index, entry in enumerate(value)
        ]
    if isinstance(value, str) and _HIDDEN_URL_PASSWORD in value:
        return _stored_address(value, stored, path)
    return value


def _stored_address(value: str, stored: Any, path: str) -> Any:
    if _without_password(stored) != value:
        raise ConfigError(f"{path}: no address is stored there that '{value}' could stand for; give the password")
    return stored


def _stored_secret(key: str, stored: Mapping[str, Any], path: str, *, has_moved: bool) -> Any:
    where = _join(path, key)
    if stored.get(key) is None:
        raise ConfigError(f"{where} = '{REDACTED}': no value is stored there that this could stand for; give the value")
    if has_moved:
        raise ConfigError(f"{where} = '{REDACTED}': the address it goes with changed; give the value again")
    return stored[key]


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _last_key(path: str) -> str:
    return path.rpartition(".")[2]


def _counterpart(entry: Any, index: int, stored: list[Any]) -> Any:
    name = entry.get("name") if isinstance(entry, Mapping) else None
    if name is None:
        return stored[index] if index < len(stored) else None
    return next((other for other in stored if isinstance(other, Mapping) and other.get("name") == name), None)
