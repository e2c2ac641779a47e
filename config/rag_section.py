"""The `rag` section: databases, how they embed and retrieve, and how files are processed."""

from typing import Any, ClassVar, TypeVar

from pydantic import Field, model_validator

from config.section import Identifier, Options, Section
from rag.errors import BadRequestError, NotFoundError
from rag.stores.base import Metric
from rag.stores.options import METRICS, QDRANT_METRICS

BUILT_IN_STRATEGY = "universal_rag"
_NEVER_EVALUATED = "kept, never evaluated"


class EmbeddingStrategy(Section):
    """How a database turns text into vectors. `condition` and `priority` are kept and never evaluated."""

    without_effect: ClassVar[dict[str, str]] = {"condition": _NEVER_EVALUATED}

    name: str = Field(description="What default_embedding_strategy may name.")
    type: str = Field(description="Name of an embedder.")
    config: Options = Field(default_factory=dict, description="Its options.")
    condition: str | None = Field(None, description="Kept, never evaluated.")
    priority: int = Field(0, description="Kept, never evaluated.")


class RetrievalStrategy(Section):
    """How a database is searched."""

    name: str = Field(description="What queries and default_retrieval_strategy may name.")
    type: str = Field(description="Name of a retriever.")
    config: Options = Field(default_factory=dict, description="Its options.")
    default: bool = Field(False, description="Used when the database names no default_retrieval_strategy.")


class FormerStore(Section):
    """Where a database was before `lf db migrate` moved it."""

    type: str = Field(description="Name of a store.")
    config: Options = Field(default_factory=dict, description="Its options.")
    kept: bool = Field(True, description="Whether what is stored there was left there.")


class DatabaseConfig(Section):
    """A named set of vectors and the ways in and out of it."""

    name: Identifier = Field(description="Small letters, digits and `_`; at most 50.")
    type: str = Field(description="Name of a store.")
    config: Options = Field(default_factory=dict, description="Its options.")
    embedding_strategies: list[EmbeddingStrategy] = Field(default_factory=list)
    retrieval_strategies: list[RetrievalStrategy] = Field(default_factory=list)
    default_embedding_strategy: str | None = Field(None, description="Default: the first one.")
    default_retrieval_strategy: str | None = Field(None, description="Default: the first flagged, else the first.")
    embedding_strategy: str | None = Field(None, description="Name of one under `components`, instead of a list.")
    retrieval_strategy: str | None = Field(None, description="Name of one under `components`, instead of a list.")
    moved_from: list[FormerStore] = Field(default_factory=list, description="Written by `lf db migrate`.")

    @property
    def metric(self) -> Metric:
        """`distance_metric`, else `distance_function`, else Qdrant's `distance`; an unknown value is cosine."""
        value = self.config.get("distance_metric") or self.config.get("distance_function")
        if value is None and self.type == "QdrantStore":
            return QDRANT_METRICS.get(str(self.config.get("distance")), "cosine")
        return next((metric for name, metric in METRICS.items() if name == value), "cosine")

    @property
    def place(self) -> str:
        """Which stored collection the database is: chunks in another one do not count as processed."""
        return f"{self.type}/{self.config.get('collection_name') or 'documents'}/{self.metric}"

    @property
    def former_places(self) -> list[str]:
        """Chunks that were processed there were copied here, and count as processed."""
        return [self.model_copy(update={"type": each.type, "config": each.config}).place for each in self.moved_from]

    @property
    def everywhere(self) -> "list[DatabaseConfig]":
        """The database in its store, and in each former one where a copy was left: what is deleted goes from all."""
        kept = [each for each in self.moved_from if each.kept]
        return [self, *(self.model_copy(update={"type": each.type, "config": each.config}) for each in kept)]

    def moved_to(self, type_name: str, config: Options) -> "DatabaseConfig":
        """The same database in another store, compared as before unless `config` says how; remembers this one."""
        wanted = dict(config)
        if self.metric != "cosine" and not {"distance_metric", "distance_function", "distance"} & wanted.keys():
            wanted["distance_metric"] = self.metric
        here = FormerStore(type=self.type, config=self.config)
        others = [
            each
            for each in self.moved_from
            if (each.type, each.config) not in ((type_name, wanted), (here.type, here.config))
        ]
        return self.model_copy(update={"type": type_name, "config": wanted, "moved_from": [*others, here]})

    def embedding_strategy_in_use(self) -> EmbeddingStrategy:
        """The configured default, else the first, else Ollama with its own defaults."""
        named = _named(self.embedding_strategies, self.default_embedding_strategy)
        return named or next(iter(self.embedding_strategies), EmbeddingStrategy(name="default", type="OllamaEmbedder"))

    def retrieval_strategy_in_use(self, name: str | None = None) -> RetrievalStrategy:
        """The one called `name`, else the configured default, the first flagged, the first, plain similarity.

        Raises:
            NotFoundError: `name` is given and no strategy has it; lists the known ones.
        """
        if name is not None:
            found = _named(self.retrieval_strategies, name)
            if found is None:
                known = ", ".join(entry.name for entry in self.retrieval_strategies) or "none"
                raise NotFoundError(f"Retrieval strategy '{name}' not found. Available: {known}")
            return found
        flagged = (entry for entry in self.retrieval_strategies if entry.default)
        return (
            _named(self.retrieval_strategies, self.default_retrieval_strategy)
            or next(flagged, None)
            or next(iter(self.retrieval_strategies), None)
            or RetrievalStrategy(name="default", type="BasicSimilarityStrategy", default=True)
        )

    def notes(self, path: str) -> list[str]:
        found = []
        if "persist_directory" in self.config:
            found.append(f"{path}.config.persist_directory: ignored, vectors are kept in the data directory")
        for role, default, names in (
            ("embedding", self.default_embedding_strategy, [entry.name for entry in self.embedding_strategies]),
            ("retrieval", self.default_retrieval_strategy, [entry.name for entry in self.retrieval_strategies]),
        ):
            if default is not None and default not in names:
                found.append(f"{path}.default_{role}_strategy = '{default}': no {role} strategy has this name")
        return found


