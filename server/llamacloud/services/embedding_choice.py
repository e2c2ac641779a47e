"""Which of the embedders that are really here a collection gets: it keeps it, whatever becomes the default later."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from config.rag_section import DatabaseConfig
from rag.embedders.weights import canonical_name, is_held
from rag.errors import BadRequestError
from server.llamacloud.engine import CloudEngine
from state.cloud.ids import NAMESPACE

MANAGED = "MANAGED_OPENAI_EMBEDDING"
"""What a client says for "the one that the service has"."""


@dataclass(frozen=True, slots=True)
class EmbeddingChoice:
    """
    Args:
        strategy: as it stands in llamafarm.yaml.
        model: what it is called: the model's name, or the strategy's where that has none.
        dimension: None where only the server that embeds knows it.
    """

    strategy: dict[str, Any]
    model: str
    dimension: int | None

    @property
    def database(self) -> dict[str, Any]:
        """Keys of the database's entry."""
        return {"embedding_strategies": [self.strategy], "default_embedding_strategy": self.strategy["name"]}

    @property
    def facts(self) -> dict[str, Any]:
        return {"embedding_model": self.model, "embedding_dimension": self.dimension}


def choose_embedding(
    cloud: CloudEngine, project_id: str, model: str | None, config: Mapping[str, Any] | None = None
) -> EmbeddingChoice:
    """By the name of a model or of a strategy under `components`; nothing named: the project's default.

    Raises:
        BadRequestError: no such embedder is here.
    """
    wanted = model or _named(config)
    raw = cloud.projects.store.get(NAMESPACE, cloud.projects.ensure(project_id).name).raw
    components = (raw.get("rag") or {}).get("components") or raw.get("components") or {}
    known = [each for each in components.get("embedding_strategies") or [] if isinstance(each, dict)]
    default = (components.get("defaults") or {}).get("embedding_strategy")
    found = _find(known, default if wanted is None else wanted)
    if found is None and wanted is None and known:
        found = known[0]
    if found is None and wanted is not None and is_held(wanted):
        name = canonical_name(wanted)
        found = {"name": "chosen", "type": "UniversalEmbedder", "config": {"model": name}}
    if found is None:
        raise BadRequestError(_unknown(wanted, known))
    return EmbeddingChoice(dict(found), _model(found) or str(found["name"]), _dimension(cloud, found))


def _named(config: Mapping[str, Any] | None) -> str | None:
    """The model of an `embedding_config`, else its type; None for one that leaves the choice to the service."""
    if not config or config.get("type") == MANAGED:
        return None
    component = config.get("component")
    name = component.get("model_name") if isinstance(component, Mapping) else None
    if isinstance(name, str) and name:
        return name
    kind = config.get("type")
    return str(kind) if kind else None  # a service that is not here: another embedder in its place would surprise


def _find(known: list[dict[str, Any]], wanted: str | None) -> dict[str, Any] | None:
    if wanted is None:
        return None
    for each in known:
        model = _model(each)
        if wanted == each.get("name") or (model and canonical_name(model) == canonical_name(wanted)):
            return each
    return None


def _model(strategy: Mapping[str, Any]) -> str | None:
    config = strategy.get("config") or {}
    return config.get("model") or config.get("model_name")


def _dimension(cloud: CloudEngine, strategy: Mapping[str, Any]) -> int | None:
    config = strategy.get("config") or {}
    if isinstance(config.get("dimension"), int):
        return int(config["dimension"])
    model = _model(strategy)
    if model is None or not is_held(model) or config.get("base_url"):
        return None
    entry = {"name": "probe", "type": "MemoryStore", "embedding_strategies": [dict(strategy)]}

    return cloud.engine.assembly.embedder(DatabaseConfig.model_validate(entry)).dimension


def _unknown(wanted: str | None, known: list[dict[str, Any]]) -> str:
    names = ", ".join(sorted({_model(each) or str(each.get("name")) for each in known})) or "none"
    asked = "no embedding model is configured" if wanted is None else f"the embedder '{wanted[:200]}' is not here"
    return (
        f"{asked}. Known: {names}. Others are added under rag.components.embedding_strategies of the project's "
        f"llamafarm.yaml, or fetched with `lf models pull`; none named, or the type {MANAGED}, is the project's own"
    )
