"""The models of llamafarm.yaml: one project, read leniently, with every name resolved."""

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError, WithJsonSchema, model_validator

from config.components import resolve_components
from config.environment import expand_env
from config.problems import describe
from config.prompts import PromptSet, as_sets
from config.rag_section import (
    BUILT_IN_STRATEGY,
    Components,
    DatabaseConfig,
    DataProcessingStrategy,
    RagConfig,
    built_in_strategy,
)
from config.runtime import ModelConfig, RuntimeConfig
from config.section import Section, unknown_keys
from rag.errors import BadRequestError, ConfigError, NotFoundError

__all__ = [
    "BUILT_IN_STRATEGY",
    "DataProcessingStrategy",
    "DatabaseConfig",
    "DatasetConfig",
    "McpServer",
    "ModelConfig",
    "ProjectConfig",
    "expand_env",
]

DATASET_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")


class DatasetConfig(Section):
    """A named set of files, the database they go to and the strategy they are processed with."""

    without_effect: ClassVar[dict[str, str]] = {
        "files": "ignored: the list of files is kept by the server and dropped from the file at the next save",
    }

    name: str = Field(min_length=1, description="Letters, digits, `_` and `-`; at most 100.")
    database: str = Field(min_length=1, description="Name of one under rag.databases.")
    data_processing_strategy: str = Field(
        BUILT_IN_STRATEGY, description="Name of one under rag.data_processing_strategies."
    )
    auto_process: bool = Field(False, description="Process a file as soon as it is uploaded.")


class McpServer(Section):
    """A server of tools that models may call."""

    name: str = Field(min_length=1, description="What models name it by.")
    transport: Literal["stdio", "http", "sse"] = Field(description="How it is reached.")
    command: str | None = Field(None, description="For stdio.")
    args: list[str] = Field(default_factory=list, description="Of the command.")
    env: dict[str, str] = Field(default_factory=dict, repr=False, description="Variables of the command.")
    base_url: str | None = Field(None, description="For http and sse.")
    headers: dict[str, str] = Field(default_factory=dict, repr=False, description="Sent with each request.")

    @model_validator(mode="after")
    def _has_address(self) -> Self:
        needed = "command" if self.transport == "stdio" else "base_url"
        if not getattr(self, needed):
            raise ValueError(f"{needed} is missing; transport {self.transport} needs it")
        return self


class McpConfig(Section):
    """Servers of tools, by the Model Context Protocol."""

    servers: list[McpServer] = Field(default_factory=list)

    def notes(self) -> list[str]:
        return [
            f"mcp.servers[{index}].{key}: has no effect with transport {server.transport}"
            for index, server in enumerate(self.servers)
            for key in (("base_url", "headers") if server.transport == "stdio" else ("command", "args", "env"))
            if getattr(server, key)
        ]


