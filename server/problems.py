"""What pydantic found wrong with a request, told to whoever sent it: the field, what was given, what is expected.

Pydantic lists each branch of a union, and puts the branch's name into the path of the field. Those names are ours, so
the path is walked along what was sent: a part that leads nowhere is no part of it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

SHOWN_CHARS = 60
MAX_DIGITS = 30

_TEXT, _NUMBER, _WHOLE, _TRUTH = "a text", "a number", "a whole number", "true or false"
_LIST, _OBJECT, _MOMENT = "a list", "an object", "a date and time such as 2026-01-31T12:00:00Z"
_KINDS: Final[Mapping[str, str]] = {
    "string_type": _TEXT,
    "string_unicode": "a text of whole characters",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": "a whole number of fewer digits",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "a finite number",
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "mapping_type": _OBJECT,
    "dataclass_type": _OBJECT,
    "none_required": "null",
}
"""Problems of the kind of a value: of a union, those of the branches that the value was not meant for."""
_MEASURES: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "string_too_short": lambda ctx: f"at least {_counted(ctx['min_length'], 'character')}",
    "string_too_long": lambda ctx: f"at most {_counted(ctx['max_length'], 'character')}",
    "string_pattern_mismatch": lambda ctx: f"a text that matches {ctx['pattern']}",
    "too_short": lambda ctx: f"at least {_counted(ctx['min_length'], 'item')}",
    "too_long": lambda ctx: f"at most {_counted(ctx['max_length'], 'item')}",
    "greater_than": lambda ctx: f"more than {_plain_number(ctx['gt'])}",
    "greater_than_equal": lambda ctx: f"at least {_plain_number(ctx['ge'])}",
    "less_than": lambda ctx: f"less than {_plain_number(ctx['lt'])}",
    "less_than_equal": lambda ctx: f"at most {_plain_number(ctx['le'])}",
    "literal_error": lambda ctx: str(ctx["expected"]),
    "enum": lambda ctx: str(ctx["expected"]),
    "union_tag_invalid": lambda ctx: f"one of {ctx['expected_tags']} as {ctx['discriminator']}",
}
Problem = Mapping[str, Any]


def told(problems: Sequence[Problem], sent: Any, depth: int = 1) -> list[dict[str, Any]]:
    """One problem for each field, in the order in which they were found.

    Args:
        sent: what was checked, as far as it is known.
        depth: parts of each path that say where `sent` stands, such as `body`.
    """
    placed = [(_place(each, sent, depth), each) for each in problems]
    deeper = {place[:end] for place, _ in placed for end in range(len(place))}
    by_place: dict[tuple[int | str, ...], list[Problem]] = {}
    for place, each in placed:
        if not (place in deeper and each["type"] in _KINDS):  # another branch took the value, and found more in it
            by_place.setdefault(place, []).append(each)
    return [_joined(place, found) for place, found in by_place.items()]


def sentence(error: ValidationError, sent: Any, place: str = "") -> str:
    """The first problem of something that is checked outside of a request's own model.

    Args:
        place: where `sent` stands in the request.
    """
    first = told(error.errors(include_url=False), sent, 0)[0]
    where = ".".join([*([place] if place else []), *(str(part) for part in first["loc"])])
    return f"{where}: {first['msg']}" if where else str(first["msg"])


def _place(problem: Problem, sent: Any, depth: int) -> tuple[int | str, ...]:
    location = tuple(problem["loc"])
    found, at = list(location[:depth]), sent
    if location[:1] and location[0] != "body" and depth:  # of the query and of the path: one name, and places in a list
        found.append(*location[1:2])
        return (*found, *(part for part in location[2:] if isinstance(part, int)))
    for number, part in enumerate(location[depth:], depth + 1):
        is_missing = number == len(location) and problem["type"] in {"missing", "extra_forbidden"}
        if isinstance(part, int):
            found.append(part)
            at = at[part] if isinstance(at, list) and part < len(at) else None
        elif isinstance(at, Mapping) and part in at:
            found.append(part)
            at = at[part]
        elif is_missing:
            found.append(part)
    return tuple(found)


def _joined(place: tuple[int | str, ...], found: Sequence[Problem]) -> dict[str, Any]:
    others = [each for each in found if each["type"] not in _KINDS]
    if others:  # of a branch that the value was meant for
        return {**others[0], "loc": place, "msg": _message(others[0])}
    expected = list(dict.fromkeys(_KINDS[each["type"]] for each in found))
    if _NUMBER in expected and _WHOLE in expected:
        expected.remove(_WHOLE)
    first = found[0]
    return {
        **first,
        "loc": place,
        "msg": f"expected {_listed(expected)}, got {shown(first['input'])}",
        "type": first["type"] if len(expected) == 1 else "type_error",
    }


def _message(problem: Problem) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    if kind in _MEASURES:
        return f"expected {_MEASURES[kind](context)}, got {shown(problem['input'])}"
    if kind.startswith(("datetime_", "date_", "timezone_")):
        return f"expected {_MOMENT}, got {shown(problem['input'])}"
    return str(problem["msg"]).removeprefix("Value error, ")


def shown(value: Any) -> str:
    """A value in few words."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple | set | frozenset):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        return f"'{value}'" if len(value) <= SHOWN_CHARS else f"'{value[:SHOWN_CHARS]}…' ({len(value)} characters)"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return _plain_number(value)
    return type(value).__name__


def _plain_number(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    text = str(value)
    return text if len(text) <= MAX_DIGITS else f"{text[:MAX_DIGITS]}… ({len(text)} digits)"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun if count == 1 else f'{noun}s'}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
