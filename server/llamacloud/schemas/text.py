"""Types that several wire models share."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, StringConstraints

from state.cloud.collections import LEAST_INTERVAL_S

MAX_NAME_CHARS = 3_000
MAX_KEY_CHARS = 1_000


def _plain(text: str) -> str:
    if "\x00" in text:
        raise ValueError("a NUL character cannot be stored; leave it out")
    return text


Plain = Annotated[str, AfterValidator(_plain)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME_CHARS), AfterValidator(_plain)]
Key = Annotated[str, StringConstraints(min_length=1, max_length=MAX_KEY_CHARS), AfterValidator(_plain)]
JsonMap = dict[str, Any]
FirstStatus: TypeAlias = Literal["PENDING", "SUCCESS", "ERROR", "PARTIAL_SUCCESS", "CANCELLED"]
"""Of a job of the first generation of a product."""


def brought_up(seconds: float | None) -> float | None:
    """An interval between syncs; 0 is for none."""
    return max(seconds, LEAST_INTERVAL_S) if seconds else seconds
