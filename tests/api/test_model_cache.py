import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from huggingface_hub import constants
from starlette.testclient import TestClient

from rag.embedders import weights
from rag.embedders.weights import DEFAULT_MODEL
from rag.errors import OverloadedError, UpstreamError
from rag.model_cache import ModelCache
from rag.model_hub import Hub
from server.services.hub_models import ChildDownload, HubModels
from server.services.model_cache import MAX_DOWNLOADS, ModelCacheService
from tests.api.conftest import MakeClient
from tests.api.helpers import assert_error, assert_ok
from tests.fixtures.fake_hub import FakeHub, Files, put_into_cache
from tests.fixtures.fake_ollama import FakeOllama

MODEL: Files = {
    "config.json": b'{"a": 1}',
    "model.safetensors": b"w" * 400_000,
    "pytorch_model.bin": b"never loaded",
    "onnx/model.onnx": b"for others",
}
GGUF: Files = {
    "tiny-Q4_K_M.gguf": b"4" * 4_000,
    "tiny-Q8_0-00001-of-00002.gguf": b"8" * 5_000,
    "tiny-Q8_0-00002-of-00002.gguf": b"8" * 3_000,
    "tiny.IQ2_XXS.gguf": b"2" * 2_000,
    "mmproj-tiny-F16.gguf": b"picture",
    "README.md": b"text",
}


@pytest.fixture(scope="module")
def running_hub() -> Iterator[FakeHub]:
    with FakeHub({"org/model": MODEL, "org/tiny-gguf": GGUF, "org/empty": {}}) as hub:
        yield hub


@pytest.fixture
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    return folder


