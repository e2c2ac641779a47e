"""A model of a project that writes data of a given shape, for whoever needs more than quotes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from config.models import ProjectModels
from config.project import ProjectConfig
from rag.errors import BadRequestError, InvalidInputError, UpstreamError

MAX_ANSWER_TOKENS = 4_096
USUAL_WINDOW_TOKENS = 16_384
"""Where nobody says how much a model reads at once."""
PROMPT_TOKENS = 600
CHARS_PER_TOKEN = 3
MIN_PART_CHARS, MAX_PART_CHARS = 1_000, 24_000
TIMEOUT_S = 900.0


@dataclass(frozen=True, slots=True)
class WritingModel:
    """`name` is one of runtime.models."""

    models: ProjectModels
    name: str
    window_tokens: int

    @classmethod
    def of(cls, config: ProjectConfig, models: ProjectModels, wanted: str | None = None) -> "WritingModel":
        """
        Args:
            wanted: a model's name; one that the project does not have means the default model.

        Raises:
            BadRequestError: there is none, or it only quotes; says what to configure.
        """
        known = {each.name for each in config.runtime.models}
        model = config.model(wanted if wanted in known else None)
        if model.provider == "extractive":
            raise BadRequestError(
                f"the model '{model.name}' only quotes files and cannot write: in the llamafarm.yaml of the project "
                f"{config.namespace}/{config.name}, put a model that writes under runtime.models (for example "
                "{name: ollama, provider: ollama, model: 'qwen3:8b'}) and name it in runtime.default_model"
            )
        return cls(models, model.name, models.window_tokens(model.name) or USUAL_WINDOW_TOKENS)

    @property
    def answer_tokens(self) -> int:
        return min(MAX_ANSWER_TOKENS, self.window_tokens // 3)

    def part_chars(self, schema: Mapping[str, Any]) -> int:
        """How much of a text fits beside the schema and the answer.

        Raises:
            InvalidInputError: hardly anything.
        """
        schema_tokens = len(orjson.dumps(schema)) // CHARS_PER_TOKEN
        room = (self.window_tokens - self.answer_tokens - PROMPT_TOKENS - schema_tokens) * CHARS_PER_TOKEN
        if room < MIN_PART_CHARS:
            raise InvalidInputError(
                f"data_schema is too long for the model '{self.name}', which reads {self.window_tokens} tokens at "
                "once: shorten it, or raise n_ctx in the model's extra_body"
            )
        return min(room, MAX_PART_CHARS)

    def ask(self, instruction: str, text: str, schema: Mapping[str, Any]) -> str:
        """Raises UpstreamError when the model's server fails."""
        return self.asking(TIMEOUT_S, instruction, text, schema)

    def asking(self, timeout_s: float, instruction: str, text: str, schema: Mapping[str, Any]) -> str:
        """The instruction has to describe the answer as well: some servers know no schemas and refuse the request."""
        try:
            return self._asked(timeout_s, instruction, text, schema)
        except UpstreamError as error:
            if not isinstance(error.__cause__, BadRequestError):
                raise
        return self._asked(timeout_s, instruction, text, None)

    def _asked(self, timeout_s: float, instruction: str, text: str, schema: Mapping[str, Any] | None) -> str:
        return self.models.ask(
            self.name, instruction, text, timeout_s=timeout_s, schema=schema, max_tokens=self.answer_tokens
        )
