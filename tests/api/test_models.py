import json

from starlette.testclient import TestClient

from server.parts import Engine
from tests.api.conftest import PROJECT
from tests.api.helpers import assert_ok

MODELS = [
    {"name": "first", "provider": "ollama"},
    {"name": "second", "provider": "universal", "model": "org/m"},
    {"name": "third", "provider": "lemonade", "model": "m"},
    {"name": "quotes", "provider": "extractive"},
]


def listed(client: TestClient, engine: Engine, **runtime: object) -> list[dict[str, object]]:
    folder = engine.settings.projects_dir / "org" / "bot"
    folder.mkdir(parents=True, exist_ok=True)
    config = {**PROJECT, "runtime": {"models": MODELS, **runtime}}
    (folder / "llamafarm.yaml").write_text(json.dumps(config))
    return list(assert_ok(client.get("/v1/projects/org/bot/models"))["models"])


def test_first_model_is_the_default_when_none_is_named(client: TestClient, engine: Engine) -> None:
    assert [model["default"] for model in listed(client, engine)] == [True, False, False, False]


def test_default_that_names_no_model_does_not_stop_the_listing(client: TestClient, engine: Engine) -> None:
    models = listed(client, engine, default_model="none")
    assert [model["default"] for model in models] == [False] * 4


def test_what_an_entry_leaves_out_is_what_a_call_would_take(client: TestClient, engine: Engine) -> None:
    settings = engine.settings
    shown = {model["name"]: (model.get("base_url"), model["model"]) for model in listed(client, engine)}
    assert shown == {
        "first": (f"{settings.ollama_host}/v1", settings.ollama_model),
        "second": (settings.universal_url, "org/m"),
        "third": (settings.lemonade_url, "m"),
        "quotes": (None, "extractive"),
    }
