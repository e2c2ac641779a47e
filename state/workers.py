"""Which workers are alive, by their own word."""

import time
from dataclasses import dataclass

from sqlalchemy import delete, select

from state.database import StateDatabase
from state.tables import WorkerRow

ALIVE_S = 15.0
FORGOTTEN_S = 600.0


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    name: str
    queues: tuple[str, ...]
    host: str
    pid: int
    seen_s_ago: float


class WorkerRegistry:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def beat(self, name: str, *, queues: str, host: str, pid: int) -> None:
        now = time.time()
        with self._database.write() as session:
            row = session.get(WorkerRow, name)
            if row is None or row.pid != pid:
                row = session.merge(WorkerRow(name=name, queues=queues, host=host, pid=pid, started_at=now, info={}))
            row.seen_at = now
            session.execute(delete(WorkerRow).where(WorkerRow.seen_at < now - FORGOTTEN_S))

    def leave(self, name: str) -> None:
        with self._database.write() as session:
            session.execute(delete(WorkerRow).where(WorkerRow.name == name))

    def alive(self) -> list[WorkerInfo]:
        now = time.time()
        with self._database.read() as session:
            rows = session.scalars(select(WorkerRow).where(WorkerRow.seen_at > now - ALIVE_S).order_by(WorkerRow.name))
            return [
                WorkerInfo(row.name, tuple(row.queues.split(",")), row.host, row.pid, now - row.seen_at) for row in rows
            ]
