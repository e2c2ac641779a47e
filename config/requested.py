"""What a query may choose by itself: no path, and no weights that whoever answers it would have to fetch."""

from collections.abc import Iterator, Mapping
from typing import Any

from config.project import ProjectConfig
from config.stages import Entry, entries, split
from rag.errors import InvalidInputError
from rag.rerankers import rerankers

OPERATORS_OPTIONS = ("device", "hf_token")
_MODEL_SPELLINGS = ("model", "model_path")


def check_requested(stages: Mapping[str, Any], config: ProjectConfig) -> None:
    """Look at the stages of a request for what only a configuration may say.

    Raises:
        InvalidInputError: an option of the machine, or a model that neither a strategy of the project names nor this
            machine holds by its Hugging Face name.
    """
    for entry in entries("reranker", stages.get("reranker")):
        is_at_hand = getattr(rerankers.load(entry.type), "is_at_hand", None)
        if is_at_hand is None:  # loads nothing
            continue
        options = rerankers.options(entry.type, entry.config)
        for name in OPERATORS_OPTIONS:
            if name in options.model_fields_set:
                raise InvalidInputError(
                    f"reranker '{entry.type}': option '{name}' cannot be given in a query; write it into the reranker "
                    "of a retrieval strategy"
                )
        has_model = "model" in options.model_fields_set
        if has_model and not _is_named(entry, config) and not is_at_hand(options):
            raise InvalidInputError(
                f"reranker '{entry.type}': a query cannot have model '{str(getattr(options, 'model', ''))[:200]}' "
                "loaded, which no retrieval strategy of the project names and the model cache does not hold by that "
                "name. Write it into the reranker of a retrieval strategy, or download it with POST /v1/models/download"
            )


def _is_named(entry: Entry, config: ProjectConfig) -> bool:
    wanted = _model(entry)
    return any(each.type == entry.type and _model(each) == wanted for each in _configured(config))


def _configured(config: ProjectConfig) -> Iterator[Entry]:
    """The rerankers of all strategies; what is wrong with one is told when it is used."""
    for database in config.rag.databases if config.rag else ():
        for strategy in database.retrieval_strategies:
            try:
                yield from entries("reranker", split(strategy.config)[1].get("reranker"))
            except InvalidInputError:
                continue


def _model(entry: Entry) -> Any:
    """As it is written: a request is taken by the letter, so that no variable of the server can be guessed with it."""
    return next((entry.config[key] for key in _MODEL_SPELLINGS if key in entry.config), None)
