import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from config.logging import configure_logging, redact


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_events_are_json_with_their_context(stream: io.StringIO) -> None:
    configure_logging(level="INFO", as_json=True, stream=stream)
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        structlog.get_logger("x").info("thing.happened", hit_count=3)
    (line,) = lines(stream)
    assert line["event"] == "thing.happened"
    assert (line["request_id"], line["hit_count"], line["level"]) == ("r1", 3, "info")
    assert "timestamp" in line


def test_libraries_come_out_in_the_same_form(stream: io.StringIO) -> None:
    configure_logging(level="INFO", as_json=True, stream=stream)
    logging.getLogger("some.library").warning("took %s s", 3)
    logging.getLogger("httpx").info("too chatty")
    (line,) = lines(stream)
    assert line["event"] == "took 3 s"
    assert line["logger"] == "some.library"


def test_level_is_obeyed(stream: io.StringIO) -> None:
    configure_logging(level="warning", as_json=True, stream=stream)
    structlog.get_logger().info("quiet")
    assert stream.getvalue() == ""


def test_no_terminal_means_json(stream: io.StringIO) -> None:
    configure_logging(stream=stream)
    structlog.get_logger().info("thing.happened")
    assert lines(stream)


@pytest.mark.parametrize("as_json", [True, False])
def test_exceptions_show_no_local_variables_and_no_secrets(stream: io.StringIO, as_json: bool) -> None:
    configure_logging(as_json=as_json, stream=stream)
    local = "value-of-a-local"
    try:
        raise ValueError("server said no to https://user:hunter22@host/x")
    except ValueError:
        structlog.get_logger().exception("thing.failed", api_key=f"key-{local}")
    written = stream.getvalue()
    assert "ValueError" in written
    assert local not in written.replace('local = "value-of-a-local"', "")
    if as_json:
        assert "hunter22" not in written


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"api_key": "abc", "max_tokens": 5, "name": "x"}, {"api_key": "***", "max_tokens": 5, "name": "x"}),
        ({"a": [{"password": "x"}]}, {"a": [{"password": "***"}]}),
        ("Authorization: Bearer abcdef.123", "Authorization: Bearer ***"),
        ("redis://:secret@host:6379/0", "redis://:***@host:6379/0"),
        ("key sk-abcdefgh1234 used", "key *** used"),
        (3, 3),
    ],
    ids=str,
)
def test_secrets_are_hidden(value: object, shown: object) -> None:
    assert redact(value) == shown
