"""A turn looks at the end of a long session only."""

from pathlib import Path

from state.database import StateDatabase
from state.sessions import SessionKey, SessionStore
from state.tables import Base


def test_only_the_last_messages_are_read_in_order(tmp_path: Path) -> None:
    database = StateDatabase(f"sqlite:///{tmp_path / 'state.db'}")
    Base.metadata.create_all(database.engine)
    sessions, key = SessionStore(database), SessionKey("org", "bot", "mine")
    messages = [{"role": "user", "content": str(index)} for index in range(10)]
    sessions.append(key, messages)

    assert sessions.history(key, last_count=3) == messages[-3:]
    assert sessions.history(key, last_count=50) == sessions.history(key) == messages
    database.close()
