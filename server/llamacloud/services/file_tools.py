"""Finding, searching and reading the files of an index by their parsed text."""

import time
from dataclasses import dataclass
from itertools import islice

from anyio import fail_after

from rag.errors import InvalidInputError, OverloadedError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.services.grepping import Match, Pattern, Position, is_position, position_at, slow_pattern
from server.llamacloud.services.members import MemberLists
from server.llamacloud.services.texts import ParsedText, Texts
from server.services.slots import run_in_slots
from state.cloud.members import Collection, Member
from state.cloud.paging import MAX_PAGE_SIZE, Page, make_token, page_size, read_token

MAX_CONTEXT_CHARS = 10_000
PATTERN_SHARE = 0.9
"""Of the deadline, after which a search for a pattern stops by itself."""


@dataclass(frozen=True, slots=True)
class Found:
    """A match with what stands around it; `start` and `end` are those of the match alone."""

    content: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class GrepWanted:
    """`limit`: None for as many as a page holds."""

    file_id: str
    pattern: str
    context_chars: int = 0
    limit: int | None = None
    page_token: str | None = None


class FileTools:
    def __init__(self, cloud: CloudEngine) -> None:
        self._cloud = cloud
        self._texts = Texts(cloud)
        self._lists = MemberLists(cloud)

    def matching(self, collection: Collection, name: str | None, contains: str | None) -> list[Member]:
        """Files by name: the whole one, and a part of it in any case; both must fit where both are given."""
        part = None if contains is None else contains.casefold()
        found = [
            each
            for each in self._lists.all(collection)
            if (name is None or each.name == name) and (part is None or part in each.name.casefold())
        ]
        return sorted(found, key=lambda each: (each.name, each.id))

    def has(self, collection: Collection, file_id: str) -> bool:
        return self._lists.of(collection).find(file_id) is not None

    def find(
        self, collection: Collection, name: str | None, contains: str | None, token: str | None, size: int | None
    ) -> Page[Member]:
        """A page of `matching`. Raises InvalidInputError for a token of another query."""
        limit, query = page_size(size), {"find": collection.id, "name": name, "contains": contains}
        after = read_token(token, query, "tt")
        everything = self.matching(collection, name, contains)
        behind = [each for each in everything if after is None or (each.name, each.id) > after]
        shown = behind[:limit]
        more = make_token((shown[-1].name, shown[-1].id), query) if len(behind) > limit else None
        return Page(shown, more, len(everything))

    async def grep(self, collection: Collection, wanted: GrepWanted) -> Page[Found]:
        """A page of the matches in a file, in their order. The total is known only on the last page.

        Raises:
            NotFoundError: no such file in the collection, or it has no text yet.
            InvalidInputError: a pattern, a number or a token that cannot be.
            SlowPatternError: it takes too long.
            OverloadedError: others take all the threads.
        """
        if not 0 <= wanted.context_chars <= MAX_CONTEXT_CHARS:
            raise InvalidInputError(f"context_chars = {wanted.context_chars}: expected 0 to {MAX_CONTEXT_CHARS}")
        size = page_size(wanted.limit, MAX_PAGE_SIZE)
        deadline_s, has_begun = self._cloud.settings.query_deadline_s, False
        ends_at = time.monotonic() + deadline_s * PATTERN_SHARE

        def work() -> Page[Found]:
            nonlocal has_begun
            has_begun = True
            return self._grepped(collection, wanted, size, ends_at)

        try:
            with fail_after(deadline_s):
                return await run_in_slots((self._cloud.pattern_slots,), work)
        except TimeoutError as error:
            if has_begun:
                raise slow_pattern(wanted.pattern) from error
            raise OverloadedError(
                f"other patterns are looked for, none of them ended within {deadline_s:g} s (LF_QUERY_DEADLINE_S); "
                "try again"
            ) from error

    def _grepped(self, collection: Collection, wanted: GrepWanted, size: int, ends_at: float) -> Page[Found]:
        pattern = Pattern(wanted.pattern)  # not before: a large one takes a while to be compiled
        parsed = self._texts.text(collection, self._texts.member(collection, wanted.file_id))
        query = {"grep": wanted.pattern, "context": wanted.context_chars, "text": parsed.stamp}
        start, seen, goes_on = _read_position(wanted.page_token, query, parsed)
        matches = list(islice(pattern.matches(parsed, start, goes_on=goes_on, ends_at=ends_at), size + 1))
        found = [_found(parsed.text, each, wanted.context_chars) for each in matches[:size]]
        if len(matches) <= size:
            return Page(found, None, seen + len(found))
        last = matches[size - 1]
        return Page(found, make_token((last.next_byte, seen + size, not last.is_empty), query), None)

    def read(self, collection: Collection, file_id: str, offset: int = 0, max_length: int | None = None) -> str:
        """Characters of a file's text, to its end unless `max_length` says otherwise.

        Raises:
            NotFoundError: as `grep`.
            InvalidInputError: a negative number.
        """
        for name, number in (("offset", offset), ("max_length", max_length)):
            if number is not None and number < 0:
                raise InvalidInputError(f"{name} = {number}: expected 0 or more")
        text = self._texts.text(collection, self._texts.member(collection, file_id)).text
        return text[offset:] if max_length is None else text[offset : offset + max_length]


def _read_position(token: str | None, query: dict[str, object], parsed: ParsedText) -> tuple[Position, int, bool]:
    """Where to go on, how many matches came before, and whether the last of them ends right there."""
    known = read_token(token, query, "nn?")
    if known is None:
        return Position(), 0, False
    byte, seen, goes_on = known
    if type(byte) is not int or type(seen) is not int or not is_position(parsed, byte):
        raise InvalidInputError(f"page_token {str(token)[:40]!r} does not belong to this query")
    return position_at(parsed, byte), seen, bool(goes_on)


def _found(text: str, match: Match, context_chars: int) -> Found:
    content = text[max(0, match.start - context_chars) : match.end + context_chars]
    return Found(content, match.start, match.end)
