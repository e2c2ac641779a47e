import asyncio
import json

import pytest

from rag.llms import llms
from rag.llms.base import Delta, LLMRequest
from rag.llms.prompted_tools import stream_prompted, with_described_tools

TOOL = {"type": "function", "function": {"name": "count", "description": "Counts.", "parameters": {"type": "object"}}}
REQUEST = LLMRequest(messages=({"role": "user", "content": "How many?"},), tools=(TOOL,))
CALL = '<tool_call>{"name": "count", "arguments": {"what": "herons"}}</tool_call>'


def play(pieces: list[str]) -> list[Delta]:
    llm = llms.build("scripted", {"deltas": pieces})

    async def collect() -> list[Delta]:
        return [delta async for delta in stream_prompted(llm.stream, REQUEST)]

    return asyncio.run(collect())


@pytest.mark.parametrize("pieces", [[f"Let me see. {CALL}"], [*f"Let me see. {CALL}"]], ids=["whole", "in characters"])
def test_a_call_in_the_text_becomes_a_tool_call(pieces: list[str]) -> None:
    deltas = play(pieces)
    (call,) = [call for delta in deltas for call in delta.tool_calls]

    assert "".join(delta.content for delta in deltas).strip() == "Let me see."
    assert call["function"]["name"] == "count"
    assert json.loads(call["function"]["arguments"]) == {"what": "herons"}
    assert deltas[-1].finish_reason == "tool_calls"


@pytest.mark.parametrize("text", ["Seven.", "a < b", "<tool_call>not JSON</tool_call> so", "<tool_call>{never closed"])
def test_text_that_is_no_call_stays_text(text: str) -> None:
    deltas = play([*text])

    assert "".join(delta.content for delta in deltas) == text
    assert deltas[-1].finish_reason == "stop"


def test_tools_calls_and_results_are_told_in_messages() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "count", "arguments": "{}"}}
    request = LLMRequest(
        messages=(
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "How many?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "content": "7"},
        ),
        tools=(TOOL,),
    )
    told = with_described_tools(request)

    assert told.tools == ()
    assert [message["role"] for message in told.messages] == ["system", "user", "assistant", "user"]
    assert told.messages[0]["content"].startswith("Be brief.")
    assert '"name": "count"' in told.messages[0]["content"]
    assert told.messages[2]["content"] == '<tool_call>{"name": "count", "arguments": {}}</tool_call>'
    assert told.messages[3]["content"] == "<tool_response>7</tool_response>"
