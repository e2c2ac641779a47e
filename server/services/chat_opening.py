"""What is known before the first words of an answer: its sources, and notes on what was left out of it."""

from collections.abc import Iterable, Sequence

from rag.llms.base import LLMRequest
from rag.prompts import estimate_message_tokens
from rag.types import Hit
from server.services.chat_turn import Turn
from server.services.chat_wire import Opening, source_items
from server.services.rag import Found

TOOLS_UNUSED = "tools were not offered: this model only quotes and cannot call any"


def make_opening(
    turn: Turn, request: LLMRequest, found: Found | None, used: Sequence[Hit], notes: Iterable[str]
) -> Opening:
    """Args: used: the hits that are in the prompt; notes: of earlier stages."""
    said, sources = list(notes), None
    if found is not None:
        said += found.retrieval.notes
        left_out = len(found.retrieval.hits) - len(used)
        if left_out:
            said.append(f"{left_out} of {len(found.retrieval.hits)} chunks found did not fit the model's window")
        if turn.request.include_sources:
            sources = source_items(used, turn.request.sources_limit)
    if turn.tools and not turn.llm.calls_tools:
        said.append(TOOLS_UNUSED)
    return Opening(sources, said, sum(estimate_message_tokens(message) for message in request.messages))