@pytest.fixture
def hub(running_hub: FakeHub, cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    """The hub that this process and the ones it starts ask; nothing is cached."""
    monkeypatch.setattr(constants, "ENDPOINT", running_hub.url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    running_hub.delay_s, running_hub.is_broken, running_hub.fetched = 0.0, False, []
    return running_hub


@pytest.fixture
def ollama() -> Iterator[FakeOllama]:
    with FakeOllama(models=["llama3.2:3b", "gone:latest"]) as server:
        yield server


def events_of(response: Any) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in response.text.splitlines() if line and not line.startswith(":")]
    assert all(line.startswith("data: {") for line in lines)
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def download(client: TestClient, name: str, **more: str) -> list[dict[str, Any]]:
    return events_of(client.post("/v1/models/download", json={"model_name": name, **more}))


def listed(client: TestClient, **params: str) -> dict[str, dict[str, Any]]:
    body = assert_ok(client.get("/v1/models", params=params))
    assert body["object"] == "list"
    return {entry["id"]: entry for entry in body["data"]}


# -- Hugging Face's cache -----------------------------------------------------------------------------------


def test_cached_models_are_listed_in_every_shape_that_clients_read(client_with_cache: TestClient) -> None:
    entry = listed(client_with_cache)["org/cached"]
    assert entry["model_id"] == entry["name"] == entry["id"]
    assert entry["size"] == entry["size_bytes"] == 1_500_000
    assert entry["size_human"] == "1.4MB"
    assert entry["revisions"] == ["main"]
    assert entry["last_modified"].endswith("Z")
    assert entry["path"].endswith("models--org--cached")
    assert entry["object"] == "model"
    assert isinstance(entry["created"], int)
    assert entry["owned_by"] == "org"


@pytest.fixture
def client_with_cache(make_client: MakeClient, cache_folder: Path) -> TestClient:
    put_into_cache(cache_folder, "org/cached", {"weights.bin": b"x" * 1_500_000})
    return make_client()


def test_bundled_weights_are_listed_and_cannot_be_deleted(client_with_cache: TestClient) -> None:
    entry = listed(client_with_cache)[DEFAULT_MODEL]
    assert entry["bundled"] is True
    assert entry["size_bytes"] > 10_000_000
    assert Path(entry["path"]).is_dir()
    assert_error(client_with_cache.delete(f"/v1/models/{DEFAULT_MODEL}"), 400, "is bundled")
    assert DEFAULT_MODEL in listed(client_with_cache)


@pytest.mark.parametrize("path", ["org/cached", "org%2Fcached", "org/cached:Q4_K_M"])
def test_deleting_removes_the_model_from_disk(client_with_cache: TestClient, cache_folder: Path, path: str) -> None:
    deleted = assert_ok(client_with_cache.delete(f"/v1/models/{path}"))
    assert deleted == {
        "model_name": "org/cached",
        "revisions_deleted": 1,
        "size_freed": 1_500_000,
        "path": str(cache_folder / "models--org--cached"),
    }
    assert not (cache_folder / "models--org--cached").exists()
    assert "org/cached" not in listed(client_with_cache)
    assert_error(client_with_cache.delete(f"/v1/models/{path}"), 404, "org/cached", code="ModelNotFound")


def test_deletion_that_fails_is_told(client_with_cache: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("huggingface_hub.utils._cache_manager.shutil.rmtree", refuse)
    assert_error(client_with_cache.delete("/v1/models/org/cached"), 503, "could not be deleted")
    assert "org/cached" in listed(client_with_cache)


@pytest.mark.parametrize("name", ["..", "../../etc", "%2e%2e%2f%2e%2e%2fetc", "a--b", "a/b/c", "/etc/passwd", "x%00y"])
def test_names_that_are_none_delete_nothing(client_with_cache: TestClient, cache_folder: Path, name: str) -> None:
    before = sorted(cache_folder.rglob("*"))
    assert client_with_cache.delete(f"/v1/models/{name}").status_code in (400, 404, 405)
    assert sorted(cache_folder.rglob("*")) == before


def test_provider_without_a_store_here_is_refused(client: TestClient) -> None:
    assert_error(client.get("/v1/models", params={"provider": "openai"}), 400, "universal, ollama")
    assert_error(client.get("/v1/models", params={"provider": "other"}), 422)
    assert_error(client.delete("/v1/models/x", params={"provider": "lemonade"}), 400)


# -- downloads from the hub ---------------------------------------------------------------------------------


def test_download_tells_its_progress_and_ends_with_complete_and_done(hub: FakeHub, make_client: MakeClient) -> None:
    client = make_client()
    events = download(client, "org/model")
    assert events[0] == {
        "event": "init",
        "model_id": "org/model",
        "quantization": None,
        "selected_file": None,
        "total_size": 400_008,
        "is_gguf": False,
        "file_count": 2,
    }
    names = [event["event"] for event in events]
    assert names[1:] == ["start", "progress", "end", "start", "progress", "end", "complete", "done"]
    progress = events[5]
    assert (progress["file"], progress["downloaded"], progress["percent"]) == ("model.safetensors", 400_000, 100)
    assert all(type(progress[key]) is int for key in ("downloaded", "total", "percent", "bytes_per_sec", "eta_seconds"))
    assert events[-2] == {"event": "complete", "model_name": "org/model"}
    assert (Path(events[-1]["local_dir"]) / "model.safetensors").stat().st_size == 400_000
    assert sorted(hub.fetched) == ["config.json", "model.safetensors"]
    assert listed(client)["org/model"]["size_bytes"] == 400_008


def test_what_is_cached_is_not_fetched_again(hub: FakeHub, make_client: MakeClient) -> None:
    client = make_client()
    download(client, "org/model")
    hub.fetched.clear()
    events = download(client, "org/model")
    assert {"event": "cached", "file": "config.json", "size": 8} in events
    assert events[-1]["event"] == "done"
    assert hub.fetched == []


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("org/tiny-gguf", ["tiny-Q4_K_M.gguf"]),
        ("org/tiny-gguf:q8_0", ["tiny-Q8_0-00001-of-00002.gguf", "tiny-Q8_0-00002-of-00002.gguf"]),
        ("org/tiny-gguf:IQ2_XXS", ["tiny.IQ2_XXS.gguf"]),
    ],
)
def test_one_variant_of_a_gguf_model_is_fetched(
    hub: FakeHub, make_client: MakeClient, name: str, files: list[str]
) -> None:
    events = download(make_client(), name)
    assert events[0]["is_gguf"] is True
    assert events[0]["selected_file"] == files[0]
    assert sorted(hub.fetched) == files


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("org/missing", "not on the hub"),
        ("org/tiny-gguf:Q9", "IQ2_XXS, Q4_K_M, Q8_0"),
        ("org/model:Q4_K_M", "no GGUF model"),
        ("org/empty", "no files"),
    ],
)
def test_what_the_hub_does_not_have_is_an_error_event(
    hub: FakeHub, make_client: MakeClient, name: str, words: str
) -> None:
    (event,) = download(make_client(), name)
    assert event["event"] == "error"
    assert words in event["message"]


