"""What the body of a refusal says, whichever of the shapes of LlamaFarm servers it has."""

from typing import Any


def error_text(body: Any, raw: str) -> str:
    """The first readable text of: detail, its message or first entries, message, error; else the raw body."""
    if not isinstance(body, dict):
        return raw.strip()[:2000]
    text = _detail(body.get("detail"))
    if not text:
        text = next((body[key] for key in ("message", "error") if isinstance(body.get(key), str)), "")
    return text or _nested(body.get("error")) or raw.strip()[:2000]


def _detail(detail: Any) -> str:
    if isinstance(detail, str):
        return detail
    if isinstance(detail, dict):
        return _nested(detail)
    if isinstance(detail, list):
        return "; ".join(filter(None, (_problem(entry) for entry in detail)))
    return ""


def _problem(entry: Any) -> str:
    """One entry of a list of problems: `body.top_k: Input should be less than …`."""
    if not isinstance(entry, dict):
        return str(entry)
    text = str(entry.get("msg") or _nested(entry))
    place = ".".join(str(part) for part in entry.get("loc") or [])
    return f"{place}: {text}" if place else text


def _nested(value: Any) -> str:
    if not isinstance(value, dict):
        return ""
    return next((value[key] for key in ("message", "detail") if isinstance(value.get(key), str)), "")
