"""Whether the state holds anything of a project, whatever became of its folder."""

from sqlalchemy import select

from state.database import StateDatabase
from state.tables import EventRow, FileRow, SessionRow, TaskRow


class ProjectRows:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def exist(self, namespace: str, project: str) -> bool:
        with self._database.read() as session:
            for table in (TaskRow, FileRow, SessionRow, EventRow):
                query = select(table.id).where(table.namespace == namespace, table.project == project)
                if table is TaskRow:
                    query = query.where(TaskRow.removed_at.is_(None))
                if session.scalar(query.limit(1)) is not None:
                    return True
        return False
