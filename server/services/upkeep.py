"""Starts rebuilds and migrations: whatever is wrong with one is told before its task is made."""

import time
from typing import Any, Protocol

from config.loader import ProjectStore
from config.options import choose_options, unknown_options
from config.project import ProjectConfig
from config.rag_section import DatabaseConfig
from rag.errors import BadRequestError, ConflictError
from rag.stores import stores
from server.schemas.upkeep import MigrationRequest
from server.services.database_access import DatabaseAccess
from state.contents import import_generation

VOLATILE = "MemoryStore"
ADDRESS = ("url", "host", "port", "path")
"""Options of stores that say where their server is."""


class UpkeepStarter(Protocol):
    """The part of `workers.dispatch.Dispatcher` that starts work on a database."""

    def start_upkeep(
        self,
        *,
        namespace: str,
        project: str,
        database: str,
        config: ProjectConfig,
        work: dict[str, Any],
        title: str,
        chunk_count: int,
        request_id: str | None,
    ) -> str: ...


class UpkeepService:
    def __init__(
        self,
        projects: ProjectStore,
        access: DatabaseAccess,
        dispatcher: UpkeepStarter,
        variables: frozenset[str] | None,
    ) -> None:
        """`variables`: environment variables that projects may use, see `Settings.project_variables`."""
        self._projects = projects
        self._access = access
        self._dispatcher = dispatcher
        self._variables = variables

    def rebuild(self, namespace: str, project: str, name: str, request_id: str | None) -> str:
        """The id of the task.

        Raises:
            ConflictError: something is writing to the database.
        """
        config = self._projects.load(namespace, project)
        title = f"rebuild of database '{config.database(name).name}'"
        return self._start(config, name, {"action": "rebuild"}, title, request_id)

    def migrate(self, namespace: str, project: str, name: str, wanted: MigrationRequest, request_id: str | None) -> str:
        """The id of the task.

        Raises:
            UnknownComponentError, InvalidInputError: no such store; an option that it does not take.
            BadRequestError: the database is there already, or the store keeps nothing.
            ConflictError: something is writing to the database; the new name is taken.
            UpstreamError: the server of the new store does not answer.
        """
        config = self._projects.load(namespace, project)
        database = config.database(name)
        work: dict[str, Any] = {"action": "migrate", "drop_source": wanted.drop_source}
        if wanted.to is None:
            self._check_drop(database, wanted)
            title = f"dropping of what database '{name}' left behind"
            work |= {"type": database.type, "config": database.config}
        else:
            store = stores.canonical(wanted.to)
            target = self._check_target(config, database, store, wanted)
            title = f"migration of database '{wanted.new_name or name}' to {store}"
            work |= {"type": store, "config": wanted.config}
            config = _with(config, target)
        if wanted.new_name is not None:
            work |= {"new_name": wanted.new_name, "generation": import_generation(time.time())}
        return self._start(config, name, work, title, request_id)

    def _check_drop(self, database: DatabaseConfig, wanted: MigrationRequest) -> None:
        if wanted.config or wanted.new_name or not wanted.drop_source:
            raise BadRequestError("say where to: `to` is the name of a store, such as QdrantStore")
        if not any(each.kept for each in database.moved_from):
            raise BadRequestError(f"database '{database.name}' has left nothing behind that could be dropped")

    def _check_target(
        self, config: ProjectConfig, database: DatabaseConfig, store: str, wanted: MigrationRequest
    ) -> DatabaseConfig:
        """The database as it is to be."""
        unknown = unknown_options(stores, store, wanted.config)
        if unknown:
            raise BadRequestError("; ".join(unknown))
        if store == VOLATILE:
            raise BadRequestError(f"{VOLATILE} keeps nothing when the process ends; choose another store")
        stores.options(store, choose_options(stores, store, wanted.config, env_allowed=self._variables).values)
        target = database.moved_to(store, wanted.config)
        if wanted.new_name is not None:
            self._check_copy(config, wanted)
            target = target.model_copy(update={"name": wanted.new_name, "moved_from": []})
        elif _where(target) == _where(database):
            raise BadRequestError(f"database '{database.name}' is in that {store} already")
        opened = self._access.assembly.store_to_delete_from(config.namespace, config.name, target)
        opened.upkeep.vector_count()  # a server that is away is told now, not after the task has tried for a minute
        return target

    def _check_copy(self, config: ProjectConfig, wanted: MigrationRequest) -> None:
        if wanted.drop_source:
            raise BadRequestError(
                "`new_name` leaves the database as it is, and `drop_source` does not: give one of them"
            )
        if wanted.new_name in [each.name for each in config.databases]:
            raise ConflictError(f"Database '{wanted.new_name}' already exists")

    def _start(self, config: ProjectConfig, name: str, work: dict[str, Any], title: str, request_id: str | None) -> str:
        place = config.namespace, config.name, name
        with self._access.alone(*place):
            return self._dispatcher.start_upkeep(
                namespace=config.namespace,
                project=config.name,
                database=name,
                config=config,
                work=work,
                title=title,
                chunk_count=sum(file.chunk_count for file in self._access.contents.files(*place)),
                request_id=request_id,
            )


def _with(config: ProjectConfig, target: DatabaseConfig) -> ProjectConfig:
    """As the task will leave it: what it remembers names both stores, whatever becomes of llamafarm.yaml."""
    assert config.rag is not None, "a database of it was found"
    others = [each for each in config.databases if each.name != target.name]
    return config.model_copy(update={"rag": config.rag.model_copy(update={"databases": [*others, target]})})


def _where(database: DatabaseConfig) -> tuple[Any, ...]:
    return database.place, *(database.config.get(key) for key in ADDRESS)