Entry = TypeVar("Entry", EmbeddingStrategy, RetrievalStrategy, DatabaseConfig)


class ParserEntry(Section):
    """A parser of a strategy; lower `priority` runs first, ties keep the order of the file."""

    without_effect: ClassVar[dict[str, str]] = dict.fromkeys(("mime_types", "fallback_parser"), _NEVER_EVALUATED)

    type: str = Field(description="Name of a parser.", min_length=1)
    name: str | None = Field(None, description="Under `components`: what strategies refer to.")
    config: Options = Field(default_factory=dict, description="Its options.")
    file_include_patterns: list[str] | None = Field(None, description="Globs on the file's name; absent: every file.")
    file_extensions: list[str] | None = Field(None, description="Used when there are no patterns: ['.md', …].")
    mime_types: list[str] | None = Field(None, description="Kept, never evaluated.")
    priority: int = Field(50, ge=0, le=1000, description="Lower numbers come first; 0 to 1000.")
    fallback_parser: str | None = Field(None, description="Kept, never evaluated.")


class ExtractorEntry(Section):
    """An extractor of a strategy; lower `priority` runs first."""

    without_effect: ClassVar[dict[str, str]] = dict.fromkeys(("required_for", "condition"), _NEVER_EVALUATED)

    type: str = Field(description="Name of an extractor.", min_length=1)
    config: Options = Field(default_factory=dict, description="Its options.")
    file_include_patterns: list[str] | None = Field(None, description="Globs on the file's name; absent: every file.")
    priority: int = Field(50, ge=0, le=1000, description="Lower numbers come first; 0 to 1000.")
    required_for: list[Any] | None = Field(None, description="Kept, never evaluated.")
    condition: str | None = Field(None, description="Kept, never evaluated.")

    @model_validator(mode="before")
    @classmethod
    def _bare_type(cls, value: Any) -> Any:
        return {"type": value} if isinstance(value, str) else value


