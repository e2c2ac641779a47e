"""Everything in a project's file that is ignored, unknown or points nowhere: what its `warnings` say."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import AliasChoices, ValidationError

from config.options import option_names, unknown_options
from config.problems import problem_sentence
from config.processing import check_chunking, chunk_keys, chunking_warnings
from config.project import ProjectConfig
from config.rag_section import DatabaseConfig, DataProcessingStrategy, ParserEntry
from config.retrieval import parts, remarks
from rag.chunkers import chunkers
from rag.embedders import embedders
from rag.errors import InvalidInputError
from rag.extractors import extractors
from rag.parsers import parsers
from rag.registry import Registry
from rag.stores import stores

ACCEPTED = "Accepted"
"""The description of an option that changes nothing begins with this word and says why."""
ONE_PROCESS = "For one process alone"
"""That of an option that works in tests and scripts only begins so."""


def project_warnings(config: ProjectConfig) -> list[str]:
    """One sentence each; nothing here stops the project from working. Builds no component, expands no variable."""
    found = config.warnings()
    if config.rag is not None:
        for index, database in enumerate(config.rag.databases):
            found += _database(config, database, f"rag.databases[{index}]")
        for index, strategy in enumerate(config.rag.data_processing_strategies):
            found += _strategy(strategy, f"rag.data_processing_strategies[{index}]")
    return found


def _database(config: ProjectConfig, database: DatabaseConfig, path: str) -> Iterator[str]:
    known = {key: value for key, value in database.config.items() if key != "persist_directory"}  # has its own note
    yield from _component(stores, database.type, known, path)
    for index, embedding in enumerate(database.embedding_strategies):
        yield from _component(embedders, embedding.type, embedding.config, f"{path}.embedding_strategies[{index}]")
    models = {name for model in config.runtime.models for name in (model.name, model.model)}
    for index, retrieval in enumerate(database.retrieval_strategies):
        where = f"{path}.retrieval_strategies[{index}]"
        for part in parts(retrieval.type, retrieval.config):
            yield from _component(part.registry, part.type, part.options, where, part.inside)
        said = remarks(retrieval.type, retrieval.config, metric=database.metric, models=models)
        yield from (f"{where}.config.{each}" for each in said)


def _strategy(strategy: DataProcessingStrategy, path: str) -> Iterator[str]:
    for index, parser in enumerate(strategy.parsers):
        where = f"{path}.parsers[{index}]"
        options = {key: value for key, value in parser.config.items() if key not in chunk_keys()}
        yield from _component(parsers, parser.type, options, where)
        wanted = parser.config.get("chunk_strategy")
        if wanted is not None and str(wanted) not in chunkers:
            yield f"{where}.config.chunk_strategy = '{wanted}': not known (known: {', '.join(chunkers.names)})"
            continue
        yield from (f"{where}.config: {sentence}" for sentence in chunking_warnings(parser))
        yield from _chunking_problem(parser, where)
    for index, extractor in enumerate(strategy.extractors):
        yield from _component(extractors, extractor.type, extractor.config, f"{path}.extractors[{index}]")


def _chunking_problem(parser: ParserEntry, where: str) -> Iterator[str]:
    try:
        check_chunking(parser)
    except InvalidInputError as error:
        yield f"{where}.config: {error.message}; no file can be processed with it until this is corrected"


def _component(
    registry: Registry[Any], name: str, raw: Mapping[str, Any], path: str, inside: tuple[str, ...] = ()
) -> Iterator[str]:
    """Args: inside: keys that lead to `raw` from the `config` at `path`."""
    at = ".".join((f"{path}.config", *inside))
    if name not in registry:
        where = at if inside else path
        yield f"{where}.type = '{name}': no {registry.role} has this name (known: {', '.join(registry.names)})"
        return
    given = {key: value for key, value in raw.items() if value is not None}
    yield from _values(registry, name, given, path, inside)
    yield from (f"{at}: {sentence}" for sentence in unknown_options(registry, name, given))
    for key, field in registry.load(name).Options.model_fields.items():
        alias = field.validation_alias
        spellings = alias.choices if isinstance(alias, AliasChoices) else [key]
        if (field.description or "").startswith((ACCEPTED, ONE_PROCESS)):
            reason = (field.description or "").rstrip(".")
            yield from (f"{at}.{each}: {reason}" for each in spellings if each in given)


def _values(
    registry: Registry[Any], name: str, given: Mapping[str, Any], path: str, inside: tuple[str, ...]
) -> Iterator[str]:
    """Values that the component will refuse when it is built; those with variables are known only then."""
    known = option_names(registry, name)
    own = {key: value for key, value in given.items() if key in known}
    checked = {key: value for key, value in own.items() if "${" not in str(value)}
    at = ".".join((f"{path}.config", *inside))
    sentences: list[str] = []
    try:
        registry.load(name).Options.model_validate(checked)
    except ValidationError as error:
        problems = [each for each in error.errors(include_url=False) if each["type"] != "missing"]
        located: list[Any] = [{**each, "loc": (*inside, *each["loc"])} for each in problems if each["loc"]]
        sentences = [problem_sentence(each, path) for each in located]
        if own == checked:  # what options are together is known only without variables
            sentences += [f"{at}: {each['ctx']['error']}" for each in problems if not each["loc"] and "ctx" in each]
    except InvalidInputError as error:
        sentences = [f"{at}: {error.message}"] if own == checked else []
    told = "is left out" if registry is extractors else "cannot be used"
    yield from (f"{each}; the {registry.role} {told} until this is corrected" for each in sentences)
