"""The migrations make exactly the tables that the code has, and refuse what they do not know."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Column, MetaData, text

import state.migrate
from rag.errors import ConflictError
from state.cloud.agent_data import AgentDataStore, Search
from state.cloud.agent_documents import Place
from state.database import StateDatabase
from state.migrate import alembic_config, migrate
from state.tables import Base

pytestmark = pytest.mark.state("sqlite", "postgresql")


@pytest.fixture
def database(empty_state_url: str) -> Iterator[StateDatabase]:
    database = StateDatabase(empty_state_url)
    yield database
    database.close()


def test_migrated_tables_are_those_of_the_code(database: StateDatabase) -> None:
    migrate(database)
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def example(column: Column[Any]) -> Any:
    """A value for a column: "1", 1 or what else its type holds, so that foreign keys meet."""
    if isinstance(column.type, JSON):
        return {"a": [1, None, "é"]}
    return column.type.python_type(1)


def revisions() -> list[str]:
    scripts = ScriptDirectory(str(Path(state.migrate.__file__).parent / "migrations"))
    return [each.revision for each in scripts.walk_revisions()][::-1]


@pytest.mark.parametrize("revision", revisions())
def test_whatever_an_earlier_version_kept_is_there_after_an_upgrade(database: StateDatabase, revision: str) -> None:
    with database.locked() as connection:
        command.upgrade(alembic_config(connection), revision)
        earlier = MetaData()
        earlier.reflect(connection)
        tables = [each for each in earlier.sorted_tables if each.name != "alembic_version"]
        kept = {table.name: {column.name: example(column) for column in table.columns} for table in tables}
        for table in tables:
            connection.execute(table.insert(), kept[table.name])
    migrate(database)
    with database.engine.connect() as connection:
        for name, values in kept.items():
            row = connection.execute(Base.metadata.tables[name].select()).one()._mapping
            assert {key: row[key] for key in values} == values, name
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_processes_that_start_at_once_make_one_database(empty_state_url: str, database: StateDatabase) -> None:
    barrier, errors = threading.Barrier(6), []

    def start() -> None:
        mine = StateDatabase(empty_state_url)
        barrier.wait()
        try:
            migrate(mine)
        except Exception as error:  # noqa: BLE001  # told below
            errors.append(error)
        finally:
            mine.close()

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
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


def test_agent_data_of_before_is_found_after_migrating_and_after_going_back(database: StateDatabase) -> None:
    migrate(database)
    store, place = AgentDataStore(database), Place("p", "größe", "default")
    kept = store.create(place, {"state": "open", "n": 2})
    query = Search(place, {"state": {"eq": "open"}}, limit=5)
    with database.locked() as connection:
        command.downgrade(alembic_config(connection), "0005")
        assert connection.scalar(text("SELECT min(length(place)) FROM agent_value")) == 64
        digest = hashlib.sha256('["p","größe","default"]'.encode()).hexdigest()
        assert set(connection.scalars(text("SELECT place FROM agent_value"))) == {digest}
    migrate(database)
    assert store.search(query).items == [kept]
