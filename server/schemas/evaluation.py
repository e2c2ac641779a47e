"""Wire models of evaluations."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_GIVEN = 100_000
"""Bounds what is looked at before the server's own limit (LF_EVAL_MAX_QUESTIONS) is named."""


class Synthetic(BaseModel):
    """Questions made from the database's own chunks."""

    model_config = ConfigDict(extra="forbid")

    count: int = Field(200, ge=1, le=MAX_GIVEN, description="Questions to make, at most.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="The same seed over the same chunks gives the same questions.")
    model: str | None = Field(
        None,
        description="A model of the project that writes them, at most 100. Unset: words of sentences, without a model.",
    )


class EvaluationRequest(BaseModel):
    """What is asked, and what is compared. What is in use is always measured too."""

    model_config = ConfigDict(extra="forbid")

    database: str | None = Field(None, description="Default: the project's default database, else its first.")
    questions: list[dict[str, Any]] | None = Field(
        None,
        max_length=MAX_GIVEN,
        description="Each `question` with `expected_files` (names, or `{name: grade}`) or `expected_passages` (texts), "
        "and `id`, `page` or `pages` where wanted.",
    )
    synthetic: Synthetic | None = Field(None, description="Instead of questions: make some.")
    strategies: list[str] = Field(
        default_factory=list,
        max_length=64,
        description="Names of the database's retrieval strategies, or semantic, vector, bm25, keyword, hybrid, mmr. "
        "Default: those of the database, and semantic, keyword, hybrid and mmr.",
    )
    chunkings: list[str] = Field(
        default_factory=list,
        max_length=64,
        description="Names of data processing strategies, or CHUNKER:SIZE:OVERLAP such as `headings:800`: the files "
        "are cut so, in memory. Default: only the chunks that the database holds.",
    )
    k: list[int] = Field(
        default_factory=lambda: [1, 3, 5, 10], min_length=1, max_length=8, description="Depths of recall and hit rate."
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.questions is None) == (self.synthetic is None):
            raise ValueError("give either questions or synthetic")
        if not all(1 <= k <= 100 for k in self.k):
            raise ValueError("k: each is from 1 to 100")
        return self


class EvaluationStarted(BaseModel):
    message: str = "Evaluation started"
    task_uri: str = Field(description="Where the task is polled; its `result` is the report.")
    task_id: str
    question_count: int = Field(description="Questions that will be asked; of synthetic ones, at most.")
    configuration_count: int
