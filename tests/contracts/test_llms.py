"""What every LLM provider promises, the fakes included."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import pytest

from rag.errors import BadRequestError, UpstreamError
from rag.llms import llms
from rag.llms.base import LLM, Delta, LLMRequest, Sampling
from rag.types import Hit
from tests.fixtures.fake_ollama import FakeOllama

QUESTION = "Where does the heron nest in spring?"
HIT = Hit("1", "The heron nests in the old alder. It feeds at dusk.", 0.8, "birds/abc", "g1", {"filename": "birds.txt"})

REMOTE = ["ollama", "openai", "lemonade", "universal"]
LOCAL = ["scripted", "extractive"]


@pytest.fixture(scope="module")
def server() -> Iterator[FakeOllama]:
    with FakeOllama() as ollama:
        yield ollama


@dataclass
class Provider:
    """How a test builds the provider at hand."""

    name: str
    server: FakeOllama
    values: dict[str, Any] = field(default_factory=dict)

    def build(self, **values: Any) -> LLM:
        return llms.build(self.name, {"model": "llama3.2:3b", "base_url": self.url, **self.values, **values})

    @property
    def url(self) -> str:
        return self.server.url if self.name == "ollama" else f"{self.server.url}/v1"


@pytest.fixture(params=[*REMOTE, *LOCAL])
def provider(request: pytest.FixtureRequest, server: FakeOllama) -> Provider:
    server.behave()
    return Provider(request.param, server)


@pytest.fixture(params=REMOTE)
def remote(request: pytest.FixtureRequest, server: FakeOllama) -> Provider:
    server.behave()
    return Provider(request.param, server)


def ask(text: str = QUESTION, **values: Any) -> LLMRequest:
    return LLMRequest(messages=({"role": "user", "content": text},), hits=(HIT,), **values)


def play(llm: LLM, request: LLMRequest) -> tuple[list[Delta], Exception | None]:
    """The deltas of an answer and what ended it."""

    async def collect() -> tuple[list[Delta], Exception | None]:
        deltas: list[Delta] = []
        try:
            async for delta in llm.stream(request):
                deltas.append(delta)
        except (UpstreamError, BadRequestError) as error:
            return deltas, error
        finally:
            await llm.aclose()
        return deltas, None

    return asyncio.run(collect())


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.content for delta in deltas)


def test_every_name_in_the_table_is_covered() -> None:
    assert set(llms) == {*REMOTE, *LOCAL}


def test_deltas_concatenate_to_the_answer_and_the_finish_reason_comes_last(provider: Provider) -> None:
    deltas, error = play(provider.build(), ask())

    assert error is None
    assert text_of(deltas) == QUESTION or "The heron nests in the old alder." in text_of(deltas)
    assert [delta.finish_reason for delta in deltas if delta.finish_reason] == ["stop"]
    assert deltas[-1].finish_reason == "stop"


def test_equal_requests_get_equal_answers(provider: Provider) -> None:
    assert play(provider.build(), ask())[0] == play(provider.build(), ask())[0]


def test_the_model_is_the_providers_id(provider: Provider) -> None:
    assert provider.build().model == "llama3.2:3b"


def test_an_unknown_option_is_refused_by_name(provider: Provider) -> None:
    with pytest.raises(Exception, match="option 'modell' is not known"):
        provider.build(modell="x")


def test_the_last_delta_counts_tokens(remote: Provider) -> None:
    deltas, _ = play(remote.build(), ask("one two three"))

    assert deltas[-1].usage is not None
    assert deltas[-1].usage.completion_tokens == 3


def test_a_refused_connection_fails_within_two_seconds_naming_address_and_remedy(remote: Provider) -> None:
    remote.server.behave(refuse=True)
    started_at = time.monotonic()
    try:
        deltas, error = play(remote.build(), ask())
    finally:
        remote.server.behave()

    assert time.monotonic() - started_at < 2
    assert deltas == []
    assert isinstance(error, UpstreamError)
    assert remote.url in str(error)
    assert "start it" in str(error)


@pytest.mark.parametrize("failure", ["die_mid_stream", "garbage_line", "end_without_done"])
def test_a_failure_in_mid_stream_comes_after_the_deltas(remote: Provider, failure: str) -> None:
    if failure == "end_without_done" and remote.name != "ollama":
        remote.server.behave(die_mid_stream=2)
    else:
        remote.server.behave(**{failure: 2})

    deltas, error = play(remote.build(), ask("one two three four"))

    assert text_of(deltas) == "one two"
    assert isinstance(error, UpstreamError)
    assert remote.url in str(error)


def test_a_server_that_goes_silent_is_given_up(remote: Provider) -> None:
    remote.server.behave(delay_token_s=30)
    deltas, error = play(remote.build(timeout_s=0.2), ask("one two"))

    assert text_of(deltas) == "one"
    assert isinstance(error, UpstreamError)
    assert "0.2 s" in str(error)


def test_the_environments_proxy_is_not_asked_for_a_local_server(
    remote: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert play(remote.build(), ask("one two"))[1] is None


def test_a_key_of_the_environment_does_not_leave_it(remote: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OLLAMA_API_KEY"):
        monkeypatch.setenv(name, "sk-of-the-operator")
    play(remote.build(), ask())
    assert "sk-of-the-operator" not in str(remote.server.requests()[-1]["headers"])

    play(remote.build(api_key="sk-configured"), ask())
    assert remote.server.requests()[-1]["headers"]["authorization"] == "Bearer sk-configured"


def test_a_busy_server_is_named_as_busy(remote: Provider) -> None:
    remote.server.behave(busy_503=True)
    _, error = play(remote.build(), ask())

    assert isinstance(error, UpstreamError)
    assert "busy" in str(error)


def test_closing_the_stream_stops_the_server_within_a_second(remote: Provider) -> None:
    remote.server.behave(delay_token_s=0.05, answer="word " * 500)
    gone_before = len(remote.server.departures())

    async def leave_early() -> None:
        llm = remote.build()
        async with aclosing(llm.stream(ask())) as deltas:  # type: ignore[type-var]  # every one is a generator
            await anext(deltas)
            await anext(deltas)
        await llm.aclose()

    started_at = time.monotonic()
    asyncio.run(leave_early())

    assert remote.server.wait_until(lambda: len(remote.server.departures()) > gone_before, timeout_s=1)
    assert time.monotonic() - started_at < 1.5


def test_cancelling_before_the_first_delta_stops_the_server_within_a_second(remote: Provider) -> None:
    remote.server.behave(hang=True)
    gone_before = len(remote.server.departures())

    async def give_up() -> None:
        llm = remote.build()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(llm.stream(ask())), 0.3)  # type: ignore[arg-type]  # a coroutine
        await llm.aclose()

    asyncio.run(give_up())

    assert remote.server.wait_until(lambda: len(remote.server.departures()) > gone_before, timeout_s=1)


def test_a_scripted_failure_comes_after_its_deltas() -> None:
    llm = llms.build("scripted", {"deltas": ["a", "b", "c"], "error": "gone", "error_after": 2})
    deltas, error = play(llm, ask())

    assert text_of(deltas) == "ab"
    assert isinstance(error, UpstreamError)
    assert str(error) == "gone"


def test_a_missing_model_says_how_to_get_it(remote: Provider) -> None:
    _, error = play(remote.build(model="missing-model"), ask())

    assert isinstance(error, UpstreamError)
    assert ("ollama pull missing-model" if remote.name == "ollama" else "missing-model") in str(error)


TOOL = {
    "type": "function",
    "function": {
        "name": "count_birds",
        "description": "Counts birds.",
        "parameters": {"type": "object", "properties": {"kind": {"type": "string"}}},
    },
}


def test_a_tool_call_comes_with_id_name_and_arguments_and_ends_as_one(remote: Provider) -> None:
    remote.server.behave(tool_call={"name": "count_birds", "arguments": {"kind": "heron"}})
    deltas, error = play(remote.build(), ask(tools=(TOOL,)))

    calls = [call for delta in deltas for call in delta.tool_calls]
    assert error is None
    assert calls[0]["id"]
    assert calls[0]["function"]["name"] == "count_birds"
    assert "".join(call["function"].get("arguments", "") for call in calls).replace(" ", "") == '{"kind":"heron"}'
    assert deltas[-1].finish_reason == "tool_calls"
    assert remote.server.requests()[-1]["body"]["tools"][0]["function"]["name"] == "count_birds"


@pytest.mark.parametrize("behaviour", ["think", "inline_think"])
def test_thinking_is_apart_from_the_answer(remote: Provider, behaviour: str) -> None:
    remote.server.behave(**{behaviour: "it is an alder"})
    deltas, _ = play(remote.build(), ask("one two", think=True))

    assert "".join(delta.thinking for delta in deltas) == "it is an alder"
    assert text_of(deltas) == "one two"


def test_a_limit_cuts_the_answer_and_says_so(remote: Provider) -> None:
    deltas, _ = play(remote.build(), ask("one two three", sampling=Sampling(max_tokens=2)))

    assert text_of(deltas) == "one two"
    assert deltas[-1].finish_reason == "length"


def test_thinking_does_not_take_from_the_answer(remote: Provider) -> None:
    play(remote.build(), ask(think=True, thinking_budget=100, sampling=Sampling(max_tokens=20)))
    body = remote.server.requests()[-1]["body"]

    assert (body["options"]["num_predict"] if remote.name == "ollama" else body["max_tokens"]) == 120


def test_sampling_reaches_the_server_and_nulls_do_not(remote: Provider) -> None:
    play(remote.build(), ask(sampling=Sampling(temperature=0.25, top_k=7, stop=("END",))))
    body = remote.server.requests()[-1]["body"]
    seen = body["options"] if remote.name == "ollama" else body

    assert (seen["temperature"], seen["top_k"], seen["stop"]) == (0.25, 7, ["END"])
    assert None not in seen.values()


def test_configured_extra_body_wins_over_the_request(remote: Provider) -> None:
    play(remote.build(extra_body={"n_ctx": 2048}), ask(sampling=Sampling(n_ctx=999)))
    body = remote.server.requests()[-1]["body"]

    assert (body["options"]["num_ctx"] if remote.name == "ollama" else body["n_ctx"]) == 2048


@pytest.mark.parametrize("make_url", [lambda url: url, lambda url: f"{url}/v1", lambda url: f"{url}/v1/"],
                         ids=["plain", "v1", "v1-slash"])  # fmt: skip
def test_ollama_takes_its_address_with_or_without_v1(server: FakeOllama, make_url: Callable[[str], str]) -> None:
    server.behave()
    llm = llms.build("ollama", {"model": "m", "base_url": make_url(server.url)})

    assert play(llm, ask("hi"))[1] is None
    assert server.requests()[-1]["path"] == "/api/chat"
