"""A turn looks at the end of a long session only."""

import pytest

from state.database import StateDatabase
from state.sessions import SessionKey, SessionStore


@pytest.mark.state("sqlite", "postgresql")
def test_only_the_last_messages_are_read_in_order(state_database: StateDatabase) -> None:
    sessions, key = SessionStore(state_database), SessionKey("org", "bot", "mine")
    messages = [{"role": "user", "content": str(index)} for index in range(10)]
    sessions.append(key, messages)

    assert sessions.history(key, last_count=3) == messages[-3:]
    assert sessions.history(key, last_count=50) == sessions.history(key) == messages