def test_hub_that_fails_is_an_error_event(hub: FakeHub, make_client: MakeClient) -> None:
    hub.is_broken = True
    (event,) = download(make_client(), "org/model")
    assert event["event"] == "error"
    assert "try again later" in event["message"]


def test_without_network_the_error_says_why(make_client: MakeClient, cache_folder: Path) -> None:
    client = make_client()
    (event,) = download(client, "org/model")
    assert event["event"] == "error"
    assert "HF_HUB_OFFLINE" in event["message"]
    check = assert_ok(client.post("/v1/models/validate-download", json={"model_name": "org/model"}))
    assert check["can_download"] is False
    assert "HF_HUB_OFFLINE" in check["message"]
    assert_error(client.get("/v1/models/org/model/quantizations"), 503, "HF_HUB_OFFLINE")


def test_the_bundled_model_is_there_already(make_client: MakeClient, cache_folder: Path) -> None:
    events = download(make_client(), DEFAULT_MODEL)
    assert [event["event"] for event in events] == ["complete", "done"]
    assert any(Path(events[-1]["local_dir"]).glob("*.safetensors"))


@pytest.mark.parametrize("name", ["../x", "a/b/c", "x y", "git+ssh://host/x", "a--b", "http://host/a"])
def test_names_that_no_model_has_are_refused(hub: FakeHub, make_client: MakeClient, name: str) -> None:
    client = make_client()
    assert_error(client.post("/v1/models/download", json={"model_name": name}), 400, "not the name of a model")
    assert_error(client.post("/v1/models/validate-download", json={"model_name": name}), 400)


