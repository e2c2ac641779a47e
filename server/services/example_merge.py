"""Brings a dataset of an example into the configuration of a project that exists: what the project has wins."""

from dataclasses import dataclass, field
from typing import Any

from config.examples import Example, ExampleDataset
from config.project import BUILT_IN_STRATEGY, ProjectConfig
from config.rag_section import DatabaseConfig
from rag.errors import BadRequestError


@dataclass(slots=True)
class Merge:
    """Changes the raw configuration of one project, dataset by dataset; `warnings` says what was not taken over.

    Args:
        example_config: the example's own configuration, checked; None when it has none.
        with_parts: whether databases and strategies that the project lacks are added.
    """

    example: Example
    example_config: ProjectConfig | None
    with_parts: bool
    warnings: list[str] = field(default_factory=list)

    def add(self, raw: dict[str, Any], dataset: ExampleDataset, target: str) -> None:
        """Raises BadRequestError when there is no database that the dataset could go to."""
        known = raw.get("datasets") or []
        existing = next((entry for entry in known if entry["name"] == target), None)
        if existing is not None:
            self._compare(existing, dataset)
            return
        entry = {"name": target, "database": self._database(raw, dataset)}
        strategy = self._strategy(raw, dataset)
        if strategy is not None:
            entry["data_processing_strategy"] = strategy
        raw["datasets"] = [*known, entry]

    def _compare(self, existing: dict[str, Any], dataset: ExampleDataset) -> None:
        for key, wanted in (("database", dataset.database), ("data_processing_strategy", dataset.strategy)):
            actual = existing.get(key) or BUILT_IN_STRATEGY
            if wanted is not None and actual != wanted:
                self.warnings.append(
                    f"dataset '{existing['name']}' exists and keeps its {key} '{actual}'; the example's is '{wanted}'"
                )

    def _database(self, raw: dict[str, Any], dataset: ExampleDataset) -> str:
        project = ProjectConfig.parse(raw)
        names = [entry.name for entry in project.databases]
        wanted, offered = dataset.database, self.example.database(dataset.database)
        if wanted in names:
            self._compare_embedding(project.database(wanted))
            return str(wanted)
        if wanted is not None and offered is not None and self.with_parts:
            self._append(raw, "databases", offered)
            return wanted
        if not names:
            raise BadRequestError(
                f"the project has no database for dataset '{dataset.name}': add one, or import with include_strategies"
            )
        fallback = project.database().name
        if wanted is not None:
            self.warnings.append(f"the project has no database '{wanted}'; dataset '{dataset.name}' uses '{fallback}'")
        return fallback

    def _strategy(self, raw: dict[str, Any], dataset: ExampleDataset) -> str | None:
        wanted, offered = dataset.strategy, self.example.strategy(dataset.strategy)
        if wanted is None or wanted in [entry.name for entry in ProjectConfig.parse(raw).strategies]:
            return wanted
        if offered is not None and self.with_parts:
            self._append(raw, "data_processing_strategies", offered)
            return wanted
        self.warnings.append(
            f"the project has no processing strategy '{wanted}'; dataset '{dataset.name}' uses '{BUILT_IN_STRATEGY}'"
        )
        return BUILT_IN_STRATEGY

    def _append(self, raw: dict[str, Any], section: str, entry: dict[str, Any]) -> None:
        rag = raw["rag"] = dict(raw.get("rag") or {})
        rag[section] = [*(rag.get(section) or []), entry]

    def _compare_embedding(self, database: DatabaseConfig) -> None:
        if self.example_config is None or database.name not in [each.name for each in self.example_config.databases]:
            return
        theirs = _embedding(self.example_config.database(database.name))
        ours = _embedding(database)
        if ours != theirs:
            self.warnings.append(
                f"database '{database.name}' exists and keeps its embedding ({_words(ours)}); "
                f"the example's ({_words(theirs)}) is not used"
            )


def _embedding(database: DatabaseConfig) -> tuple[str, str | None, int | None]:
    """(type, model, dimension) of what the database embeds with."""
    strategy = database.embedding_strategy_in_use()
    return strategy.type, strategy.config.get("model"), strategy.config.get("dimension")


def _words(embedding: tuple[str, str | None, int | None]) -> str:
    kind, model, dimension = embedding
    parts = [kind, str(model) if model else "", f"dimension {dimension}" if dimension else ""]
    return ", ".join(part for part in parts if part)
