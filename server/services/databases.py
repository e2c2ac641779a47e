"""What the routes that read databases do."""

from config.loader import ProjectStore
from config.project import ProjectConfig
from config.rag_section import DatabaseConfig, RagConfig
from config.secrets import redact
from rag.errors import BadRequestError
from server.schemas.databases import (
    DatabaseDetail,
    DatabaseInfo,
    DatabaseList,
    EmbeddingStrategyDetail,
    EmbeddingStrategyInfo,
    RetrievalStrategyDetail,
    RetrievalStrategyInfo,
)


class DatabaseService:
    def __init__(self, projects: ProjectStore) -> None:
        self._projects = projects

    def list(self, namespace: str, project: str) -> DatabaseList:
        rag = self._projects.load(namespace, project).rag
        if rag is None:
            raise BadRequestError("RAG not configured for this project")
        default = default_name(rag)
        infos = [info(entry, is_default=entry.name == default) for entry in rag.databases]
        return DatabaseList(databases=infos, default_database=default)

    def get(self, namespace: str, project: str, name: str) -> DatabaseDetail:
        return detail(self._projects.load(namespace, project), name)


def detail(config: ProjectConfig, name: str) -> DatabaseDetail:
    """Raises NotFoundError: no such database."""
    database = config.database(name)
    embedding = database.embedding_strategy_in_use()
    retrieval = database.retrieval_strategy_in_use()
    return DatabaseDetail(
        name=database.name,
        type=database.type,
        config=redact(database.config),
        embedding_strategies=[
            EmbeddingStrategyDetail(
                name=each.name,
                type=each.type,
                config=redact(each.config),
                condition=each.condition,
                priority=each.priority,
            )
            for each in database.embedding_strategies
        ],
        retrieval_strategies=[
            RetrievalStrategyDetail(
                name=each.name, type=each.type, config=redact(each.config), default=each.name == retrieval.name
            )
            for each in database.retrieval_strategies
        ],
        default_embedding_strategy=embedding.name if database.embedding_strategies else None,
        default_retrieval_strategy=retrieval.name if database.retrieval_strategies else None,
        dependent_datasets=[each.name for each in config.datasets if each.database == database.name],
    )


def default_name(rag: RagConfig) -> str | None:
    """The configured default if it names a database, else the first."""
    names = [entry.name for entry in rag.databases]
    return rag.default_database if rag.default_database in names else next(iter(names), None)


def info(database: DatabaseConfig, *, is_default: bool) -> DatabaseInfo:
    embedding = database.embedding_strategy_in_use().name
    retrieval = database.retrieval_strategy_in_use().name
    return DatabaseInfo(
        name=database.name,
        type=database.type,
        is_default=is_default,
        embedding_strategies=[
            EmbeddingStrategyInfo(
                name=each.name, type=each.type, priority=each.priority, is_default=each.name == embedding
            )
            for each in database.embedding_strategies
        ],
        retrieval_strategies=[
            RetrievalStrategyInfo(name=each.name, type=each.type, is_default=each.name == retrieval)
            for each in database.retrieval_strategies
        ],
    )
