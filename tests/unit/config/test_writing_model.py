"""Which model of a project writes, and how much of a text it reads at once."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from config.models import ProjectModels
from config.project import ProjectConfig
from config.settings import Settings
from config.writing_model import MAX_ANSWER_TOKENS, MAX_PART_CHARS, WritingModel
from rag.errors import BadRequestError, InvalidInputError, UpstreamError
from rag.llms.base import Delta, LLMRequest
from rag.llms.scripted import ScriptedLLM

QUOTES = {"name": "quotes", "provider": "extractive"}
LOCAL = {"name": "local", "provider": "ollama", "model": "m"}
LARGE = {"name": "large", "provider": "ollama", "model": "n"}


def a_model(
    *models: Mapping[str, Any],
    window: int | None = None,
    wanted: str | None = None,
    llm: ScriptedLLM | None = None,
) -> WritingModel:
    parsed = {"version": "v1", "name": "p", "namespace": "llamacloud", "runtime": {"models": list(models)}}
    config = ProjectConfig.parse(parsed)
    used = llm or ScriptedLLM(ScriptedLLM.Options())
    used.window_tokens = window
    return WritingModel.of(config, ProjectModels(config, Settings(_env_file=None), lambda _model: used), wanted)


def test_the_default_model_writes_unless_another_of_the_project_is_named() -> None:
    assert a_model(LOCAL, LARGE).name == "local"
    assert a_model(LOCAL, LARGE, wanted="large").name == "large"
    assert a_model(LOCAL, LARGE, wanted="openai-gpt-4-1").name == "local"


def test_a_model_that_only_quotes_is_refused_with_what_to_configure() -> None:
    with pytest.raises(BadRequestError, match=r"'quotes' only quotes.*llamacloud/p, put a model.*default_model"):
        a_model(QUOTES, LOCAL)
    assert a_model(QUOTES, LOCAL, wanted="local").name == "local"


def test_no_model_at_all_is_refused() -> None:
    with pytest.raises(BadRequestError, match="no model is configured"):
        a_model()


def test_parts_leave_room_for_schema_and_answer() -> None:
    small, large = a_model(LOCAL, window=4_096), a_model(LOCAL, window=200_000)
    assert small.answer_tokens == 1_365
    assert 3_000 < small.part_chars({}) < (4_096 - 1_365) * 3
    assert (large.answer_tokens, large.part_chars({})) == (MAX_ANSWER_TOKENS, MAX_PART_CHARS)
    with pytest.raises(InvalidInputError, match="data_schema is too long for the model 'local'"):
        small.part_chars({"description": "x" * 10_000})


def test_an_answer_may_be_as_long_as_its_room() -> None:
    llm = ScriptedLLM(ScriptedLLM.Options(deltas=("{}",)))
    model = a_model(LOCAL, window=4_096, llm=llm)
    assert model.ask("Read.", "text", {"type": "object"}) == "{}"
    (request,) = llm.requests
    assert request.sampling.max_tokens == model.answer_tokens
    wanted = {"name": "answer", "schema": {"type": "object"}}
    assert request.response_format == {"type": "json_schema", "json_schema": wanted}


class NoSchemas(ScriptedLLM):
    """Refuses what other servers write by."""

    async def stream(self, request: LLMRequest) -> AsyncIterator[Delta]:
        if request.response_format is not None:
            raise BadRequestError("response_format is not supported")
        async for delta in super().stream(request):
            yield delta


def test_a_server_that_knows_no_schemas_is_asked_without() -> None:
    llm = NoSchemas(ScriptedLLM.Options(deltas=("{}",)))
    assert a_model(LOCAL, llm=llm).ask("Read.", "text", {"type": "object"}) == "{}"


def test_a_server_that_is_away_is_not_asked_twice() -> None:
    llm = ScriptedLLM(ScriptedLLM.Options(error="away"))
    with pytest.raises(UpstreamError, match="away"):
        a_model(LOCAL, llm=llm).ask("Read.", "text", {"type": "object"})
    assert len(llm.requests) == 1
