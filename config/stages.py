"""The stages that may stand around any retrieval strategy, as they are written beside its options or in a request.

query_transform: conversational            # a name, a mapping with `type`, or a list of these
reranker: {type: cross_encoder, candidates: 50}
collapse_duplicates: false
expand: {type: neighbours, before: 1}
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from config.options import option_names
from rag.embedders.base import Embedder
from rag.errors import InvalidInputError
from rag.expanders import expanders
from rag.registry import Registry
from rag.rerankers import rerankers
from rag.rerankers.base import RerankerOptions
from rag.retrievers.base import Retriever
from rag.retrievers.collapse import collapse
from rag.retrievers.models import Models
from rag.retrievers.staged import Collapse, Limits, StagedRetriever, Stages
from rag.stores.base import Store
from rag.transforms import transforms

REGISTRIES: Mapping[str, Registry[Any]] = {
    "query_transform": transforms,
    "reranker": rerankers,
    "expand": expanders,
}
COLLAPSE = "collapse_duplicates"
STAGE_KEYS = frozenset({*REGISTRIES, COLLAPSE})
"""Options that every strategy has beside its own."""
MAX_TRANSFORMS = 4

Choose = Callable[[Registry[Any], str, Mapping[str, Any]], Mapping[str, Any]]
"""(registry, type, options as they were written) → those that the component is built with."""


class Entry(NamedTuple):
    """One component of a stage."""

    path: str
    type: str
    config: Mapping[str, Any]

    @property
    def shown(self) -> str:
        model = self.config.get("model_name")
        return self.type if model is None else f"{self.type} ({model})"


@dataclass(frozen=True, slots=True)
class Needs:
    """What stages work with; `defaults` are options of components that have them and that nobody gave."""

    embedder: Embedder
    store: Store
    models: Models
    defaults: Mapping[str, Any] = field(default_factory=dict)


def split(config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A strategy's `config` → (its own options, the stages around it)."""
    own = {key: value for key, value in config.items() if key not in STAGE_KEYS}
    return own, {key: config[key] for key in STAGE_KEYS & config.keys() if config[key] is not None}


def entries(key: str, value: Any) -> list[Entry]:
    """The components that are named under a stage's key; none for false.

    Raises:
        InvalidInputError: another shape.
    """
    if value is False or value is None:
        return []
    if key == "query_transform" and isinstance(value, list | tuple):
        if len(value) > MAX_TRANSFORMS:
            raise InvalidInputError(f"{key}: {len(value)} transforms are more than {MAX_TRANSFORMS}")
        return [_entry(f"{key}[{index}]", each) for index, each in enumerate(value)]
    return [_entry(key, value)]


def _entry(path: str, value: Any) -> Entry:
    given = {"type": value} if isinstance(value, str) else value
    if not isinstance(given, Mapping) or not isinstance(given.get("type"), str):
        raise InvalidInputError(f"{path}: expected the name of a type, a mapping with 'type', or false")
    return Entry(path, given["type"], {key: each for key, each in given.items() if key != "type"})


def chosen(stages: Mapping[str, Any], choose: Choose) -> dict[str, Any]:
    """Stages of a file as those of a request are: variables are put in, and unknown options left out."""
    made: dict[str, Any] = dict(stages)
    for key in REGISTRIES.keys() & stages.keys():
        found = [{**choose(REGISTRIES[key], each.type, each.config), "type": each.type}
                 for each in entries(key, stages[key])]  # fmt: skip
        made[key] = found if key == "query_transform" else next(iter(found), False)
    return made


def named_models(stages: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(type, name of a model in runtime.models that it asks) of every component that names one."""
    for key in REGISTRIES:
        for entry in entries(key, stages.get(key)):
            if isinstance(entry.config.get("model_name"), str):
                yield entry.type, entry.config["model_name"]


def around(strategy: Retriever, options: Any, stages: Mapping[str, Any], needs: Needs) -> StagedRetriever:
    """A strategy, built with `options`, with its stages around it.

    Raises:
        InvalidInputError: an unknown type, an unknown option, or a value that a component does not take.
    """
    made = [
        (entry.shown, transforms.build(
            entry.type, entry.config, models=needs.models, embedder=needs.embedder, retriever=strategy))
        for entry in entries("query_transform", stages.get("query_transform"))
    ]  # fmt: skip
    reranker = expander = None
    for entry in entries("reranker", stages.get("reranker")):
        known = option_names(rerankers, entry.type)
        defaults = {key: value for key, value in needs.defaults.items() if key in known}
        values = {**defaults, **entry.config}
        built = rerankers.build(entry.type, values, embedder=needs.embedder, models=needs.models)
        reranker = (entry.shown, built, cast("RerankerOptions", rerankers.options(entry.type, values)))
    for entry in entries("expand", stages.get("expand")):
        expander = (entry.type, expanders.build(entry.type, entry.config, store=needs.store))
    distinct = check_collapse(stages.get(COLLAPSE))
    return StagedRetriever(strategy, Stages(tuple(made), reranker, distinct, expander), Limits.of(options))


def check_collapse(value: Any) -> Collapse | None:
    """What leaves out near copies; on by itself. Raises InvalidInputError."""
    if value is False:
        return None
    if value is None or value is True:
        return collapse
    raise InvalidInputError(f"{COLLAPSE}: expected true or false")
