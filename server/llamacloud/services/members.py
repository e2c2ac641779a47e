"""The members of a collection, kept between requests for as long as nobody changes one."""

import threading
from collections import OrderedDict
from collections.abc import Sequence

from sqlalchemy import bindparam, select

from server.llamacloud.engine import CloudEngine
from state.cloud.members import MARK, Collection, Member, Members
from state.cloud.tables import CloudObjectRow

MAX_COLLECTIONS = 64
MAX_MEMBERS = 200_000
"""Kept in all; one collection is kept however many it has."""

_COLUMNS = CloudObjectRow.__table__.c
_STAMP = select(_COLUMNS.ref).where(_COLUMNS.kind == MARK, _COLUMNS.id == bindparam("collection"))
_kept: OrderedDict[tuple[str, str], tuple[str | None, list[Member]]] = OrderedDict()
_guard = threading.Lock()


class MemberLists:
    """Every change of a member changes the collection's mark in the same transaction, whichever process makes it."""

    def __init__(self, cloud: CloudEngine) -> None:
        self._database = cloud.engine.database
        self.members = Members(cloud.objects)

    def all(self, collection: Collection) -> Sequence[Member]:
        """Oldest first. Not to be changed: others have the same list."""
        rows = self._database.rows(_STAMP, {"collection": collection.id})
        key, stamp = (self._database.url, collection.id), rows[0][0] if rows else None
        with _guard:
            known = _kept.get(key)
            if known is not None and known[0] == stamp:
                _kept.move_to_end(key)
                return known[1]
        found = self.members.all(collection)
        with _guard:
            _kept[key] = stamp, found
            _kept.move_to_end(key)
            while len(_kept) > MAX_COLLECTIONS or (len(_kept) > 1 and _member_count() > MAX_MEMBERS):
                _kept.popitem(last=False)
        return found


def _member_count() -> int:
    return sum(len(members) for _, members in _kept.values())
