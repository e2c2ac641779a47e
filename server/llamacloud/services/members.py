"""The members of a collection, kept between requests for as long as nobody changes one."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from sqlalchemy import bindparam
from sqlalchemy import select as select_rows

from server.llamacloud.engine import CloudEngine
from server.llamacloud.services.filtering import Selection, Where, select
from state.cloud.members import MARK, Collection, Member, Members
from state.cloud.tables import CloudObjectRow

MAX_COLLECTIONS = 64
MAX_MEMBERS = 200_000
"""Kept in all; one collection is kept however many it has."""
MAX_ASKED = 10_000
KEPT_SELECTIONS = 4
"""Of each collection: the filters that were asked for last."""

_COLUMNS = CloudObjectRow.__table__.c
_STAMP = select_rows(_COLUMNS.ref).where(_COLUMNS.kind == MARK, _COLUMNS.id == bindparam("collection"))
_guard = threading.Lock()


class MemberList:
    """Those of one collection at one moment. Not to be changed: other requests have the same."""

    def __init__(self, stamp: str | None, members: Sequence[Member]) -> None:
        """
        Args:
            stamp: the collection's mark when they were read.
            members: oldest first.
        """
        self.stamp = stamp
        self.members = members
        self._selections: OrderedDict[str, Selection] = OrderedDict()

    @cached_property
    def of_hash(self) -> Mapping[str, Member]:
        """SHA-256 → the oldest member with this content."""
        return {each.file_hash: each for each in reversed(self.members)}

    @cached_property
    def _of_id(self) -> Mapping[str, Member]:
        named = [(each.file_id, each) for each in reversed(self.members) if each.file_id is not None]
        return {**dict(named), **{each.id: each for each in self.members}}

    def find(self, any_id: str) -> Member | None:
        """By its own id or that of the uploaded file behind it."""
        return self._of_id.get(any_id)

    def selection(self, where: Where) -> Selection:
        key = repr(where)  # not itself: 1, 1.0 and true would be one key
        with _guard:
            known = self._selections.get(key)
        found = select(where, self.members) if known is None else known
        with _guard:
            self._selections[key] = found
            self._selections.move_to_end(key)
            while len(self._selections) > KEPT_SELECTIONS:
                self._selections.popitem(last=False)
        return found


_kept: OrderedDict[tuple[str, str], MemberList] = OrderedDict()
_asked: OrderedDict[tuple[str, str], str | None] = OrderedDict()
"""The mark of each collection when it was last searched."""


class MemberLists:
    """Every change of a member changes the collection's mark in the same transaction, whichever process makes it."""

    def __init__(self, cloud: CloudEngine) -> None:
        self._database = cloud.engine.database
        self._members = Members(cloud.objects)

    def of(self, collection: Collection) -> MemberList:
        return self._read(collection, self._stamp(collection))

    def settled(self, collection: Collection) -> MemberList | None:
        """None: it was changed since it was asked for last. Reading all of a large one takes long, and where somebody
        adds to it all the time, each search would wait for that."""
        key, stamp = self._key(collection), self._stamp(collection)
        with _guard:
            known = _kept.get(key)
            is_settled = _asked.get(key, "") == stamp or (known is not None and known.stamp == stamp)
            _asked[key] = stamp
            _asked.move_to_end(key)
            while len(_asked) > MAX_ASKED:
                _asked.popitem(last=False)
        return self._read(collection, stamp) if is_settled else None

    def of_hashes(self, collection: Collection, hashes: Iterable[str]) -> MemberList:
        """Those with one of these contents alone."""
        return MemberList(None, self._members.of_hashes(collection, hashes))

    def _key(self, collection: Collection) -> tuple[str, str]:
        return self._database.url, collection.id

    def _stamp(self, collection: Collection) -> str | None:
        rows = self._database.rows(_STAMP, {"collection": collection.id})
        return rows[0][0] if rows else None

    def _read(self, collection: Collection, stamp: str | None) -> MemberList:
        """As it was at `stamp`, or later."""
        key = self._key(collection)
        with _guard:
            known = _kept.get(key)
            if known is not None and known.stamp == stamp:
                _kept.move_to_end(key)
                return known
        found = MemberList(stamp, self._members.all(collection))
        with _guard:
            _kept[key] = found
            _kept.move_to_end(key)
            while len(_kept) > MAX_COLLECTIONS or (len(_kept) > 1 and _member_count() > MAX_MEMBERS):
                _kept.popitem(last=False)
        return found

    def all(self, collection: Collection) -> Sequence[Member]:
        """Oldest first."""
        return self.of(collection).members


def _member_count() -> int:
    return sum(len(each.members) for each in _kept.values())
