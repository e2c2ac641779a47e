"""`${VAR}` and `${env:VAR}` in llamafarm.yaml: expanded when a value is used, never written back."""

import os
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from config.settings import Settings
from rag.errors import ConfigError

_REFERENCE = re.compile(r"\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)\}")

PROCESS_PREFIX = "LF_"


class FromEnvironment(str):
    """A text that holds the value of a variable: messages that show values with `repr` do not show this one."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def expand_env(value: Any, environ: Mapping[str, str] | None = None, *, allowed: Collection[str] | None = None) -> Any:
    """A copy of `value` in which every reference, however deep, is the variable's value.

    Args:
        allowed: the variables that may be used; None: any but the server's own.

    Raises:
        ConfigError: a variable is not set, is not among the allowed ones, or holds a setting of the server itself
            (`LF_…`, `HF_TOKEN` …), which a project's file must not be able to send elsewhere.
    """
    known = os.environ if environ is None else environ
    if isinstance(value, str):
        expanded = _REFERENCE.sub(lambda match: _variable(match[1], known, allowed), value)
        return FromEnvironment(expanded) if _REFERENCE.search(value) else value
    if isinstance(value, Mapping):
        return {key: expand_env(entry, known, allowed=allowed) for key, entry in value.items()}
    if isinstance(value, list):
        return [expand_env(entry, known, allowed=allowed) for entry in value]
    return value


def _variable(name: str, environ: Mapping[str, str], allowed: Collection[str] | None) -> str:
    # In capitals, because the settings are read whatever the case.
    if name.upper().startswith(PROCESS_PREFIX) or name.upper() in _process_variables():
        raise ConfigError(f"${{{name}}}: settings of the server itself cannot be used in llamafarm.yaml")
    if allowed is not None and name not in allowed:
        raise ConfigError(f"${{{name}}}: projects may not use this variable; the operator can add it to LF_ENV_ALLOWED")
    if name not in environ:
        raise ConfigError(f"${{{name}}}: the environment variable {name} is not set where the server runs; set it")
    return environ[name]


@lru_cache(maxsize=1)
def _process_variables() -> frozenset[str]:
    """Every name that a setting is read from; the result backend was one, and may still be set."""
    aliases = [field.validation_alias for field in Settings.model_fields.values()]
    choices = [choice for alias in aliases for choice in getattr(alias, "choices", ())]
    return frozenset({"CELERY_RESULT_BACKEND", *(choice.upper() for choice in choices if isinstance(choice, str))})
