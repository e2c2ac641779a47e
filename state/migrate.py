"""Brings the state database to the version that this code knows: `python -m state.migrate`."""

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from config.settings import Settings
from rag.errors import ConflictError, RagError
from state.database import StateDatabase


def migrate(database: StateDatabase) -> None:
    """Apply what is missing; refuses a database that a newer version wrote.

    All of it under the write lock: of two processes that start at once, the second finds nothing left to do.
    """
    with database.locked() as connection:
        config = alembic_config(connection)
        _refuse_newer(config, connection)
        command.upgrade(config, "head")


def alembic_config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _refuse_newer(config: Config, connection: Connection) -> None:
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise ConflictError(
            f"the state database is at version '{current}', which this version of Paddock does not know: "
            "it was written by a newer one. Upgrade Paddock, or restore a backup made with this version"
        )


def main() -> int:
    settings = Settings()
    try:
        database = StateDatabase(settings.state_url)
        migrate(database)
    except (RagError, OSError) as error:
        print(f"state database: {error}", file=sys.stderr)  # noqa: T201  # a command's answer
        return 1
    database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
