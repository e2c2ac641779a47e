"""The models of a project as retrieval strategies ask them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from config.models import ProjectModels
from config.project import ProjectConfig
from config.settings import Settings
from rag.errors import BadRequestError, InvalidInputError, UpstreamError
from rag.llms.base import Delta, LLMRequest


class OneLLM:
    """Says `answer` in two pieces, after `delay_s`."""

    model = "one"
    window_tokens = None
    calls_tools = True

    def __init__(self, answer: str = "", delay_s: float = 0.0) -> None:
        self.answer = answer
        self.delay_s = delay_s
        self.requests: list[LLMRequest] = []
        self.is_closed = False

    async def stream(self, request: LLMRequest) -> AsyncIterator[Delta]:
        self.requests.append(request)
        await asyncio.sleep(self.delay_s)
        half = len(self.answer) // 2
        yield Delta(content=self.answer[:half])
        yield Delta(content=self.answer[half:], finish_reason="stop")

    async def aclose(self) -> None:
        self.is_closed = True


def models(llm: OneLLM | None = None, **model: Any) -> ProjectModels:
    entry = {"name": "main", "provider": "universal", "model": "m", **model}
    config = ProjectConfig.parse({"version": "v1", "name": "p", "namespace": "n", "runtime": {"models": [entry]}})
    return ProjectModels(config, Settings(_env_file=None), lambda _model: llm or OneLLM())


def test_a_model_is_asked_once_and_its_client_closed() -> None:
    llm = OneLLM('["a", "b"]')
    assert models(llm).ask("main", "Split this.", "What?", timeout_s=5) == '["a", "b"]'
    (request,) = llm.requests
    assert [message["content"] for message in request.messages] == ["Split this.", "What?"]
    assert request.sampling.temperature == 0
    assert llm.is_closed


def test_a_model_that_takes_too_long_is_an_upstream_error() -> None:
    llm = OneLLM("late", delay_s=5)
    with pytest.raises(UpstreamError, match=r"model 'main' gave no answer within 0.05 s"):
        models(llm).ask("main", "Split this.", "What?", timeout_s=0.05)
    assert llm.is_closed


def test_a_model_that_refuses_is_as_one_that_is_away() -> None:
    class Refusing(OneLLM):
        async def stream(self, request: LLMRequest) -> AsyncIterator[Delta]:
            raise BadRequestError("the model is not installed")
            yield Delta()

    llm = Refusing()
    with pytest.raises(UpstreamError, match="the model is not installed"):
        models(llm).ask("main", "Split this.", "What?", timeout_s=5)
    assert llm.is_closed


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(BadRequestError, match=r"Model 'other' not found\. Available: main"):
        models().ask("other", "", "", timeout_s=1)
    with pytest.raises(BadRequestError, match=r"Model 'other' not found\. Available: main"):
        models().reranker("other", timeout_s=1)


def test_a_reranker_must_not_lead_to_a_forbidden_address() -> None:
    with pytest.raises(InvalidInputError, match="never a model server"):
        models(base_url="http://169.254.169.254").reranker("main", timeout_s=1)


def test_a_provider_without_a_server_cannot_rerank() -> None:
    with pytest.raises(BadRequestError, match="it has no base_url"):
        models(provider="extractive").reranker("main", timeout_s=1)
