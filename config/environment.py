"""`${VAR}` and `${env:VAR}` in llamafarm.yaml: expanded when a value is used, never written back."""

import os
import re
from collections.abc import Mapping
from typing import Any

from rag.errors import ConfigError

_REFERENCE = re.compile(r"\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)\}")

PROCESS_PREFIX = "LF_"
PROCESS_VARIABLES = frozenset({"CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"})


def expand_env(value: Any, environ: Mapping[str, str] | None = None) -> Any:
    """A copy of `value` in which every reference, however deep, is the variable's value.

    Raises:
        ConfigError: a variable is not set, or holds a setting of the server itself (`LF_…`), which a project's
            file must not be able to send elsewhere.
    """
    known = os.environ if environ is None else environ
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: _variable(match[1], known), value)
    if isinstance(value, Mapping):
        return {key: expand_env(entry, known) for key, entry in value.items()}
    if isinstance(value, list):
        return [expand_env(entry, known) for entry in value]
    return value


def _variable(name: str, environ: Mapping[str, str]) -> str:
    if name.startswith(PROCESS_PREFIX) or name in PROCESS_VARIABLES:
        raise ConfigError(f"${{{name}}}: settings of the server itself cannot be used in llamafarm.yaml")
    if name not in environ:
        raise ConfigError(f"${{{name}}}: the environment variable {name} is not set where the server runs; set it")
    return environ[name]
