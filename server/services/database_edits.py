"""Databases are made, changed and deleted in llamafarm.yaml; what is stored keeps its meaning meanwhile."""

from collections.abc import Mapping
from typing import Any

from config.components import resolve_components
from config.loader import ProjectStore
from config.options import choose_options
from config.project import ProjectConfig
from config.rag_section import DatabaseConfig
from config.secrets import restore
from config.vectors import vector_changes
from rag.embedders import embedders
from rag.errors import BadRequestError, ConflictError, InvalidInputError, RagError
from rag.registry import Registry
from rag.retrievers import retrievers
from rag.stores import stores
from server.schemas.databases import (
    DatabaseCreate,
    DatabaseCreated,
    DatabaseDeleted,
    DatabaseDetail,
    DatabaseUpdate,
)
from server.services.database_access import DatabaseAccess, OpenDatabase
from server.services.databases import default_name, detail, info

Entry = dict[str, Any]


class DatabaseEditor:
    def __init__(self, projects: ProjectStore, access: DatabaseAccess, variables: frozenset[str] | None) -> None:
        """`variables`: environment variables that projects may use, see `Settings.project_variables`."""
        self._projects = projects
        self._access = access
        self._variables = variables

    def create(self, namespace: str, project: str, wanted: DatabaseCreate) -> DatabaseCreated:
        """Add a database to llamafarm.yaml, and the section `rag` where there is none.

        Raises:
            ConflictError: the name is taken.
            BadRequestError: a type, an option or a name of a strategy is not known.
        """
        _refuse_both_forms(wanted)

        def add(raw: Entry) -> None:
            databases = _databases(raw)
            if any(entry.get("name") == wanted.name for entry in databases):
                raise ConflictError(f"Database '{wanted.name}' already exists")
            entry = wanted.model_dump(exclude_none=True)
            databases.append(entry)
            self._check(raw, entry)

        self._projects.edit(namespace, project, add)
        config = self._projects.load(namespace, project)
        assert config.rag is not None
        is_default = default_name(config.rag) == wanted.name
        return DatabaseCreated(database=info(config.database(wanted.name), is_default=is_default))

    def update(self, namespace: str, project: str, name: str, wanted: DatabaseUpdate) -> DatabaseDetail:
        """Replace what is given.

        Raises:
            NotFoundError: no such database.
            BadRequestError: another name or type; a strategy that is not known.
            ConflictError: stored vectors would lose their meaning.
        """
        opened = self._access.open(namespace, project, name)
        given = wanted.model_dump(exclude_none=True)
        for key in ("name", "type"):
            value = given.pop(key, None)
            present = getattr(opened.database, key)
            if value is not None and value != present:
                raise BadRequestError(
                    f"{key} '{value[:100]}': the {key} of database '{name}' is '{present}' and cannot be changed; "
                    "create another database instead"
                )

        def change(raw: Entry) -> None:
            entry = _entry(raw, name)
            before = _parsed(raw, entry)
            for key, value in given.items():
                entry[key] = restore(value, entry.get(key), path=f"rag.databases.{name}.{key}")
                if key.endswith("_strategies"):  # a list takes the place of the name of a component
                    entry.pop(key.replace("_strategies", "_strategy"), None)
            self._check(raw, entry)
            self._refuse_lost_meaning(opened, before, _parsed(raw, entry))

        self._projects.edit(namespace, project, change)
        return detail(self._projects.load(namespace, project), name)

    def delete(self, namespace: str, project: str, name: str, *, delete_collection: bool) -> DatabaseDeleted:
        """Take a database out of llamafarm.yaml, with what is stored in it unless it is to be kept.

        Raises:
            ConflictError: datasets depend on it, or a task is writing to it.
            UpstreamError: the store does not answer; nothing was changed.
        """
        config = self._projects.load(namespace, project)
        shown = detail(config, name)
        _refuse_dependents(name, shown.dependent_datasets)

        def remove(raw: Entry) -> None:
            entries = raw.get("datasets")
            names = [each["name"] for each in entries or [] if each.get("database") == name]
            _refuse_dependents(name, names)  # again, now that nobody else can change the file
            databases = _databases(raw)
            databases.remove(_entry(raw, name))
            if raw["rag"].get("default_database") == name:
                del raw["rag"]["default_database"]
            if delete_collection:
                self._drop(config, name)

        self._projects.edit(namespace, project, remove)
        return DatabaseDeleted(
            message=f"Database '{name}' deleted successfully", database=shown, collection_deleted=delete_collection
        )

    def _drop(self, config: ProjectConfig, name: str) -> None:
        """Its files count as unprocessed from then on: a database made anew under this name begins empty."""
        opened = self._access.open(config.namespace, config.name, name)
        self._access.require_idle(opened, "delete")
        self._access.clear(opened)

    def _check(self, raw: Entry, entry: Entry) -> None:
        """Everything that the database names is known; defaults are in their lists."""
        database = _parsed(raw, entry)
        try:
            self._check_part(stores, database.type, database.config)
            for each in database.embedding_strategies:
                self._check_part(embedders, each.type, each.config)
            for strategy in database.retrieval_strategies:
                self._check_part(retrievers, strategy.type, strategy.config)
        except InvalidInputError as error:
            raise BadRequestError(f"Invalid database configuration: {error.message}") from error
        for kind, default, entries in (
            ("Embedding", database.default_embedding_strategy, database.embedding_strategies),
            ("Retrieval", database.default_retrieval_strategy, database.retrieval_strategies),
        ):
            names = [each.name for each in entries]
            twice = sorted({each for each in names if names.count(each) > 1})
            if twice:
                raise BadRequestError(f"{kind} strategy '{twice[0]}' is given more than once; names must be unique")
            if default is not None and default not in names:
                raise BadRequestError(f"{kind} strategy '{default[:100]}' not found. Available: {names}")

    def _check_part(self, registry: Registry[Any], type_name: str, config: Mapping[str, Any]) -> None:
        values = choose_options(registry, type_name, config, env_allowed=self._variables).values
        registry.options(type_name, values)

    def _refuse_lost_meaning(self, opened: OpenDatabase, before: DatabaseConfig, after: DatabaseConfig) -> None:
        changes = vector_changes(before, after)
        if not changes:
            return
        self._access.require_idle(opened, "change the vectors of")
        count = opened.store.stats().chunk_count
        if count:
            raise ConflictError(
                f"database '{before.name}' holds {count} chunks that this change would make useless "
                f"({'; '.join(changes)}). Clear the database first (POST …/rag/clear?database={before.name}) and "
                "process its datasets again afterwards, or create another database"
            )
        if opened.store.upkeep.size_bytes():  # it was filled once: the empty collection is not left behind
            self._access.clear(opened)