class ProjectConfig(Section):
    """The whole file."""

    without_effect: ClassVar[dict[str, str]] = {"voice": "kept without effect: speech is not part of this server"}

    version: Literal["v1"] = Field(description="Of the format; there is one.")
    name: str = Field(min_length=1, description="The project's; that of its folder counts.")
    namespace: str = Field(min_length=1, description="The one above; that of the folder above counts.")
    runtime: RuntimeConfig
    prompts: list[PromptSet] = Field(default_factory=list)
    rag: RagConfig | None = None
    datasets: list[DatasetConfig] = Field(default_factory=list)
    mcp: McpConfig | None = None
    components: Components | None = None
    schema_reference: Annotated[str | None, WithJsonSchema({"type": ["string", "null"]})] = Field(
        None, alias="schema", description="`path/to/file.py::ClassName`; used by the command line only."
    )

    @classmethod
    def parse(cls, raw: Any, *, file_name: str = "llamafarm.yaml") -> Self:
        """Check a config as it was written.

        Raises:
            ConfigError: names file, path in the file, value and what is accepted, for up to five problems.
        """
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            # `from None`: the cause would carry the values of the file, keys included, into logs.
            raise ConfigError(describe(error, raw, file_name)) from None

    @model_validator(mode="before")
    @classmethod
    def _canonical(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        resolved = resolve_components(value)
        prompts = resolved.get("prompts")
        return {**resolved, "prompts": as_sets(prompts)} if isinstance(prompts, list) else resolved

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        problems = [*_repeated("datasets", [entry.name.lower() for entry in self.datasets])]
        problems += _repeated("prompts", [entry.name for entry in self.prompts])
        problems += self._unknown_prompts()
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _unknown_prompts(self) -> list[str]:
        known = [entry.name for entry in self.prompts]
        return [
            f"runtime.models: model '{model.name}' names the prompt set '{name}'; "
            f"accepted: a name under prompts ({', '.join(known) or 'there are none'})"
            for model in self.runtime.models
            for name in model.prompts
            if name not in known
        ]

    def model(self, name: str | None = None) -> ModelConfig:
        """See `RuntimeConfig.model`."""
        return self.runtime.model(name)

    def database(self, name: str | None = None) -> DatabaseConfig:
        """See `RagConfig.database`; raises BadRequestError when the project has no `rag` section."""
        if self.rag is None:
            raise BadRequestError("RAG not configured for this project")
        return self.rag.database(name)

    @property
    def databases(self) -> list[DatabaseConfig]:
        return [] if self.rag is None else self.rag.databases

    @property
    def strategies(self) -> list[DataProcessingStrategy]:
        """The project's own and the built-in `universal_rag`, which one of the same name replaces."""
        own = [] if self.rag is None else self.rag.data_processing_strategies
        return own if any(entry.name == BUILT_IN_STRATEGY for entry in own) else [built_in_strategy(), *own]

    def strategy(self, name: str | None = None) -> DataProcessingStrategy:
        """By name; None gives `universal_rag`. Raises NotFoundError that lists the known ones."""
        wanted = name or BUILT_IN_STRATEGY
        for entry in self.strategies:
            if entry.name == wanted:
                return entry
        known = ", ".join(entry.name for entry in self.strategies)
        raise NotFoundError(f"Data processing strategy '{wanted}' not found. Available: {known}")

    def dataset(self, name: str) -> DatasetConfig:
        for entry in self.datasets:
            if entry.name == name:
                return entry
        raise NotFoundError(f"Dataset {name} not found")

    def prompts_for(self, model: ModelConfig) -> list[dict[str, str]]:
        """Messages of the sets that the model names, in its order; of every set when it names none."""
        sets: dict[str, PromptSet] = {entry.name: entry for entry in self.prompts}
        chosen = [sets[name] for name in model.prompts] if model.prompts else self.prompts
        return [message for entry in chosen for message in entry.as_messages()]

    def mcp_servers_for(self, model: ModelConfig) -> list[McpServer]:
        """The servers that the model names; every one when it does not say, none for an empty list."""
        servers = [] if self.mcp is None else self.mcp.servers
        return servers if model.mcp_servers is None else [each for each in servers if each.name in model.mcp_servers]

    def warnings(self) -> list[str]:
        """Sentences on what is ignored, unknown or points nowhere; nothing here stops the project from working."""
        found = [*unknown_keys(self), *self.runtime.notes(), *self._mcp_notes()]
        if self.rag is not None:
            found += self.rag.notes()
        return found + [note for index, entry in enumerate(self.datasets) for note in self._dataset_notes(index, entry)]

    def _mcp_notes(self) -> list[str]:
        servers = [] if self.mcp is None else self.mcp.servers
        names = [server.name for server in servers]
        found = [] if self.mcp is None else self.mcp.notes()
        found += _repeated("mcp.servers", names)
        return found + [
            f"runtime.models: model '{model.name}' names the MCP server '{name}', which is not under mcp.servers"
            for model in self.runtime.models
            for name in model.mcp_servers or ()
            if name not in names
        ]

    def _dataset_notes(self, index: int, entry: DatasetConfig) -> list[str]:
        path, found = f"datasets[{index}]", []
        if not DATASET_NAME.fullmatch(entry.name):
            found.append(f"{path}.name = '{entry.name}': a dataset made now may hold only letters, digits, _ and -")
        if entry.database not in [database.name for database in self.databases]:
            found.append(f"{path}.database = '{entry.database}': no database has this name")
        if entry.data_processing_strategy not in [strategy.name for strategy in self.strategies]:
            found.append(f"{path}.data_processing_strategy = '{entry.data_processing_strategy}': no such strategy")
        return found


def _repeated(section: str, names: list[str]) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    return [f"{section}: the name '{name}' is used more than once; each must be unique" for name in twice]
