"""Answers with sentences of the retrieved chunks, quoted and cited. Needs no model and no server."""

import re
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence

from pydantic import Field

from rag.errors import BadRequestError
from rag.llms.base import Delta, FinishReason, LLMRequest, Sampling
from rag.llms.messages import last_user_text
from rag.llms.options import ProviderOptions
from rag.llms.quotes import beginning, best_sentences
from rag.prompts import estimate_tokens
from rag.types import Hit

NOTHING_FOUND = (
    "I can only quote from documents, and I was given no passages for this question. "
    "If some were found, the window may have been too small to hold them."
)
QUOTING = "I quote from the documents; no language model is at work here."
CLOSEST = "Nothing in the documents found matches the question. The closest passage, which may not answer it:"


class ExtractiveLLM:
    """Ranks sentences by the question's words they hold, weighted by rarity, and by their chunk's score."""

    class Options(ProviderOptions):
        model: str = "extractive"
        max_sentences: int = Field(3, ge=1, le=20, description="Most sentences quoted in one answer.")

    window_tokens: int | None = None
    calls_tools = False

    def __init__(self, options: Options) -> None:
        self.model = options.model
        self._max_sentences = options.max_sentences

    async def stream(self, request: LLMRequest) -> AsyncIterator[Delta]:
        if (request.response_format or {}).get("type", "text") != "text":
            raise BadRequestError(
                "the extractive answerer quotes and cannot write JSON: leave response_format out or choose a model"
            )
        parts = answer_parts(last_user_text(request.messages), request.hits, self._max_sentences)
        text, finish_reason = _limited("".join(parts), request.sampling)
        start = 0
        for part in parts:
            if content := text[start : start + len(part)]:
                yield Delta(content=content)
            start += len(part)
        yield Delta(finish_reason=finish_reason)

    async def aclose(self) -> None:
        """Holds nothing."""


def answer_parts(question: str, hits: Sequence[Hit], max_sentences: int = 3) -> list[str]:
    """The answer in pieces: an opening that says where it comes from, then one quote per piece."""
    if not hits:
        return [NOTHING_FOUND]
    quotes = best_sentences(question, hits, max_sentences)
    matches = [quote for quote in quotes if quote.is_match]
    opening = QUOTING if matches else f"{QUOTING} {CLOSEST}"
    # Nothing in a quote is escaped: it stands in quotation marks, and its source's number after them.
    shown = matches or quotes[:1] or [beginning(hits)]
    return [opening, *(f"\n\n“{quote.text}” [{quote.number}]" for quote in shown)]


def _limited(text: str, sampling: Sampling) -> tuple[str, FinishReason]:
    """The text up to the first stop sequence, and no more words than `max_tokens` allow."""
    ends = [text.find(stop) for stop in sampling.stop if stop and stop in text]
    text = text[: min(ends, default=len(text))]
    limit = sampling.max_tokens
    if limit is None or estimate_tokens(text) <= limit:
        return text, "stop"
    word_ends = [0, *(match.end() for match in re.finditer(r"\S+", text))]
    fitting = bisect_right(word_ends, limit, key=lambda end: estimate_tokens(text[:end]))
    return text[: word_ends[max(0, fitting - 1)]], "length"
