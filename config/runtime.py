"""The `runtime` section: which language models a project may use, in every form it was ever written."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from config.section import Options, Section
from rag.errors import BadRequestError
from rag.llms import llms

_NEEDS_MODEL_ID = frozenset({"openai", "lemonade", "universal"})


def _known_provider(name: str) -> str:
    if name not in llms:
        raise PydanticCustomError("one_of", "not known", {"expected": ", ".join(llms.names)})
    return name


Provider = Annotated[str, AfterValidator(_known_provider), WithJsonSchema({"type": "string", "enum": llms.names})]

LEGACY_MODEL_NAME = "default"


class ToolConfig(Section):
    """A tool a model may call, in the flat form."""

    type: Literal["function"] = Field(description="The one kind there is.")
    name: str = Field(description="What the model calls it by.")
    description: str = Field(description="When to call it, for the model.")
    parameters: dict[str, Any] = Field(description="JSON schema of its arguments.")


class ModelConfig(Section):
    """One entry of `runtime.models`."""

    without_effect: ClassVar[dict[str, str]] = {
        "prompt_format": "accepted, has no effect",
        "lemonade": "accepted, has no effect: set base_url instead",
        "instructor_mode": "accepted, has no effect",
        "encoder_config": "accepted, has no effect",
        "keep_loaded": "accepted, has no effect: the model's server decides what it keeps",
    }

    name: str = Field(min_length=1, description="The id that clients send as `model`.")
    provider: Provider = Field(description="Which kind of server answers; `extractive` needs none.")
    model: str = Field(
        "", description="The provider's model id; `ollama` may leave it out and `extractive` needs none."
    )
    description: str | None = Field(None, description="Shown in listings.")
    base_url: str | None = Field(None, description="The server's address; default: the provider's.")
    api_key: str | None = Field(None, repr=False, description="The server's key; `${VAR}` reads the environment.")
    instructor_mode: str | None = Field(None, description="Mode of structured output: tools, json or md_json.")
    model_api_parameters: Options = Field(
        default_factory=dict, description="Request parameters such as temperature, top_p, max_tokens."
    )
    extra_body: Options = Field(
        default_factory=dict, description="Provider's own parameters such as n_ctx; they win over a request's."
    )
    prompts: list[str] = Field(default_factory=list, description="Prompt sets to use, in order; none: all of them.")
    mcp_servers: list[str] | None = Field(None, description="MCP servers to use; absent: all, empty: none.")
    tool_call_strategy: Literal["native_api", "prompt_based"] = Field(
        "native_api", description="How the model is told of tools; prompt_based suits models without tool calls."
    )
    tools: list[ToolConfig] = Field(default_factory=list)
    encoder_config: Options = Field(default_factory=dict, description="Accepted, has no effect.")
    keep_loaded: bool = Field(False, description="Whether the model stays in memory.")
    rag_enabled: bool | None = Field(None, description="Whether chat retrieves when the request does not say.")
    target_database: str | None = Field(None, description="Database of chat when the request names none.")
    default: bool = Field(False, description="Used when neither the request nor `default_model` names a model.")

    @model_validator(mode="before")
    @classmethod
    def _model_id(cls, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("model"):
            return value
        provider = value.get("provider")
        if provider in _NEEDS_MODEL_ID:
            raise ValueError(f"model is missing; accepted: the id of a model that the {provider} server offers")
        return {**value, "model": "extractive" if provider == "extractive" else ""}


class RuntimeConfig(Section):
    """Models and which one answers by default; flat and mapped forms are turned into the list when read."""

    without_effect: ClassVar[dict[str, str]] = dict.fromkeys(
        ("provider", "model", "base_url", "api_key", "instructor_mode", "model_api_parameters"),
        "ignored: the list `models` wins over the flat form",
    )

    default_model: str | None = Field(None, description="Name of the model used when a request names none.")
    models: list[ModelConfig] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        return with_model_list(value) if isinstance(value, dict) else value

    def model(self, name: str | None = None) -> ModelConfig:
        """By name, then by the provider's model id; None gives the default.

        Raises:
            BadRequestError: no such model (lists the known ones), or no model at all.
        """
        if not self.models:
            raise BadRequestError(
                "no model is configured: add one under runtime.models in llamafarm.yaml, "
                "for example {name: default, provider: ollama, model: 'llama3.2:3b'}"
            )
        name = name or self.default_model
        if name is None:
            return next((model for model in self.models if model.default), self.models[0])
        for key in ("name", "model"):
            for model in self.models:
                if getattr(model, key) == name:
                    return model
        known = ", ".join(model.name for model in self.models)
        raise BadRequestError(f"Model '{name}' not found. Available: {known}")

    def notes(self) -> list[str]:
        names = [model.name for model in self.models]
        found = [f"runtime.models: the name '{name}' is used {names.count(name)} times; the first one answers to it"
                 for name in sorted({name for name in names if names.count(name) > 1})]  # fmt: skip
        if self.default_model is not None and self.models and self.default_model not in names:
            found.append(f"runtime.default_model = '{self.default_model}': no model has this name")
        return found


_FLAT_KEYS = frozenset(ModelConfig.model_fields) - {"name", "default", "description"}


def is_flat(runtime: dict[str, Any]) -> bool:
    """Whether `runtime` names one model directly instead of a list."""
    return not runtime.get("models") and bool(runtime.get("provider") or runtime.get("model"))


def with_model_list(runtime: dict[str, Any], *, keep_flat: bool = False) -> dict[str, Any]:
    """A copy in the list form; `keep_flat` leaves the flat keys beside it, as API answers do."""
    models = runtime.get("models")
    if is_flat(runtime):
        flat = {key: entry for key, entry in runtime.items() if key in _FLAT_KEYS}
        rest = runtime if keep_flat else {key: entry for key, entry in runtime.items() if key not in flat}
        entry = {"name": LEGACY_MODEL_NAME, **flat}
        return {"default_model": LEGACY_MODEL_NAME, **rest, "models": [entry]}
    if isinstance(models, dict):
        named = [_named(name, entry) for name, entry in models.items()]
        return {**runtime, "models": named}
    return runtime


def _named(name: str, entry: Any) -> Any:
    return {**entry, "name": name} if isinstance(entry, dict) else entry
