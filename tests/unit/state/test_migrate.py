"""The migrations make exactly the tables that the code has, and refuse what they do not know."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from rag.errors import ConflictError
from state.database import StateDatabase
from state.migrate import migrate
from state.tables import Base


@pytest.fixture
def database(tmp_path: Path) -> StateDatabase:
    return StateDatabase(f"sqlite:///{tmp_path / 'state.db'}")


def test_migrated_tables_are_those_of_the_code(database: StateDatabase) -> None:
    migrate(database)
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_migrating_again_changes_nothing(database: StateDatabase) -> None:
    migrate(database)
    migrate(database)


def test_a_newer_database_is_refused_with_a_sentence(database: StateDatabase) -> None:
    migrate(database)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from-the-future'"))
    with pytest.raises(ConflictError, match="written by a newer one"):
        migrate(database)
