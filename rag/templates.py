"""`{{name}}` and `{{name | default}}` in prompts and tools: filled in from the variables of a request."""

import re
from collections.abc import Mapping
from typing import Any

from rag.errors import BadRequestError

MAX_FILLED_CHARS = 2_000_000
"""Of everything a request has filled in: a short text that names a long variable often must not fill the memory."""

_REFERENCE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*(?:\|([^{}]*))?\}\}")


class Filler:
    """Fills in texts, one after the other; values are text, not templates: what they hold is not filled in again.

    A variable that is null counts as not given. Booleans are written as in JSON.
    """

    def __init__(self, variables: Mapping[str, str | float | bool | None] | None) -> None:
        self._values = {key: _text(value) for key, value in (variables or {}).items() if value is not None}
        self._left_chars = MAX_FILLED_CHARS

    def fill(self, value: Any) -> Any:
        """A copy of `value` in which every text, however deep, is filled in.

        Raises:
            BadRequestError: a variable is missing and has no default, or the result grows beyond all measure.
        """
        if isinstance(value, str):
            return _REFERENCE.sub(self._value, value) if "{{" in value else value
        if isinstance(value, Mapping):
            return {key: self.fill(entry) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [self.fill(entry) for entry in value]
        return value

    def _value(self, match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        text = self._values.get(name)
        if text is None:
            if default is None:
                known = ", ".join(sorted(self._values)[:20]) or "none"
                raise BadRequestError(
                    f"Template resolution failed: the variable '{name[:100]}' is missing and has no default; given: "
                    f"{known[:500]}. Send it in `variables`, or write {{{{{name[:100]} | default}}}}"
                )
            text = default.strip()
        self._left_chars -= len(text)
        if self._left_chars < 0:
            raise BadRequestError(
                f"Template resolution failed: the variables fill in more than {MAX_FILLED_CHARS} characters"
            )
        return text


def _text(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