def _databases(raw: Entry) -> list[Entry]:
    """The list in the raw config, made where it is missing."""
    if not isinstance(raw.get("rag"), dict):
        raw["rag"] = {}
    if not isinstance(raw["rag"].get("databases"), list):
        raw["rag"]["databases"] = []
    databases: list[Entry] = raw["rag"]["databases"]
    return databases


def _entry(raw: Entry, name: str) -> Entry:
    found = next((each for each in _databases(raw) if each.get("name") == name), None)
    if found is None:
        raise ConflictError(f"database '{name}' was deleted by someone else in this moment")
    return found


def _parsed(raw: Entry, entry: Entry) -> DatabaseConfig:
    """The database with the parts that it refers to by name."""
    try:
        resolved = resolve_components({**raw, "rag": {**raw["rag"], "databases": [entry]}})
        return DatabaseConfig.model_validate(resolved["rag"]["databases"][0])
    except ValueError as error:  # pydantic's is one too
        if isinstance(error, RagError):
            raise
        problem = str(error).splitlines()
        raise BadRequestError(f"Invalid database configuration: {' '.join(problem[:3])[:500]}") from None


def _refuse_both_forms(wanted: DatabaseCreate) -> None:
    for role in ("embedding", "retrieval"):
        if getattr(wanted, f"{role}_strategies") and getattr(wanted, f"{role}_strategy"):
            raise BadRequestError(
                f"Invalid database configuration: give {role}_strategy (the name of a component) or "
                f"{role}_strategies (a list), not both"
            )


def _refuse_dependents(name: str, datasets: list[str]) -> None:
    if datasets:
        raise ConflictError(
            f"Cannot delete database '{name}': {len(datasets)} dataset(s) depend on it. "
            f"Delete or reassign these datasets first: {datasets!r}"
        )
