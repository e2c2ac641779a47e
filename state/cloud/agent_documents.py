"""Agents' documents as they are kept: where they belong, what they are read from and written to."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, insert, select

from rag.errors import NotFoundError
from state.cloud.agent_query import RECORDS, VALUES
from state.cloud.agent_values import Value

ROWS_PER_STATEMENT = 5_000
KEY_CHARS = 32
"""Of a digest: enough that no two places share one, in a column that every value repeats."""


@dataclass(frozen=True, slots=True)
class Place:
    project_id: str
    deployment: str
    collection: str

    @property
    def key(self) -> str:
        names = orjson.dumps([self.project_id, self.deployment, self.collection])
        return hashlib.sha256(names).hexdigest()[:KEY_CHARS]

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        row = RECORDS.c
        return [
            row.project_id == self.project_id,
            row.deployment == self.deployment,
            row.collection == self.collection,
        ]


@dataclass(frozen=True, slots=True)
class AgentItem:
    """`data` is JSON text."""

    id: str
    place: Place
    data: str
    created_at: float
    updated_at: float


def item_of(row: Row[Any]) -> AgentItem:
    place = Place(row.project_id, row.deployment, row.collection)
    return AgentItem(row.id, place, row.data, row.created_at, row.updated_at)


def row_of(connection: Connection, item_id: str, visible: str | None) -> Row[Any]:
    """Raises NotFoundError also for an item of a project that may not be seen."""
    known = None
    if len(item_id) == 36 and item_id.isascii() and item_id.isprintable():
        known = connection.execute(select(RECORDS).where(RECORDS.c.id == item_id)).one_or_none()
    if known is None or visible not in (None, known.project_id):
        raise NotFoundError(f"Agent data {item_id[:100]!r} not found")
    return known


def items_at(connection: Connection, numbers: Sequence[int]) -> list[AgentItem]:
    """In this order; what was deleted meanwhile is left out."""
    query = select(RECORDS).where(RECORDS.c.number.in_(numbers))
    found = {row.number: item_of(row) for row in connection.execute(query)}
    return [found[each] for each in numbers if each in found]


def documents_at(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
    query = select(RECORDS.c.number, RECORDS.c.data).where(RECORDS.c.number.in_(numbers))
    return {number: orjson.loads(data) for number, data in connection.execute(query)}


def columns_of(item: AgentItem) -> dict[str, Any]:
    return {
        "id": item.id,
        "project_id": item.place.project_id,
        "deployment": item.place.deployment,
        "collection": item.place.collection,
        "data": item.data,
        "created_at": item.created_at,
        "updated_at": item.updated_at,
    }


def write_values(
    connection: Connection, place: Place, documents: Iterable[tuple[int, Sequence[tuple[str, Value]]]]
) -> None:
    """What documents are found by: the number of each with its values."""
    key = place.key
    rows = [
        {"number": number, "place": key, "path": path, "kind": each.kind, "text": each.text, "real": each.real}
        for number, values in documents
        for path, each in values
    ]
    for start in range(0, len(rows), ROWS_PER_STATEMENT):
        connection.execute(insert(VALUES), rows[start : start + ROWS_PER_STATEMENT])
