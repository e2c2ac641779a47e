"""What a retrieval strategy's `config` holds beside plain options: strategies inside it, and stages around it."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from config.options import option_names
from config.stages import COLLAPSE, REGISTRIES, check_collapse, entries, split
from rag.errors import InvalidInputError
from rag.registry import Registry
from rag.retrievers import retrievers
from rag.retrievers.universal import SHORT_NAMES
from rag.stores.base import Metric
from rag.stores.options import METRICS

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A component with its options; `inside` are the keys that lead to them from `config`."""

    registry: Registry[Any]
    type: str
    options: Values
    inside: tuple[str, ...] = ()


INNER = {"base_strategy_config": "base_strategy", "reranker_config": "reranker_strategy"}
"""Options that hold those of another strategy → options that name it."""


def inner_strategies(type_name: str, values: Values) -> Iterator[Part]:
    """The strategies that a strategy is made of."""
    fields = retrievers.load(type_name).Options.model_fields  # type: ignore[attr-defined]  # every component has them
    for key, naming in INNER.items():
        if key in fields and isinstance(values.get(key), Mapping):
            yield Part(retrievers, str(values.get(naming) or fields[naming].default), values[key], (key,))
    listed = values.get("strategies") if "strategies" in fields else None
    for index, each in enumerate(listed if isinstance(listed, list | tuple) else ()):
        if isinstance(each, Mapping) and isinstance(each.get("config"), Mapping):
            name = str(each.get("type"))
            yield Part(retrievers, SHORT_NAMES.get(name, name), each["config"], (f"strategies[{index}]", "config"))


def without_unknown(type_name: str, values: dict[str, Any]) -> dict[str, Any]:
    """The options without what strategies inside do not know, which a warning has named."""
    made = dict(values)
    for part in inner_strategies(type_name, values):
        if part.type not in retrievers:
            continue
        known = option_names(retrievers, part.type)
        kept = {key: value for key, value in part.options.items() if key in known}
        if part.inside[0] in INNER:
            made[part.inside[0]] = kept
        else:
            index = int(part.inside[0].removeprefix("strategies[").removesuffix("]"))
            made["strategies"] = [*made["strategies"]]
            made["strategies"][index] = {**made["strategies"][index], "config": kept}
    return made


def parts(type_name: str, config: Values) -> Iterator[Part]:
    """The strategy itself, those inside it, and the stages around it."""
    own, stages = split(config)
    yield Part(retrievers, type_name, own)
    if type_name in retrievers:
        yield from inner_strategies(type_name, own)
    for key, registry in REGISTRIES.items():
        try:
            found = entries(key, stages.get(key))
        except InvalidInputError:  # told by `remarks`
            continue
        yield from (Part(registry, each.type, each.config, (each.path,)) for each in found)


def remarks(type_name: str, config: Values, *, metric: Metric, models: Collection[str]) -> Iterator[str]:
    """Sentences on what is wrong or has no effect as things stand; each begins with the option."""
    if type_name not in retrievers:
        return
    own, stages = split(config)
    yield from _metric_remarks(own, metric)
    table = _WITHOUT_EFFECT.get(retrievers.canonical(type_name), {})
    yield from (f"{key}: {reason}" for key, (has_none, reason) in table.items() if key in own and has_none(own))
    yield from _reranker_config_remarks(own)
    yield from _model_remarks(type_name, own, models)
    for part in inner_strategies(type_name, own):
        at = ".".join(part.inside)
        said = "has no effect here: the strategy around it says how many are looked for"
        yield from (f"{at}.{key}: {said}" for key in ("top_k", "final_k") if key in part.options)
    yield from _stage_remarks(stages, models)


def _metric_remarks(own: Values, metric: Metric) -> Iterator[str]:
    given = str(own.get("distance_metric") or metric)
    meant = {str(name): value for name, value in METRICS.items()}.get(given)
    if "${" not in given and meant != metric:
        yield (
            f"distance_metric = '{given}': has no effect, the database is stored with '{metric}'; set the metric in "
            "the database's config before anything is stored"
        )


def _reranker_config_remarks(own: Values) -> Iterator[str]:
    given = own.get("reranker_config")
    if not isinstance(given, Mapping):
        return
    for key in ("base_strategy", "base_strategy_config"):
        if key in given:
            yield f"reranker_config.{key}: has no effect here, where the sub-questions find the candidates"


def _model_remarks(type_name: str, own: Values, models: Collection[str]) -> Iterator[str]:
    for part in (Part(retrievers, type_name, own), *inner_strategies(type_name, own)):
        if part.type in retrievers and "model_name" in option_names(retrievers, part.type):
            at = ".".join((*part.inside, "model_name"))
            yield from _unknown_model(at, part.options.get("model_name"), models)


def _unknown_model(at: str, name: Any, models: Collection[str]) -> Iterator[str]:
    if isinstance(name, str) and "${" not in name and name not in models:
        yield f"{at} = '{name}': no model under runtime.models has this name"


def _stage_remarks(stages: Values, models: Collection[str]) -> Iterator[str]:
    for key in REGISTRIES:
        try:
            found = entries(key, stages.get(key))
        except InvalidInputError as error:
            yield f"{error.message}; the strategy cannot be used until this is corrected"
            continue
        for entry in found:
            yield from _unknown_model(f"{entry.path}.model_name", entry.config.get("model_name"), models)
    try:
        check_collapse(stages.get(COLLAPSE))
    except InvalidInputError as error:
        yield f"{error.message}; the strategy cannot be used until this is corrected"


def _is_pre(own: Values) -> bool:
    return own.get("filter_mode") != "post"


def _is_not_weighted(own: Values) -> bool:
    return own.get("aggregation_method") not in (None, "weighted")


def _has_strategies(own: Values) -> bool:
    return bool(own.get("strategies"))


def _is_not_reranking(own: Values) -> bool:
    return not own.get("enable_reranking")


_WITHOUT_EFFECT: Mapping[str, Mapping[str, tuple[Callable[[Values], bool], str]]] = {
    "MetadataFilteredStrategy": {
        "fallback_multiplier": (_is_pre, "has an effect with filter_mode post only"),
    },
    "MultiQueryStrategy": {
        "query_weights": (_is_not_weighted, "has an effect with aggregation_method weighted only"),
    },
    "HybridUniversalStrategy": dict.fromkeys(
        ("dense_weight", "sparse_weight"),
        (_has_strategies, "has no effect beside strategies, which have weights of their own"),
    ),
    "MultiTurnRAGStrategy": dict.fromkeys(
        ("reranker_strategy", "reranker_config"),
        (_is_not_reranking, "has an effect with enable_reranking only"),
    ),
}
