"""The models of a project as its retrieval strategies ask them."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from config.environment import expand_env
from config.project import ProjectConfig
from config.providers import provider_defaults
from config.runtime import ModelConfig
from config.settings import Settings
from config.urls import check_url
from rag.errors import BadRequestError, UpstreamError
from rag.llms.base import LLM, LLMRequest, Sampling
from rag.rerankers.base import Reranker
from rag.rerankers.remote import RemoteReranker

MAX_ANSWER_TOKENS = 800


class ProjectModels:
    """Builds what it is asked for anew each time: the configuration it was made with may be an old one soon.

    Args:
        build_llm: a client of its own for a model, which is closed afterwards.
    """

    def __init__(self, config: ProjectConfig, settings: Settings, build_llm: Callable[[ModelConfig], LLM]) -> None:
        self._config = config
        self._settings = settings
        self._build_llm = build_llm

    def reranker(self, name: str, *, timeout_s: float) -> Reranker:
        """Raises BadRequestError: no such model, or one whose provider has no server."""
        model = self._config.model(name)
        settings = self._settings
        given: Mapping[str, Any] = expand_env(
            model.model_dump(include={"model", "base_url", "api_key"}, exclude_none=True),
            allowed=settings.project_variables,
        )
        values = {**given, **provider_defaults(model, settings)}
        if not values.get("base_url"):
            raise BadRequestError(f"Model '{name}' cannot rerank: it has no base_url, which a rerank model needs")
        if model.base_url:
            check_url(str(values["base_url"]), settings=settings)
        chosen = {key: values[key] for key in ("model", "base_url", "api_key") if values.get(key)}
        return RemoteReranker(RemoteReranker.Options(**chosen, timeout_s=timeout_s))

    def window_tokens(self, name: str | None) -> int | None:
        """How many tokens of question and answer fit; None when nobody said."""
        llm = self._build_llm(self._config.model(name))
        try:
            return llm.window_tokens
        finally:
            asyncio.run(llm.aclose())

    def ask(
        self,
        name: str | None,
        instruction: str,
        question: str,
        *,
        timeout_s: float,
        schema: Mapping[str, Any] | None = None,
        max_tokens: int = MAX_ANSWER_TOKENS,
    ) -> str:
        """One answer, waited for in this thread, which must not run an event loop of its own."""
        model = self._config.model(name)
        name = model.name
        if model.provider == "extractive":
            raise UpstreamError(f"model '{name}' only quotes files and cannot write")
        llm = self._build_llm(model)
        messages = ({"role": "system", "content": instruction}, {"role": "user", "content": question})
        wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}} if schema else None
        sampling = Sampling(temperature=0.0, max_tokens=max_tokens)
        request = LLMRequest(messages, sampling, response_format=wanted)
        try:
            return asyncio.run(_answer(llm, request, timeout_s))
        except TimeoutError as error:
            raise UpstreamError(f"model '{name}' gave no answer within {timeout_s:g} s") from error
        except BadRequestError as error:  # of its server: the name is known, so that going on without it helps
            raise UpstreamError(error.message) from error


async def _answer(llm: LLM, request: LLMRequest, timeout_s: float) -> str:
    try:
        async with asyncio.timeout(timeout_s):
            return "".join([delta.content async for delta in llm.stream(request)])
    finally:
        await llm.aclose()
