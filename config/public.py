"""A project's config as the API answers it, and the way back."""

from typing import Any

from config.runtime import is_flat, with_model_list
from config.secrets import redact, restore


def public_config(raw: dict[str, Any]) -> dict[str, Any]:
    """A copy for answers: no nulls, secrets as `***`, always with `runtime.models` as a list.

    The flat keys of the legacy `runtime` stay beside the list.
    """
    return _as_dict(redact(_with_models(raw)))


def from_public(config: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
    """What to store when a client sends `config`: the inverse of `public_config` for everything it left unchanged.

    Raises:
        ConfigError: `***` where no secret is stored.
    """
    return _as_dict(restore(_without_derived_models(config, stored), _with_models(stored)))


def without_file_lists(config: dict[str, Any]) -> dict[str, Any]:
    """`datasets[].files` is no longer part of the file; the server keeps the list."""
    datasets = config.get("datasets")
    if not isinstance(datasets, list):
        return config
    kept = [
        {key: value for key, value in entry.items() if key != "files"} if isinstance(entry, dict) else entry
        for entry in datasets
    ]
    return {**config, "datasets": kept}


def _with_models(raw: dict[str, Any]) -> dict[str, Any]:
    runtime = raw.get("runtime")
    return {**raw, "runtime": with_model_list(runtime, keep_flat=True)} if isinstance(runtime, dict) else raw


def _without_derived_models(config: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
    """A flat `runtime` was answered with a derived list, which would win over a change the client made to a flat key.

    If the client sends that list back as it was, it is dropped.
    """
    runtime, old = config.get("runtime"), stored.get("runtime")
    if not isinstance(runtime, dict) or not isinstance(old, dict) or not is_flat(old):
        return config
    answered = public_config(stored)["runtime"]
    if runtime.get("models") != answered["models"] or not (runtime.get("provider") or runtime.get("model")):
        return config
    derived = {"models"} if "default_model" in old else {"models", "default_model"}
    kept = {key: value for key, value in runtime.items() if key not in derived or value != answered[key]}
    return {**config, "runtime": kept}


def _as_dict(value: Any) -> dict[str, Any]:
    assert isinstance(value, dict)
    return value
