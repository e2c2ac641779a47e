"""Any server that speaks OpenAI's chat completions: OpenAI, vLLM, LM Studio, llama.cpp, LlamaFarm's own runtimes."""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import openai
from openai.types.chat import ChatCompletionChunk

from rag.errors import BadRequestError, RagError, ToolsRefusedError, UpstreamError
from rag.llms.base import Delta, FinishReason, LLMRequest, Usage
from rag.llms.options import ProviderOptions, is_loopback
from rag.llms.prompted_tools import stream_prompted
from rag.llms.thinking import ThinkSplitter, generation_limit

DEFAULT_BASE_URL = "https://api.openai.com/v1"
MAX_RETRY_AFTER_S = 86_400
TOOLS_REFUSED = frozenset({400, 404, 422, 500, 501})
"""Servers agree on no status for it: vLLM has 400, OpenRouter 404, llama.cpp 500."""
_TOOLS = re.compile(r"\btools?\b|function[ _-]call", re.IGNORECASE)
_LACKING = re.compile(r"support|requires?\b|enabled\b|permitted|unrecogni[sz]ed|unknown|unavailable", re.IGNORECASE)
FINISH_REASONS: Mapping[str, FinishReason] = {
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}


class OpenAILLM:
    """One server and one model; connections are kept and shared by all requests. Nothing is retried."""

    class Options(ProviderOptions):
        base_url: str | None = DEFAULT_BASE_URL

    def __init__(self, options: Options) -> None:
        self.model = options.model
        self.calls_tools = True
        self.url = options.base_url or DEFAULT_BASE_URL
        self._options = options
        window = options.extra_body.get("n_ctx")
        self.window_tokens: int | None = int(window) if window else None
        self._client = openai.AsyncOpenAI(
            base_url=self.url,
            # Stated, so that a key of the process's environment cannot reach an address that a config names.
            api_key=options.api_key or "none",
            max_retries=0,
            timeout=openai.Timeout(options.timeout_s, connect=options.connect_timeout_s),
            http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False, trust_env=not is_loopback(self.url)),
        )

    def stream(self, request: LLMRequest) -> AsyncIterator[Delta]:
        if self._options.tool_call_strategy == "prompt_based" and request.tools and request.tool_choice != "none":
            return stream_prompted(self._stream, request)
        return self._stream(request)

    async def _stream(self, request: LLMRequest) -> AsyncIterator[Delta]:
        reader = _Reader()
        with self._translated(request):
            completions = cast("Any", self._client.chat.completions)
            async with await completions.create(**self._parameters(request)) as chunks:
                async for chunk in chunks:
                    for delta in reader.read(chunk):
                        yield delta
            last = reader.last()
            if last is not None:
                yield last
                return
        raise UpstreamError(f"the LLM server at {self.url} ended the answer of '{self.model}' before it was complete")

    async def aclose(self) -> None:
        await self._client.close()

    def _parameters(self, request: LLMRequest) -> dict[str, Any]:
        sampling = request.sampling
        # OpenAI itself has renamed the limit and refuses the old name for newer models; others know only the old one.
        limit_name = "max_completion_tokens" if "api.openai.com" in self.url else "max_tokens"
        stated = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            limit_name: generation_limit(request),
            "frequency_penalty": sampling.frequency_penalty,
            "presence_penalty": sampling.presence_penalty,
            "seed": sampling.seed,
            "stop": list(sampling.stop) or None,
            "tools": [dict(tool) for tool in request.tools] or None,
            "tool_choice": request.tool_choice if request.tools else None,
            "response_format": request.response_format,
        }
        beyond = {
            **request.extra,
            "top_k": sampling.top_k,
            "n_ctx": sampling.n_ctx,
            "think": request.think or None,
            "thinking_budget": request.thinking_budget if request.think else None,
            **self._options.extra_body,
        }
        return {
            "model": self.model,
            "messages": [dict(message) for message in request.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            "extra_body": {key: value for key, value in beyond.items() if value is not None},
            **{key: value for key, value in stated.items() if value is not None},
        }

    @contextmanager
    def _translated(self, request: LLMRequest) -> Iterator[None]:
        try:
            yield
        except openai.APIStatusError as error:
            raise self._refused(error, has_tools=bool(request.tools)) from error
        except openai.APITimeoutError as error:
            raise UpstreamError(
                f"the LLM server at {self.url} sent nothing for {self._options.timeout_s:g} s while answering "
                f"with '{self.model}'; LF_LLM_TIMEOUT_S sets the limit"
            ) from error
        except openai.APIConnectionError as error:
            reason = str(error.__cause__ or error)
            raise UpstreamError(
                f"the LLM server at {self.url} does not answer or hung up ({reason}): start it or set base_url"
            ) from error
        except openai.OpenAIError as error:
            raise UpstreamError(f"the LLM server at {self.url} failed while answering: {error}") from error
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise UpstreamError(f"the LLM server at {self.url} sent a line that is not part of an answer") from error

    def _refused(self, error: openai.APIStatusError, *, has_tools: bool) -> RagError:
        said = _said(error)
        if has_tools and error.status_code in TOOLS_REFUSED and _TOOLS.search(said) and _LACKING.search(said):
            return ToolsRefusedError(
                f"the LLM server at {self.url} takes no tools for '{self.model}': set tool_call_strategy: prompt_based "
                f"for it in llamafarm.yaml, or ask with tool_choice 'none'; it said: {said}"
            )
        if error.status_code in (400, 422):
            return BadRequestError(f"the LLM server at {self.url} refused the request for '{self.model}': {said}")
        remedy = {
            401: "set the model's api_key in llamafarm.yaml",
            403: "the model's api_key may not use it",
            404: f"check that base_url ends where the API begins and that the model '{self.model}' exists there",
            429: "it is busy or the quota is used up; try again later",
            503: "it is busy or still starting; try again later",
        }.get(error.status_code, "try again later")
        refusal = UpstreamError(f"the LLM server at {self.url} answered {error.status_code}: {said}; {remedy}")
        refusal.retry_after = _seconds(error.response.headers.get("retry-after", ""))
        return refusal


def _seconds(text: str) -> int | None:
    """Of a `Retry-After` of a day at most; its other form, a date, depends on two clocks and is left out."""
    return int(text) if re.fullmatch("[0-9]{1,5}", text) and 0 < int(text) <= MAX_RETRY_AFTER_S else None


class _Reader:
    """Chunks → deltas; the finish reason is kept for the end, as the usage comes in a chunk of its own after it."""

    def __init__(self) -> None:
        self._splitter = ThinkSplitter()
        self._finish_reason: FinishReason | None = None
        self._usage: Usage | None = None

    def read(self, chunk: ChatCompletionChunk) -> Iterator[Delta]:
        if chunk.usage is not None:
            self._usage = Usage(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
        for choice in (chunk.choices or ())[:1]:
            content, thinking = self._splitter.feed(choice.delta.content or "")
            calls = tuple(call.model_dump(exclude_none=True) for call in choice.delta.tool_calls or ())
            delta = Delta(content=content, thinking=_reasoning(choice.delta) + thinking, tool_calls=calls)
            if delta != Delta():
                yield delta
            if choice.finish_reason is not None:
                self._finish_reason = FINISH_REASONS.get(choice.finish_reason, "stop")

    def last(self) -> Delta | None:
        if self._finish_reason is None:
            return None
        content, thinking = self._splitter.flush()
        return Delta(content=content, thinking=thinking, finish_reason=self._finish_reason, usage=self._usage)


def _said(error: openai.APIStatusError) -> str:
    """The server's own words, in whichever shape: `error` as text or object, `message`, `detail`."""
    body: Any = error.body
    if isinstance(body, Mapping):
        body = body.get("message") or body.get("detail")
    text = body if isinstance(body, str) and body.strip() else error.message
    return text.strip()[:500]


def _reasoning(delta: Any) -> str:
    """Thinking beside the content, under the names that servers have given it."""
    for name in ("reasoning_content", "reasoning"):
        text = getattr(delta, name, None)
        if isinstance(text, str):
            return text
    return ""
