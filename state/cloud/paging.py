"""Pages in the order of creation. A token names the last object of a page and the query that it belongs to.

New objects come after it and deleted ones leave no hole, so that walking through all pages loses and repeats nothing.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson

from rag.errors import InvalidInputError

MAX_PAGE_SIZE = 1000
DEFAULT_PAGE_SIZE = 100
MAX_TOKEN_CHARS = 2_000
LARGEST = 2**62

Item = TypeVar("Item")
Other = TypeVar("Other")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """`total_size` is None where counting was not asked for."""

    items: Sequence[Item]
    next_page_token: str | None = None
    total_size: int | None = None


def page_size(wanted: int | None, default: int = DEFAULT_PAGE_SIZE) -> int:
    """Larger pages than there are are made smaller, not refused."""
    if wanted is None:
        return default
    if wanted < 1:
        raise InvalidInputError(f"page_size = {wanted}: expected 1 to {MAX_PAGE_SIZE}")
    return min(wanted, MAX_PAGE_SIZE)


def make_token(position: Sequence[Any], query: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([digest(query), *position])).decode().rstrip("=")


def read_token(token: str | None, query: Mapping[str, Any], shape: str) -> tuple[Any, ...] | None:
    """The position in a token; None for no token. A token is no secret: what stands in it may be anything.

    Args:
        shape: of the position: `n` for each number in it, `t` for each text, `?` for what its reader looks at itself.

    Raises:
        InvalidInputError: it was not given out, or by a query with other filters.
    """
    if not token:
        return None
    try:
        padded = token[:MAX_TOKEN_CHARS] + "=" * (-len(token) % 4)
        value = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        value = None
    is_list = isinstance(value, list) and len(value) == len(shape) + 1
    if not is_list or value[0] != digest(query) or not all(map(_fits, shape, value[1:])):
        raise InvalidInputError(
            f"page_token {token[:40]!r} does not belong to this query: repeat the filters of the page that it came "
            "with, or leave it out to begin anew"
        )
    return tuple(value[1:])


def _fits(letter: str, value: object) -> bool:
    if letter == "t":
        return isinstance(value, str) and "\x00" not in value
    is_number = isinstance(value, float) or (type(value) is int and abs(value) < LARGEST)
    return letter == "?" or is_number


def digest(query: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(dict(query), option=orjson.OPT_SORT_KEYS, default=str)).hexdigest()[:16]
