"""Configures structlog, in one function that every entry point calls."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import Processor

from config.secrets import REDACTED, is_secret_key

_SECRET_IN_TEXT = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{4,}"), r"\1 " + REDACTED),
    (re.compile(r"(?i)\b(sk|hf|ghp|xoxb)[-_][\w-]{8,}"), REDACTED),
    (re.compile(r"(\w+://[^\s:/@]*):[^\s@/]+@"), rf"\1:{REDACTED}@"),
)
_NOISY = ("httpx", "httpcore", "httpx2", "httpcore2", "chromadb", "urllib3", "filelock", "sentence_transformers")


def configure_logging(*, level: str = "INFO", as_json: bool | None = None, stream: TextIO | None = None) -> None:
    """Log lines go to `stream` (standard error), as JSON unless it is a terminal or `as_json` says otherwise.

    Libraries that use `logging` come out in the same form. May be called again: the last call wins.
    """
    target = stream or sys.stderr
    is_json = not target.isatty() if as_json is None else as_json
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    shared = _shared_processors(is_json)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # a second call must reach loggers that were already used
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(is_json)],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    # It writes a stack trace for each server that is away; the sources of tools say the same in a sentence.
    logging.getLogger("mcp.client").setLevel(logging.CRITICAL)


def redact(value: Any) -> Any:
    """The same value without the secrets that its keys or its text give away."""
    if isinstance(value, str):
        for pattern, replacement in _SECRET_IN_TEXT:
            value = pattern.sub(replacement, value)
        return value
    if isinstance(value, Mapping):
        return {key: _redacted_entry(key, each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redact(each) for each in value]
    return value


def _redacted_entry(key: object, value: Any) -> Any:
    # only text is a secret: `max_tokens: 512` is not
    is_hidden = isinstance(key, str) and isinstance(value, str) and value and is_secret_key(key)
    return REDACTED if is_hidden else redact(value)


def _redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if key.startswith("_"):
            continue  # what structlog itself passes along
        event[key] = _redacted_entry(key, value)
    return event


def _shared_processors(is_json: bool) -> list[Processor]:
    exceptions: list[Processor] = [structlog.processors.format_exc_info] if is_json else []
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        *exceptions,
        _redact_event,
    ]


def _renderer(is_json: bool) -> Processor:
    if is_json:
        return structlog.processors.JSONRenderer(default=str)
    # not the rich one, which prints local variables: keys and document text among them
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