def test_disk_too_small_is_refused_before_anything_is_sent(
    hub: FakeHub, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.services.disk.shutil.disk_usage", lambda _: (1_000_000_000, 600_000_000, 400_000_000))
    client = make_client()
    assert_error(client.post("/v1/models/download", json={"model_name": "org/model"}), 400, "'org/model' needs 390.6KB")
    check = assert_ok(client.post("/v1/models/validate-download", json={"model_name": "org/model"}))
    assert check["can_download"] is False
    assert hub.fetched == []


def test_a_download_that_fits_is_approved(hub: FakeHub, make_client: MakeClient, cache_folder: Path) -> None:
    check = assert_ok(make_client().post("/v1/models/validate-download", json={"model_name": "org/model"}))
    assert check["can_download"] is True
    assert check["required_bytes"] == 400_008
    assert check["available_bytes"] == check["cache_info"]["free_bytes"] > 0
    assert check["cache_info"]["path"] == str(cache_folder)
    assert set(check["system_info"]) == {"total_bytes", "used_bytes", "free_bytes", "path", "percent_free"}


def test_low_disk_space_is_a_warning(hub: FakeHub, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.services.disk.shutil.disk_usage", lambda _: (10**12, 10**12 - 10**10, 10**10))
    events = download(make_client(), "org/model")
    assert events[0]["event"] == "warning"
    assert events[-1]["event"] == "done"


def test_quantizations_are_listed_with_their_sizes(hub: FakeHub, make_client: MakeClient) -> None:
    client = make_client()
    options = assert_ok(client.get("/v1/models/org/tiny-gguf/quantizations"))["options"]
    assert [(each["quantization"], each["size_bytes"]) for each in options] == [
        ("IQ2_XXS", 2_000),
        ("Q4_K_M", 4_000),
        ("Q8_0", 8_000),
    ]
    assert options[2] == {
        "filename": "tiny-Q8_0-00001-of-00002.gguf",
        "quantization": "Q8_0",
        "size_bytes": 8_000,
        "size_human": "7.8KB",
    }
    assert assert_ok(client.get("/v1/models/org%2Fmodel/quantizations")) == {"options": []}
    assert_error(client.get("/v1/models/org/missing/quantizations"), 404, "org/missing", code="ModelNotFound")


def test_leaving_stops_the_download_and_leaves_nothing_behind(hub: FakeHub, cache_folder: Path) -> None:
    hub.delay_s = 5.0

    async def leave_early() -> int:
        models = HubModels(ModelCache(cache_folder), Hub(endpoint=hub.url), system_path=cache_folder)
        stream = await models.download("org/model")
        assert isinstance(stream, ChildDownload)
        async for event in stream:
            if json.loads(event)["event"] == "start":
                break
        assert stream._process is not None
        while not hub.fetched:
            await asyncio.sleep(0.01)
        await stream.aclose()
        return stream._process.pid

    pid = asyncio.run(leave_early())
    assert not psutil.pid_exists(pid)
    assert list(cache_folder.rglob("*.incomplete")) == []


def test_modules_in_the_folder_that_the_server_was_started_in_are_not_run(
    hub: FakeHub, cache_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "huggingface_hub.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)

    async def last() -> str:
        models = HubModels(ModelCache(cache_folder), Hub(endpoint=hub.url), system_path=cache_folder)
        return [event async for event in await models.download("org/model")][-1]

    assert json.loads(asyncio.run(last()))["event"] == "done"


def test_two_downloads_of_a_model_fetch_it_once(hub: FakeHub, cache_folder: Path) -> None:
    hub.delay_s = 0.1

    async def downloaded(models: HubModels) -> str:
        return [event async for event in await models.download("org/model")][-1]

    async def both() -> list[str]:
        models = HubModels(ModelCache(cache_folder), Hub(endpoint=hub.url), system_path=cache_folder)
        return await asyncio.gather(downloaded(models), downloaded(models))

    assert [json.loads(event)["event"] for event in asyncio.run(both())] == ["done", "done"]
    assert hub.fetched.count("model.safetensors") == 1


def test_more_downloads_than_the_limit_are_429(
    make_client: MakeClient, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.services.model_cache.MAX_DOWNLOADS", 0)
    refused = make_client().post("/v1/models/download", json={"model_name": "org/model"})
    assert_error(refused, 429, "try again")
    assert int(refused.headers["retry-after"]) > 0


class SlowToBegin:
    """A provider that takes a while to answer whether it has a model."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.is_closed = False

    async def download(self, name: str) -> "SlowToBegin":
        await asyncio.sleep(0.01)
        if self.error is not None:
            raise self.error
        return self

    async def __aiter__(self) -> AsyncIterator[str]:
        yield "an event"

    async def aclose(self) -> None:
        self.is_closed = True


def test_downloads_that_are_asked_for_at_the_same_moment_count() -> None:
    source: Any = SlowToBegin()
    models = ModelCacheService(source, source)

    async def run() -> list[Any]:
        asked = (models.download("ollama", "x") for _ in range(20))
        found = await asyncio.gather(*asked, return_exceptions=True)
        for each in found:
            if not isinstance(each, BaseException):
                await each.aclose()  # also one that was never read makes room
        assert [event async for event in await models.download("ollama", "x")] == ["an event"]
        return found

    found = asyncio.run(run())
    assert sum(isinstance(each, OverloadedError) for each in found) == 20 - MAX_DOWNLOADS


def test_downloads_that_cannot_begin_make_room_for_others() -> None:
    source: Any = SlowToBegin(UpstreamError("the hub does not answer"))
    models = ModelCacheService(source, source)
    for _ in range(MAX_DOWNLOADS + 1):
        with pytest.raises(UpstreamError, match="the hub"):
            asyncio.run(models.download("ollama", "x"))  # type: ignore[arg-type]  # a coroutine


def test_model_that_was_deleted_is_not_taken_for_one_that_is_there(cache_folder: Path) -> None:
    """Another process may delete what this one has found before."""
    files = {"modules.json": b"[]", "config.json": b"{}", "model.safetensors": b"w"}
    put_into_cache(cache_folder, "org/embedder", files)
    assert weights.locate("org/embedder").folder.is_dir()
    ModelCache(cache_folder).delete("org/embedder")
    with pytest.raises(UpstreamError, match="not on this machine"):
        weights.locate("org/embedder")


# -- Ollama -------------------------------------------------------------------------------------------------


def test_models_of_ollama_are_listed(make_client: MakeClient, ollama: FakeOllama) -> None:
    entry = listed(make_client(ollama_host=ollama.url), provider="ollama")["llama3.2:3b"]
    assert (entry["provider"], entry["size_bytes"], entry["size_human"]) == ("ollama", 1_000, "1000B")
    assert entry["last_modified"].startswith("2025-01-01T00:00:00")


def test_pull_through_ollama_tells_its_progress(make_client: MakeClient, ollama: FakeOllama) -> None:
    ollama.behave()
    events = download(make_client(ollama_host=ollama.url), "llama3.2:3b", provider="ollama")
    assert events[0]["event"] == "init"
    start = {"event": "start", "file": "sha256:abc", "total": 1_000, "downloaded": 0}
    assert events[1] == start
    assert {"event": "end", "file": "sha256:abc", "downloaded": 1_000, "total": 1_000} in events
    assert [event["event"] for event in events[-2:]] == ["complete", "done"]
    progress = [event for event in events if event["event"] == "progress"]
    assert progress[-1]["percent"] == 100
    assert all(type(event["bytes_per_sec"]) is int for event in progress)
    assert ollama.requests("/api/pull")[0]["body"] == {"model": "llama3.2:3b", "stream": True}


@pytest.mark.parametrize(
    ("behaviour", "name", "words"),
    [
        ({}, "missing:1b", "model 'missing:1b' not found"),
        ({"pull_error": "no space left"}, "llama3.2:3b", "no space left"),
        ({"refuse": True}, "llama3.2:3b", "does not answer"),
    ],
)
def test_pull_that_fails_ends_with_an_error_event(
    make_client: MakeClient, ollama: FakeOllama, behaviour: dict[str, Any], name: str, words: str
) -> None:
    ollama.behave(**behaviour)
    event = download(make_client(ollama_host=ollama.url), name, provider="ollama")[-1]
    assert event["event"] == "error"
    assert words in event["message"]


def test_model_of_ollama_is_deleted(make_client: MakeClient, ollama: FakeOllama) -> None:
    client = make_client(ollama_host=ollama.url)
    deleted = assert_ok(client.delete("/v1/models/gone", params={"provider": "ollama"}))
    assert deleted == {"model_name": "gone:latest", "revisions_deleted": 1, "size_freed": 1_000, "path": ""}
    assert set(listed(client, provider="ollama")) == {"llama3.2:3b"}
    refusal = client.delete("/v1/models/gone", params={"provider": "ollama"})
    assert_error(refusal, 404, "llama3.2:3b", code="ModelNotFound")


def test_ollama_that_is_down_is_told(make_client: MakeClient, ollama: FakeOllama) -> None:
    ollama.behave(refuse=True)
    client = make_client(ollama_host=ollama.url)
    assert_error(client.get("/v1/models", params={"provider": "ollama"}), 503, "Ollama does not answer")
    assert_error(client.delete("/v1/models/x", params={"provider": "ollama"}), 503, "Ollama does not answer")


def test_validation_for_ollama_says_what_a_pull_would_do(make_client: MakeClient, ollama: FakeOllama) -> None:
    client = make_client(ollama_host=ollama.url)

    def check(name: str) -> tuple[bool, str]:
        body = {"model_name": name, "provider": "ollama"}
        found = assert_ok(client.post("/v1/models/validate-download", json=body))
        return found["can_download"], found["message"]

    assert check("gone") == (True, "Ollama has 'gone'; a pull fetches what changed since")
    can_download, message = check("qwen3:8b")
    assert can_download
    assert "would pull 'qwen3:8b'" in message
    assert ollama.requests("/api/pull") == []
    ollama.behave(refuse=True)
    can_download, message = check("qwen3:8b")
    assert not can_download
    assert "Ollama does not answer" in message


@pytest.mark.parametrize(("provider", "status"), [("openai", 400), ("lemonade", 400), ("bogus", 422)])
def test_validation_for_who_keeps_no_models_is_refused(make_client: MakeClient, provider: str, status: int) -> None:
    body = {"model_name": "org/model", "provider": provider}
    assert_error(make_client().post("/v1/models/validate-download", json=body), status, "ollama")


def test_list_is_answered_with_a_slash_at_its_end_too(make_client: MakeClient, cache_folder: Path) -> None:
    client = make_client()
    assert assert_ok(client.get("/v1/models/")) == assert_ok(client.get("/v1/models"))
