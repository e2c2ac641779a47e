"""Decodes JSON as the original's command line does, a Go program: strict about types, silent about unknown keys.

A missing key or `null` is the type's zero value. An integer with a fraction, a text where a number belongs or a time
without a zone makes the whole command fail, so it fails here.
"""

import json
import re
from typing import Any

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
ZERO: dict[str, Any] = {"string": "", "int": 0, "float": 0.0, "bool": False, "object": {}, "any": None, "time": ""}


def decode(shape: Any, value: Any, where: str = "$") -> Any:
    """Read `value` as `shape`: a type name, `[shape]` for a list, `("map", shape)`, or a dict of named fields."""
    if isinstance(shape, list):
        return [decode(shape[0], each, f"{where}[{index}]") for index, each in enumerate(_of(list, value, where))]
    if isinstance(shape, tuple):
        return {key: decode(shape[1], each, f"{where}.{key}") for key, each in _of(dict, value, where).items()}
    if isinstance(shape, dict):
        fields = _of(dict, value, where)
        return {name: decode(each, fields.get(name), f"{where}.{name}") for name, each in shape.items()}
    return ZERO[shape] if value is None else _scalar(shape, value, where)


def _of(kind: type, value: Any, where: str) -> Any:
    if value is None:
        return kind()
    assert isinstance(value, kind), f"{where}: Go wants a {kind.__name__}, got {value!r}"
    return value


def _scalar(shape: str, value: Any, where: str) -> Any:
    kinds = {"string": str, "time": str, "int": int, "float": (int, float), "bool": bool, "object": dict, "any": object}
    is_right = isinstance(value, kinds[shape]) and (shape in ("bool", "any") or not isinstance(value, bool))
    assert is_right, f"{where}: Go wants {shape}, got {value!r}"
    if shape == "time":
        assert RFC3339.fullmatch(value), f"{where}: {value!r} is no RFC 3339 time with a zone"
    return value


def error_text(body: str) -> str:
    """What the command line prints of a failure."""
    try:
        content = json.loads(body)
    except ValueError:
        return body
    for key in ("message", "error"):
        if not isinstance(content.get(key, ""), str):
            return body
    detail = content.get("detail")
    if isinstance(detail, list):
        detail = detail[0] if detail else None
    if isinstance(detail, dict):
        detail = detail.get("message") or detail.get("detail")
    return str(detail or content.get("message") or content.get("error") or body)


def events(text: str) -> list[str]:
    """The payloads of a stream, by the rule of its reader: lines that begin with `data: `."""
    return [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
