"""A cross-encoder behind `POST {base}/v1/rerank`: LlamaFarm's runtimes, vLLM, llama.cpp, Infinity, text-embeddings …"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import orjson
from pydantic import Field

from rag.errors import UpstreamError
from rag.llms.options import is_loopback
from rag.registry import ComponentOptions

CONNECT_TIMEOUT_S = 2.0


class RemoteReranker:
    class Options(ComponentOptions):
        model: str = Field(min_length=1, description="The server's model id.")
        base_url: str = Field(description="The server's address, with or without /v1.")
        api_key: str | None = Field(None, repr=False, description="The server's key.")
        timeout_s: float = Field(60.0, gt=0, description="Seconds until a request is abandoned.")

    def __init__(self, options: Options) -> None:
        self._options = options
        self._url = f"{options.base_url.rstrip('/').removesuffix('/v1').rstrip('/')}/v1/rerank"

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        if not texts:
            return []
        body = {"model": self._options.model, "query": query, "documents": list(texts), "return_documents": False}
        return self._scores(self._post(body), len(texts))

    def _post(self, body: Mapping[str, Any]) -> Any:
        options = self._options
        headers = {"Authorization": f"Bearer {options.api_key}"} if options.api_key else {}
        timeout = httpx.Timeout(options.timeout_s, connect=CONNECT_TIMEOUT_S)
        try:
            with httpx.Client(timeout=timeout, trust_env=not is_loopback(self._url)) as client:
                response = client.post(
                    self._url, content=orjson.dumps(body), headers={**headers, "content-type": "application/json"}
                )
        except httpx.HTTPError as error:
            raise UpstreamError(f"the rerank server at {self._url} does not answer ({type(error).__name__})") from error
        if response.status_code != 200:
            said = response.text[:200]
            raise UpstreamError(f"the rerank server at {self._url} answered {response.status_code}: {said}")
        try:
            return orjson.loads(response.content)
        except orjson.JSONDecodeError as error:
            raise UpstreamError(f"the rerank server at {self._url} sent something that is not JSON") from error

    def _scores(self, answer: Any, count: int) -> list[float]:
        """From `data` (LlamaFarm) or `results` (Cohere, Jina): entries of index and relevance_score, in any order."""
        entries = answer.get("data") or answer.get("results") if isinstance(answer, Mapping) else None
        scores: dict[int, float] = {}
        for entry in entries if isinstance(entries, list) else []:
            index, score = (entry.get("index"), entry.get("relevance_score")) if isinstance(entry, dict) else (None, 0)
            if isinstance(index, int) and isinstance(score, int | float) and math.isfinite(score):
                scores[index] = float(score)
        if sorted(scores) != list(range(count)):
            raise UpstreamError(
                f"the rerank server at {self._url} gave {len(scores)} usable scores for {count} texts; check that the "
                f"model '{self._options.model}' is a reranker"
            )
        return [scores[index] for index in range(count)]
