"""Turns what pydantic found wrong into sentences: file, path in the file, value, what is accepted."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from config.secrets import OPEN_MAPS, is_secret_key

SHOWN_PROBLEMS = 5
SHOWN_VALUE_CHARS = 80

_ACCEPTED: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "string_type": lambda _: "a text",
    "string_pattern_mismatch": lambda ctx: f"a text matching {ctx['pattern']}",
    "string_too_long": lambda ctx: f"a text of at most {ctx['max_length']} characters",
    "string_too_short": lambda ctx: f"a text of at least {ctx['min_length']} characters",
    "int_type": lambda _: "a whole number",
    "int_parsing": lambda _: "a whole number",
    "int_from_float": lambda _: "a whole number",
    "bool_type": lambda _: "true or false",
    "bool_parsing": lambda _: "true or false",
    "list_type": lambda _: "a list",
    "too_short": lambda ctx: f"a list of at least {ctx['min_length']}",
    "dict_type": lambda _: "a mapping",
    "model_type": lambda _: "a mapping",
    "model_attributes_type": lambda _: "a mapping",
    "one_of": lambda ctx: str(ctx["expected"]),
    "literal_error": lambda ctx: str(ctx["expected"]),
    "greater_than_equal": lambda ctx: f"a number of at least {ctx['ge']}",
    "less_than_equal": lambda ctx: f"a number of at most {ctx['le']}",
}


def describe(error: ValidationError, raw: Any, file_name: str) -> str:
    """All problems in one text: at most five, then the count of the rest."""
    return summarise([_sentence(problem, raw) for problem in error.errors(include_url=False)], file_name)


def summarise(sentences: Sequence[str], file_name: str) -> str:
    shown = "; ".join(sentences[:SHOWN_PROBLEMS])
    rest = len(sentences) - SHOWN_PROBLEMS
    return f"{file_name}: {shown}" + (f"; and {rest} more" if rest > 0 else "")


def problem_sentence(problem: ErrorDetails, path: str) -> str:
    """One problem of the options of the component at `path`."""
    return _sentence({**problem, "loc": (f"{path}.config", *problem["loc"])}, {})


def _sentence(problem: ErrorDetails, raw: Any) -> str:
    where = _path(_as_written(problem["loc"], raw))
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "missing":
        return f"{where} is missing; it is required"
    if kind == "value_error":
        return f"{where}: {context['error']}" if where else str(context["error"])
    accepted = _ACCEPTED[kind](context) if kind in _ACCEPTED else problem["msg"]
    return f"{where or 'the file'} = {_shown(problem)}; accepted: {accepted}"


def _shown(problem: ErrorDetails) -> str:
    """The value, short, and never a secret."""
    value = problem["input"]
    if any(is_secret_key(str(part)) or part in OPEN_MAPS for part in problem["loc"]):
        return "***"
    if isinstance(value, dict):
        return "(a mapping)"
    if isinstance(value, list):
        return "(a list)"
    text = repr(value)
    return text if len(text) <= SHOWN_VALUE_CHARS else text[:SHOWN_VALUE_CHARS] + "…"


def _path(location: Sequence[str | int]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _as_written(location: tuple[int | str, ...], raw: Any) -> tuple[int | str, ...]:
    """A flat or mapped `runtime` is checked as a list of models; the path is given as the user wrote it."""
    if location[:2] != ("runtime", "models") or len(location) < 3:
        return location
    index = location[2]
    models = raw["runtime"].get("models")
    if isinstance(models, dict) and isinstance(index, int):
        return ("runtime", "models", list(models)[index], *location[3:])
    return location if models else ("runtime", *location[3:])
