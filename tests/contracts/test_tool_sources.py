"""What every tool source promises; each transport against a real MCP server."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from rag.errors import UpstreamError
from rag.tools import tool_sources
from rag.tools.base import ToolResult, ToolSource
from tests.fixtures.mcp_server import STOPPED_FILE, McpServer, stdio_entry

Result = TypeVar("Result")
NAMES = ["add", "echo_env", "slow", "fail", "die", "dotted.name", "header"]


@dataclass
class Transport:
    """How a test builds the source at hand. The one in `shared` stays open from test to test."""

    name: str
    values: dict[str, Any]
    runner: asyncio.Runner
    server: McpServer | None = None
    stopped_file: Path = Path("none")
    shared: ToolSource | None = None

    def run(self, use: Callable[[ToolSource], Awaitable[Result]], **values: Any) -> Result:
        """Use the shared source, or a new one with other values, which is closed again."""

        async def work() -> Result:
            if self.shared is not None and not values:
                return await use(self.shared)
            source = tool_sources.build(self.name, {**self.values, **values})
            try:
                return await use(source)
            finally:
                await source.aclose()

        return self.runner.run(work())

    def was_stopped(self) -> bool:
        return self.stopped_file.exists() if self.server is None else self.server.record.stopped > 0


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def transports(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Transport]]:
    stopped_file = tmp_path_factory.mktemp("mcp") / "stopped"
    entry = stdio_entry(env={STOPPED_FILE: str(stopped_file), "GREETING": "hello"})
    del entry["transport"]
    with McpServer("http") as http, McpServer("sse") as sse:
        found = {
            "stdio": Transport("stdio", entry, runner, stopped_file=stopped_file),
            "http": Transport("http", {"name": "far", "base_url": http.url}, runner, http),
            "sse": Transport("sse", {"name": "far", "base_url": sse.url}, runner, sse),
        }
        for each in found.values():
            each.shared = tool_sources.build(each.name, each.values)
        yield found
        for each in found.values():
            assert each.shared is not None
            runner.run(each.shared.aclose())


@pytest.fixture(params=["stdio", "http", "sse"])
def transport(request: pytest.FixtureRequest, transports: dict[str, Transport]) -> Transport:
    found = transports[request.param]
    found.stopped_file.unlink(missing_ok=True)
    if found.server is not None:
        found.server.record.stopped = 0
    return found


def test_every_name_in_the_table_is_covered() -> None:
    assert set(tool_sources) == {"stdio", "http", "sse"}


def test_tools_are_listed_with_description_and_schema(transport: Transport) -> None:
    tools = transport.run(lambda source: source.tools())

    assert [tool.name for tool in tools] == NAMES
    assert tools[0].description == "Adds two numbers."
    assert set(tools[0].parameters["properties"]) == {"a", "b"}


def test_a_call_gives_the_tools_words(transport: Transport) -> None:
    result = transport.run(lambda source: source.call("add", {"a": 2, "b": 3}))
    assert result == ToolResult("5")


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [("fail", {}, "the owl is asleep"), ("nothing", {}, "nothing"), ("add", {"a": "x"}, "valid integer")],
)
def test_a_tool_that_fails_says_so_in_its_result(
    transport: Transport, name: str, arguments: dict[str, Any], words: str
) -> None:
    result = transport.run(lambda source: source.call(name, arguments))

    assert result.is_error
    assert words in result.text


def test_calls_run_side_by_side(transport: Transport) -> None:
    async def use(source: ToolSource) -> float:
        await source.tools()
        started_at = time.monotonic()
        results = await asyncio.gather(*(source.call("slow", {"seconds": 0.4}) for _ in range(4)))
        assert [result.text for result in results] == ["done"] * 4
        return time.monotonic() - started_at

    assert transport.run(use) < 1.2


def test_cancelling_a_call_stops_the_tool_within_a_second_and_leaves_the_session_usable(transport: Transport) -> None:
    async def use(source: ToolSource) -> ToolResult:
        await source.tools()
        call = asyncio.create_task(source.call("slow", {"seconds": 60}))
        await asyncio.sleep(0.3)
        started_at = time.monotonic()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        while not transport.was_stopped():
            assert time.monotonic() - started_at < 1
            await asyncio.sleep(0.01)
        return await source.call("add", {"a": 1, "b": 1})

    assert transport.run(use).text == "2"


def test_a_tool_that_takes_too_long_is_given_up(transport: Transport) -> None:
    async def use(source: ToolSource) -> None:
        await source.tools()
        with pytest.raises(UpstreamError, match=r"gave no answer within 0\.3 s while it ran 'slow' \(LF_MCP_TIMEOUT_S"):
            await source.call("slow", {"seconds": 60})

    transport.run(use, timeout_s=0.3)


def test_a_session_that_broke_is_opened_again(transport: Transport) -> None:
    async def use(source: ToolSource) -> ToolResult:
        assert (await source.call("add", {"a": 1, "b": 1})).text == "2"
        if transport.server is None:
            with pytest.raises(UpstreamError, match="failed while it ran 'die'"):
                await source.call("die", {})
        else:
            await asyncio.to_thread(transport.server.stop)
            await asyncio.to_thread(transport.server.start)
        return await source.call("add", {"a": 2, "b": 2})

    assert transport.run(use).text == "4"


def test_tools_are_listed_again_after_a_while_only(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(source: ToolSource) -> None:
        first = await source.tools()
        assert await source.tools() is first
        monkeypatch.setattr("rag.tools.mcp_source.LISTED_S", 0)
        assert await source.tools() is not first

    transport.run(use)


def test_an_idle_session_closes_itself_and_is_opened_again(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.tools.mcp_session.IDLE_S", 0.1)

    async def use(source: ToolSource) -> ToolResult:
        await source.call("add", {"a": 1, "b": 1})
        session: Any = source._session  # type: ignore[attr-defined]  # nothing else shows it
        async with asyncio.timeout(5):
            await session._ended.wait()
        return await source.call("add", {"a": 1, "b": 2})

    assert transport.run(use, timeout_s=30).text == "3"


def test_a_server_that_is_away_is_named_and_left_alone_for_a_while(transport: Transport) -> None:
    values = {"command": "no-such-program"} if transport.server is None else {"base_url": "http://127.0.0.1:9/x"}

    async def use(source: ToolSource) -> None:
        for most_s in (5, 0.02):
            started_at = time.monotonic()
            with pytest.raises(UpstreamError, match=f"MCP server '{source.name}' .* cannot be used"):
                await source.tools()
            assert time.monotonic() - started_at < most_s

    transport.run(use, **values)


def test_a_program_that_is_no_server_is_given_up(runner: asyncio.Runner) -> None:
    sleeper = Transport("stdio", {"name": "s", "command": "sleep", "args": ["60"]}, runner)
    with pytest.raises(UpstreamError, match=r"it was not ready within 0\.2 s"):
        sleeper.run(lambda source: source.tools(), connect_timeout_s=0.2)


def test_a_program_gets_its_own_variables_and_none_of_the_process(
    transports: dict[str, Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LF_API_KEY", "secret")

    async def use(source: ToolSource) -> list[str]:
        return [(await source.call("echo_env", {"name": name})).text for name in ("GREETING", "LF_API_KEY")]

    assert transports["stdio"].run(use, env={"GREETING": "hi"}) == ["hi", "(not set)"]


@pytest.mark.parametrize("name", ["http", "sse"])
def test_a_key_in_the_address_is_never_shown(transports: dict[str, Transport], name: str) -> None:
    address = transports[name].values["base_url"].replace("/mcp", "/none").replace("/sse", "/none") + "?key=secret"
    with pytest.raises(UpstreamError, match="MCP server 'far'") as caught:
        transports[name].run(lambda source: source.tools(), base_url=address)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["http", "sse"])
def test_headers_are_sent(transports: dict[str, Transport], name: str) -> None:
    result = transports[name].run(lambda source: source.call("header", {"name": "X-Team"}), headers={"X-Team": "owls"})
    assert result.text == "owls"


def test_a_result_without_end_is_cut(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.tools.mcp_source.MAX_RESULT_CHARS", 3)
    result = transport.run(lambda source: source.call("dotted.name", {}))
    assert result.text == "dot\n… (cut: 3 of 6 characters)"
