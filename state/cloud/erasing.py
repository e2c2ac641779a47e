"""Forgets everything that the LlamaCloud side keeps in SQL for one project, when the project is deleted."""

from sqlalchemy import delete, select

from state.cloud.tables import AgentDataRow, CloudEventRow, CloudJobRow, CloudObjectRow
from state.database import StateDatabase

TABLES = (CloudObjectRow, CloudJobRow, AgentDataRow)
"""Whose rows name their project; values of agent data go with their documents."""

UNTRACKED = {"synchronize_session": False}


def erase_project(database: StateDatabase, project_id: str) -> None:
    """A worker that has a job of it in hand loses its lease, and finds out at its next look."""
    row = CloudObjectRow
    sessions = select(row.id).where(row.kind == "session", row.project_id == project_id)
    with database.write() as session:
        events = delete(CloudEventRow).where(CloudEventRow.session_id.in_(sessions))
        session.execute(events, execution_options=UNTRACKED)
        for table in TABLES:
            session.execute(delete(table).where(table.project_id == project_id), execution_options=UNTRACKED)


def holds_anything(database: StateDatabase, project_id: str) -> bool:
    with database.read() as session:
        for table in TABLES:
            query = select(table.project_id).where(table.project_id == project_id).limit(1)
            if session.scalar(query) is not None:
                return True
    return False
