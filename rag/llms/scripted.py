"""A deterministic LLM that says what it was told to: for tests, demonstrations and trying a client out."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from pydantic import Field

from rag.errors import UpstreamError
from rag.llms.base import Delta, FinishReason, LLMRequest, Usage
from rag.llms.messages import last_user_text
from rag.llms.options import ProviderOptions


class ScriptedLLM:
    """Plays its script for every request; without one it repeats the last user message word by word.

    `requests` holds what it was asked, `open_count` how many answers are under way, and `cancelled_count` how many
    were left before their end.
    """

    class Options(ProviderOptions):
        model: str = "scripted"
        deltas: tuple[str, ...] = Field((), description="Pieces of the answer; empty: repeat the question.")
        thinking: str = Field("", description="Said before the answer when a request thinks.")
        tool_calls: tuple[Mapping[str, Any], ...] = Field((), description="OpenAI tool-call deltas after the text.")
        error: str | None = Field(None, description="Message of the failure to raise.")
        error_after: int = Field(0, ge=0, description="Pieces said before the failure.")
        first_delay_s: float = Field(0.0, ge=0, description="Seconds before the first piece.")
        delay_s: float = Field(0.0, ge=0, description="Seconds before every further piece.")
        finish_reason: FinishReason = "stop"
        counts_tokens: bool = Field(True, description="Whether the last delta carries the usage.")

    def __init__(self, options: Options) -> None:
        self.model = options.model
        self.window_tokens: int | None = None
        self.calls_tools = True
        self.requests: list[LLMRequest] = []
        self.open_count = 0
        self.cancelled_count = 0
        self._options = options

    async def stream(self, request: LLMRequest) -> AsyncIterator[Delta]:
        self.requests.append(request)
        self.open_count += 1
        is_complete = False
        try:
            async for delta in self._played(request):
                is_complete = delta.finish_reason is not None
                yield delta
        except UpstreamError:
            is_complete = True
            raise
        finally:
            self.open_count -= 1
            self.cancelled_count += not is_complete

    async def aclose(self) -> None:
        """Holds nothing."""

    async def _played(self, request: LLMRequest) -> AsyncIterator[Delta]:
        options = self._options
        pieces = options.deltas or _words(last_user_text(request.messages))
        for index, piece in enumerate(pieces):
            await asyncio.sleep(options.delay_s if index else options.first_delay_s)
            self._fail_at(index)
            if options.thinking and request.think and not index:
                yield Delta(thinking=options.thinking)
            yield Delta(content=piece)
        self._fail_at(None)
        for call in options.tool_calls:
            yield Delta(tool_calls=(call,))
        usage = Usage(len(request.messages), len(pieces)) if options.counts_tokens else None
        yield Delta(finish_reason="tool_calls" if options.tool_calls else options.finish_reason, usage=usage)

    def _fail_at(self, index: int | None) -> None:
        options = self._options
        if options.error is not None and (index is None or index >= options.error_after):
            raise UpstreamError(options.error)


def _words(text: str) -> tuple[str, ...]:
    """Words with the space before them; joined they give the text back."""
    first, *others = text.split(" ")
    return (first, *(f" {word}" for word in others))
