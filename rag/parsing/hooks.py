"""Whom a parsing job tells of its end, as its parameters say."""

from collections.abc import Mapping
from typing import Any, Final

EVENTS: Final[Mapping[str, str]] = {
    "completed": "parse.success",
    "partial": "parse.partial_success",
    "failed": "parse.error",
    "cancelled": "parse.cancelled",
}
"""State that a job ends in → what is sent. Nothing is sent before a job has ended."""


def hooks_of(parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Address, events (empty: every end), headers and form (`result`, `json`, `string`) of each that will be told."""
    found: list[dict[str, Any]] = []
    if parameters.get("webhook_url"):
        found.append({"url": parameters["webhook_url"], "events": [], "headers": {}, "form": "result"})
    for each in parameters.get("webhook_configurations") or []:
        events = list(each.get("webhook_events") or [])
        if each.get("webhook_url") and (not events or set(events) & set(EVENTS.values())):
            form = each.get("webhook_output_format") or "json"
            about = {"url": each["webhook_url"], "events": events, "headers": dict(each.get("webhook_headers") or {})}
            found.append({**about, "form": form})
    return found


def will_tell(parameters: Mapping[str, Any]) -> bool:
    """Whether one of `webhook_configurations` can have an effect."""
    return bool(hooks_of({"webhook_configurations": parameters.get("webhook_configurations")}))


def unsent_events(parameters: Mapping[str, Any]) -> list[str]:
    """Events that are asked for and never sent."""
    asked = [
        event for each in parameters.get("webhook_configurations") or [] for event in each.get("webhook_events") or []
    ]
    return sorted(set(asked) - set(EVENTS.values()))