class DataProcessingStrategy(Section):
    """How the files of a dataset become chunks."""

    without_effect: ClassVar[dict[str, str]] = {
        "directory_config": "ignored: files are chosen by what is uploaded and by file_include_patterns",
    }

    name: Identifier = Field(description="Small letters, digits and `_`; at most 50.")
    description: str | None = Field(None, max_length=500, description="For people; at most 500 characters.")
    parsers: list[ParserEntry] = Field(min_length=1)
    extractors: list[ExtractorEntry] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _metadata_extractors(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not isinstance(value.get("metadata_extractors"), list):
            return value
        rest = {key: entry for key, entry in value.items() if key != "metadata_extractors"}
        return {**rest, "extractors": [*(value.get("extractors") or []), *value["metadata_extractors"]]}


class ComponentDefaults(Section):
    """Names of the parts for databases and strategies that give none."""

    embedding_strategy: str | None = Field(None, description="For databases without one.")
    retrieval_strategy: str | None = Field(None, description="For databases without one.")
    parser: str | None = Field(None, description="For processing strategies without one.")


class NamedParser(ParserEntry):
    """A parser that strategies refer to by name."""

    name: Identifier = Field(description="Small letters, digits and `_`; at most 50.")


class Components(Section):
    """Parts that databases and strategies refer to by name."""

    embedding_strategies: list[EmbeddingStrategy] = Field(default_factory=list)
    retrieval_strategies: list[RetrievalStrategy] = Field(default_factory=list)
    parsers: list[NamedParser] = Field(default_factory=list)
    defaults: ComponentDefaults = Field(default_factory=ComponentDefaults)


class RagConfig(Section):
    """Where chunks are kept and found, and how files become chunks."""

    default_database: str | None = Field(None, description="Default: the first database.")
    databases: list[DatabaseConfig] = Field(default_factory=list)
    data_processing_strategies: list[DataProcessingStrategy] = Field(default_factory=list)
    components: Components | None = None

    def database(self, name: str | None = None) -> DatabaseConfig:
        """By name; None gives the default, else the first.

        Raises:
            NotFoundError: `name` (or the configured default) names no database.
            BadRequestError: no name, and there is no database at all.
        """
        name = name or self.default_database
        found = next(iter(self.databases), None) if name is None else _named(self.databases, name)
        if found is not None:
            return found
        if name is None:
            raise BadRequestError("No database specified and no default available")
        known = ", ".join(entry.name for entry in self.databases) or "none"
        raise NotFoundError(f"Database '{name}' not found. Available: {known}")

    def notes(self) -> list[str]:
        found = [note for index, entry in enumerate(self.databases) for note in entry.notes(f"rag.databases[{index}]")]
        if self.default_database is not None and _named(self.databases, self.default_database) is None:
            found.append(f"rag.default_database = '{self.default_database}': no database has this name")
        for kind, entries in (
            ("databases", self.databases),
            ("data_processing_strategies", self.data_processing_strategies),
        ):
            names = [entry.name for entry in entries]
            found += [
                f"rag.{kind}: the name '{name}' is used {names.count(name)} times; the first one answers to it"
                for name in sorted(set(names))
                if names.count(name) > 1
            ]
        return found


def built_in_strategy() -> DataProcessingStrategy:
    """What a dataset that names no strategy is processed with."""
    return DataProcessingStrategy(
        name=BUILT_IN_STRATEGY,
        description="Reads every format the server knows.",
        parsers=[ParserEntry(type="UniversalParser")],
        extractors=[ExtractorEntry(type="UniversalExtractor")],
    )


def _named(entries: list[Entry], name: str | None) -> Entry | None:
    return next((entry for entry in entries if entry.name == name), None)
