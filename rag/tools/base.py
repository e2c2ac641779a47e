"""The tool source role: something that offers tools and runs them. Asynchronous, because tools take their time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Tool:
    """What a model is told about a tool; `parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool said, as text for the model. An error of the tool is a result, too: the model can react to it."""

    text: str
    is_error: bool = False


class ToolSource(Protocol):
    """Raises UpstreamError when the source cannot be reached, breaks off or takes longer than its limit.

    Cancelling a call stops the tool, as far as the source can be told. After `aclose` nothing of it is left running.
    """

    name: str

    async def tools(self) -> Sequence[Tool]: ...

    async def call(self, tool_name: str, arguments: Mapping[str, Any]) -> ToolResult: ...

    async def aclose(self) -> None: ...
