"""What was said in chat sessions: events in SQL, a turn of them at a time."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, insert, select

from state.cloud.objects import CloudObject, CloudObjects
from state.cloud.tables import CloudEventRow, CloudObjectRow
from state.database import StateDatabase

KIND = "session"


class ChatRecords:
    def __init__(self, database: StateDatabase, objects: CloudObjects) -> None:
        self._database = database
        self._objects = objects

    def events(self, session_id: str) -> list[dict[str, Any]]:
        """In the order in which they happened."""
        query = select(CloudEventRow.body).where(CloudEventRow.session_id == session_id).order_by(CloudEventRow.id)
        with self._database.read() as session:
            return list(session.scalars(query))

    def keep_turn(
        self, session_id: str, events: Sequence[Mapping[str, Any]], changes: Mapping[str, Any]
    ) -> CloudObject | None:
        """Add the events of a turn and set keys of the session's body, both or neither.

        None, and nothing is kept, when the session was deleted meanwhile.
        """
        now = self._objects.now()
        with self._database.write() as session:
            row = session.get(CloudObjectRow, (session_id, KIND))
            if row is None:
                return None
            rows = [{"session_id": session_id, "body": dict(each), "created_at": now} for each in events]
            session.execute(insert(CloudEventRow), rows)
            row.body = {**row.body, **changes}
            row.updated_at = max(now, row.updated_at)
        return self._objects.get(KIND, session_id)

    def delete(self, session_id: str) -> None:
        """The session and all that was said in it."""
        with self._database.write() as session:
            session.execute(delete(CloudObjectRow).where(CloudObjectRow.kind == KIND, CloudObjectRow.id == session_id))
            session.execute(delete(CloudEventRow).where(CloudEventRow.session_id == session_id))
