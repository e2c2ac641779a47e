"""Schemathesis against the app's own document: no crash, no undocumented status, answers as documented.

Deterministic: the same cases in every run, so that a failure can be repeated.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.python import asgi
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from config.settings import Settings
from server.app import create_app
from tests.api.conftest import PROJECT
from tests.api.document import NAMES, Documented, document, operations
from tests.api.fakes import fake_engine
from tests.fixtures.answers import assert_error_shape

EXAMPLES = 5
"""For each operation, and each way to ask it."""
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
SCHEMA = schemathesis.openapi.from_dict(document())
CASES = hypothesis.settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


CLOSED = "http://127.0.0.1:9"
OPERATIONS = operations()


def known(each: Documented) -> dict[str, str]:
    """The names of what is there, so that a case gets beyond 404."""
    return {name: NAMES[name] for name in each.path_parameters if name in ("namespace", "project", "dataset")}


def can_be_malformed(each: Documented) -> bool:
    """A body can, and so can a number in the query; any text is a text."""
    queries = [parameter["schema"] for parameter in each.operation.get("parameters", ()) if parameter["in"] == "query"]
    typed = [schema for schema in queries if schema.get("type") in ("integer", "number", "boolean")]
    return bool(typed) or "requestBody" in each.operation


class World:
    """An app with one project, which each case finds as it was."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(
            _env_file=None, data_dir=folder, log_level="CRITICAL", ollama_host=CLOSED, allowed_host_names=[asgi.HOST]
        )
        self.app = create_app(settings, engine=fake_engine)
        self.yaml = settings.projects_dir / "org" / "bot" / "llamafarm.yaml"

    def restore(self) -> None:
        self.yaml.parent.mkdir(parents=True, exist_ok=True)
        self.yaml.write_text(json.dumps(PROJECT), encoding="utf-8")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("fuzz"))


@pytest.fixture(scope="module")
def session(world: World) -> Iterator[Any]:
    with asgi.get_client(world.app) as client:
        yield client


@pytest.mark.parametrize("each", OPERATIONS, ids=lambda each: each.id)
def test_documented_requests_get_documented_answers(world: World, session: Any, each: Documented) -> None:
    check(world, session, SCHEMA[each.path][each.method].as_strategy(path_parameters=known(each)))


@pytest.mark.parametrize("each", [each for each in OPERATIONS if each.path_parameters], ids=lambda each: each.id)
def test_any_names_get_documented_answers(world: World, session: Any, each: Documented) -> None:
    check(world, session, SCHEMA[each.path][each.method].as_strategy())


@pytest.mark.parametrize("each", [each for each in OPERATIONS if can_be_malformed(each)], ids=lambda each: each.id)
def test_malformed_requests_get_documented_answers(world: World, session: Any, each: Documented) -> None:
    operation = SCHEMA[each.path][each.method]
    check(world, session, operation.as_strategy(GenerationMode.NEGATIVE, path_parameters=known(each)))


def check(world: World, session: Any, strategy: SearchStrategy[schemathesis.Case]) -> None:
    @CASES
    @hypothesis.given(case=strategy)
    def each_case(case: schemathesis.Case) -> None:
        world.restore()
        response = case.call(session=session, app=world.app)
        assert response.status_code != 500, response.text
        case.validate_response(response, checks=CHECKS)
        if response.status_code >= 400:
            assert_error_shape(Answer(response))

    each_case()


class Answer:
    """Schemathesis' response as the common helper reads one."""

    def __init__(self, response: schemathesis.Response) -> None:
        self.status_code = response.status_code
        self.headers = {name: values[0] for name, values in response.headers.items()}
        self.text = response.text
        self.json = response.json
