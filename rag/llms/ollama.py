"""Ollama by its native `/api/chat`: there `num_ctx`, `think`, `format` and `tools` work."""

import json
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, cast

import httpx
import ollama

from rag.errors import BadRequestError, RagError, ToolsRefusedError, UpstreamError
from rag.llms.base import Delta, FinishReason, LLMRequest, Usage
from rag.llms.formats import wanted_format
from rag.llms.ollama_wire import DEFAULT_NUM_CTX, ollama_messages, ollama_options, ollama_tools
from rag.llms.options import ProviderOptions, is_loopback
from rag.llms.prompted_tools import stream_prompted
from rag.llms.thinking import ThinkSplitter

DEFAULT_BASE_URL = "http://localhost:11434"
TOP_LEVEL_KEYS = ("keep_alive",)
"""Parameters that stand beside `options` in a request, not in it."""


class OllamaLLM:
    """One Ollama server and one model; connections are kept and shared by all requests."""

    class Options(ProviderOptions):
        base_url: str | None = DEFAULT_BASE_URL

    def __init__(self, options: Options) -> None:
        self.model = options.model
        self.calls_tools = True
        self.url = (options.base_url or DEFAULT_BASE_URL).rstrip("/").removesuffix("/v1")
        self._options = options
        extra = options.extra_body
        self.window_tokens: int | None = int(extra.get("num_ctx") or extra.get("n_ctx") or DEFAULT_NUM_CTX)
        self._client = ollama.AsyncClient(
            self.url,
            timeout=httpx.Timeout(options.timeout_s, connect=options.connect_timeout_s),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            follow_redirects=False,
            trust_env=not is_loopback(self.url),
            # A key of the process's environment must not reach an address that a project's config names.
            headers={"authorization": f"Bearer {options.api_key or 'ollama'}"},
        )

    def stream(self, request: LLMRequest) -> AsyncIterator[Delta]:
        if self._options.tool_call_strategy == "prompt_based" and request.tools and request.tool_choice != "none":
            return stream_prompted(self._stream, request)
        return self._stream(request)

    async def _stream(self, request: LLMRequest) -> AsyncIterator[Delta]:
        reader = _Reader()
        with self._translated():
            parts = await self._open(request)
            async with aclosing(parts):
                async for part in parts:
                    for delta in reader.read(part):
                        yield delta
                        if delta.finish_reason is not None:
                            return
        raise UpstreamError(f"Ollama at {self.url} ended the answer of '{self.model}' before it was complete")

    async def aclose(self) -> None:
        await cast("Any", self._client).close()

    async def _open(self, request: LLMRequest) -> Any:
        """An asynchronous generator of chat responses: the package's annotation hides its `aclose`."""
        options = ollama_options(request, self._options.extra_body)
        beside = {key: options.pop(key) for key in TOP_LEVEL_KEYS if key in options}
        # `think` is always stated: left out, a model that can think does so unasked.
        return await cast("Any", self._client.chat)(
            model=self.model,
            messages=ollama_messages(request.messages),
            tools=ollama_tools(request.tools) if request.tool_choice != "none" else None,
            stream=True,
            think=options.pop("think", request.think),
            format=wanted_format(request.response_format),
            options=options,
            **beside,
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except RagError:
            raise
        except ollama.ResponseError as error:
            raise self._refused(error) from error
        except (httpx.ConnectError, httpx.ConnectTimeout, ConnectionError) as error:
            raise UpstreamError(
                f"Ollama does not answer at {self.url}: start it with `ollama serve` or set base_url"
            ) from error
        except httpx.TimeoutException as error:
            raise UpstreamError(
                f"Ollama at {self.url} sent nothing for {self._options.timeout_s:g} s while answering "
                f"with '{self.model}'; LF_LLM_TIMEOUT_S sets the limit"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UpstreamError(f"the connection to Ollama at {self.url} broke: {_reason(error)}") from error
        except (ValueError, AttributeError, TypeError) as error:
            # The client parses every line itself; a line that is not a JSON object of the chat fails in these ways.
            raise UpstreamError(f"Ollama at {self.url} sent a line that is not part of an answer") from error

    def _refused(self, error: ollama.ResponseError) -> RagError:
        status, said = error.status_code, str(error.error).strip()[:500]
        if "model" in said and "not found" in said:
            return UpstreamError(
                f"Ollama at {self.url} does not have the model '{self.model}': run `ollama pull {self.model}`"
            )
        if "does not support tools" in said:
            return ToolsRefusedError(
                f"the model '{self.model}' at {self.url} cannot call tools: set tool_call_strategy: prompt_based for "
                "it in llamafarm.yaml, or ask with tool_choice 'none'"
            )
        if status in (400, 422):
            return BadRequestError(f"Ollama refused the request for '{self.model}': {said}")
        if status in (429, 503):
            return UpstreamError(f"Ollama at {self.url} is busy: {said}; try again later")
        about = f" (status {status})" if status > 0 else ""
        return UpstreamError(f"Ollama at {self.url} failed while answering with '{self.model}'{about}: {said}")


class _Reader:
    """Chat responses → deltas."""

    def __init__(self) -> None:
        self._splitter = ThinkSplitter()
        self._call_count = 0

    def read(self, part: ollama.ChatResponse) -> Iterator[Delta]:
        message = part.message
        content, thinking = self._splitter.feed(message.content or "")
        if part.done:
            rest, more_thinking = self._splitter.flush()
            content, thinking = content + rest, thinking + more_thinking
        delta = Delta(
            content=content,
            thinking=(message.thinking or "") + thinking,
            tool_calls=tuple(self._call(call) for call in message.tool_calls or ()),
        )
        if delta != Delta():
            yield delta
        if part.done:
            yield Delta(finish_reason=self._finish_reason(part.done_reason), usage=_usage(part))

    def _call(self, call: ollama.Message.ToolCall) -> dict[str, Any]:
        index = self._call_count
        self._call_count += 1
        arguments = json.dumps(dict(call.function.arguments), ensure_ascii=False, separators=(",", ":"))
        function = {"name": call.function.name, "arguments": arguments}
        return {"index": index, "id": f"call_{uuid.uuid4().hex[:24]}", "type": "function", "function": function}

    def _finish_reason(self, done_reason: str | None) -> FinishReason:
        if done_reason == "length":
            return "length"
        return "tool_calls" if self._call_count else "stop"


def _usage(part: ollama.ChatResponse) -> Usage | None:
    """Ollama leaves the prompt's count out when it had the prompt in its cache: then there is nothing to report."""
    if part.prompt_eval_count is None or part.eval_count is None:
        return None
    return Usage(part.prompt_eval_count, part.eval_count)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
