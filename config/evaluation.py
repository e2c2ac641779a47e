"""What an evaluation tries: names of strategies and ways to cut → components, and the result → llamafarm.yaml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from config.assemble import GENERIC_RETRIEVERS, Assembly, LiveCheck
from config.options import option_names
from config.overrides import EVERY_FILE, MAX_CHUNK_SIZE, overridden
from config.project import ProjectConfig
from config.public import public_config
from config.rag_section import DatabaseConfig, DataProcessingStrategy
from config.settings import Settings
from rag.chunkers import chunkers
from rag.embedders.base import Embedder
from rag.errors import BadRequestError, NotFoundError
from rag.retrievers import retrievers
from rag.stores.base import Store

CURRENT = "current"
"""The chunks that the database holds."""
USUAL_GENERIC = ("semantic", "keyword", "hybrid", "mmr")
"""Tried when nobody says which."""
SAME_AS_NONE = "semantic"
"""What a database without strategies is searched by."""
MAX_CONFIGURATIONS = 64


@dataclass(frozen=True, slots=True)
class Cut:
    """A way to cut files: that of a data processing strategy, or of each dataset's own with other options."""

    name: str
    strategy: str | None = None
    options: Mapping[str, Any] | None = None

    def of(self, config: ProjectConfig, dataset_strategy: str) -> DataProcessingStrategy:
        """How a file of a dataset with this strategy would be cut.

        Raises:
            BadRequestError: the options do not go with a parser's others.
        """
        found = config.strategy(self.strategy or dataset_strategy)
        return overridden(found, {EVERY_FILE: self.options}) if self.options else found


def read_cut(text: str, config: ProjectConfig) -> Cut:
    """`current`, the name of a data processing strategy, or `CHUNKER[:SIZE[:OVERLAP]]`.

    Raises:
        NotFoundError: no strategy and no chunker has this name; lists both.
        BadRequestError: a size that is none.
    """
    if text == CURRENT or any(each.name == text for each in config.strategies):
        return Cut(text, None if text == CURRENT else text)
    name, *numbers = text.split(":")
    if name not in chunkers:
        strategies = ", ".join(each.name for each in config.strategies)
        raise NotFoundError(
            f"chunking '{text[:100]}' not found. Data processing strategies: {strategies}. Or CHUNKER:SIZE:OVERLAP "
            f"with one of {', '.join(chunkers.names)}; or {CURRENT}"
        )
    if len(numbers) > 2:
        raise BadRequestError(f"chunking '{text[:100]}' has too many parts; write CHUNKER:SIZE:OVERLAP")
    options: dict[str, Any] = {"chunk_strategy": name}
    for key, value in zip(("chunk_size", "chunk_overlap"), numbers, strict=False):
        if not (value.isascii() and value.isdecimal()) or not int(value) <= MAX_CHUNK_SIZE:
            raise BadRequestError(f"chunking '{text[:100]}': {key} is a whole number up to {MAX_CHUNK_SIZE}")
        if key not in option_names(chunkers, name):
            raise BadRequestError(f"chunking '{text[:100]}': chunker '{name}' takes no {key}")
        options[key] = int(value)
    cut = Cut(text, None, options)
    for dataset in config.datasets:
        cut.of(config, dataset.data_processing_strategy)
    return cut


def read_strategies(given: Sequence[str], config: ProjectConfig, database: DatabaseConfig) -> list[str]:
    """Names of strategies to try; none given: those of the database and the usual generic ones that differ from them.

    The one in use is always among them, first.

    Raises:
        NotFoundError: nothing answers to a name.
    """
    in_use = database.retrieval_strategy_in_use()
    known = {each.name: each for each in database.retrieval_strategies}
    for name in given:
        if name not in known and name not in GENERIC_RETRIEVERS:
            listed = ", ".join([*known, *GENERIC_RETRIEVERS])
            raise NotFoundError(f"Retrieval strategy '{name[:100]}' not found. Available: {listed}")
    wanted = list(given) or [*known, *_other_generic(database)]
    first = in_use.name if in_use.name in known else SAME_AS_NONE
    return list(dict.fromkeys([first, *wanted]))


def _other_generic(database: DatabaseConfig) -> list[str]:
    """Those that are not a strategy of the database with nothing but `top_k` set."""
    plain = {
        retrievers.canonical(each.type)
        for each in database.retrieval_strategies
        if each.type in retrievers and not set(each.config) - {"top_k"}
    }
    return [name for name in USUAL_GENERIC if retrievers.canonical(name) not in plain]


class TrialAssembly(Assembly):
    """Builds a project's retrievers over a store that stands in for its database; embedders are those of `parent`."""

    def __init__(self, settings: Settings, live_check: LiveCheck, parent: Assembly, store: Store) -> None:
        super().__init__(settings, lambda *_: live_check)
        self._parent = parent
        self._trial_store = store

    def embedder(self, database: DatabaseConfig) -> Embedder:
        return self._parent.embedder(database)

    def raw_store(self, namespace: str, project: str, database: DatabaseConfig) -> Store:
        return self._trial_store

    def store(self, namespace: str, project: str, database: DatabaseConfig) -> Store:
        return self._trial_store


def snippet(config: ProjectConfig, database: DatabaseConfig, strategy: str, cut: Cut) -> str:
    """What to write in llamafarm.yaml: these keys replace those of the entries of the same names."""
    entry: dict[str, Any] = {"name": database.name, "default_retrieval_strategy": strategy}
    known = [each.model_dump(mode="json", by_alias=True, exclude_unset=True) for each in database.retrieval_strategies]
    if strategy not in [each["name"] for each in known]:
        known.append({"name": strategy, "type": retrievers.canonical(strategy)})
    for each in known:
        each.pop("default", None)
    entry["retrieval_strategies"] = known
    document: dict[str, Any] = {"rag": {"databases": [entry]}}
    datasets = [each for each in config.datasets if each.database == database.name]
    if cut.options and datasets:
        names = dict.fromkeys(each.data_processing_strategy for each in datasets)
        document["rag"]["data_processing_strategies"] = [
            cut.of(config, name).model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
            for name in names
        ]
    elif cut.strategy:
        document["datasets"] = [{"name": each.name, "data_processing_strategy": cut.strategy} for each in datasets]
    return yaml.safe_dump(public_config(document), sort_keys=False, allow_unicode=True, width=100)
