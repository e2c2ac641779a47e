"""Whether the state holds anything of a project, whatever became of its folder."""

from sqlalchemy import select

from state.cloud.erasing import erase_project, holds_anything
from state.cloud.ids import NAMESPACE
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
        return namespace == NAMESPACE and holds_anything(self._database, project)

    def forget_cloud(self, namespace: str, project: str) -> None:
        """What clients of the LlamaCloud API have made in the project: nobody can make it again, and so it goes only
        when somebody deletes the project, never because its folder is not there."""
        if namespace == NAMESPACE:
            erase_project(self._database, project)
