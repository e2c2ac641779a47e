"""From the user's environment and options to the settings, and from the settings to the environment of the parts."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic_settings import SettingsError

from cli.errors import CliError, InvalidSettingsError
from cli.state_file import log_dir, run_dir
from config.settings import Settings

SECRET_WORDS = ("key", "token", "password")
SQLITE_PREFIX = "sqlite:///"


def load_settings(*, host: str | None = None, port: int | None = None, data_dir: Path | None = None) -> Settings:
    """Settings from the environment and `.env`; what is given here goes before both.

    Raises:
        InvalidSettingsError: one line per problem.
    """
    given: dict[str, Any] = {"host": host, "port": port, "data_dir": data_dir}
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise InvalidSettingsError("\n".join(_problems(error))) from error
    except SettingsError as error:
        raise InvalidSettingsError(f'{error} (lists are written as JSON: ["a", "b"])') from error


def _problems(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors():
        message = problem["msg"].removeprefix("Value error, ")
        name = str(problem["loc"][0]) if problem["loc"] else ""
        if not name:
            lines.append(f"settings: {message}")
            continue
        variable = name if name.isupper() else f"LF_{name.upper()}"
        is_secret = any(word in name.lower() for word in SECRET_WORDS)
        shown = "" if is_secret else f" (it is {problem['input']!r})"
        lines.append(f"{variable}: {message}{shown}")
    return lines


def prepare_data_dir(data_dir: Path) -> None:
    """Create what the supervisor writes into, and fail now if it cannot be written."""
    try:
        for folder in (data_dir, run_dir(data_dir), log_dir(data_dir)):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=run_dir(data_dir)) as probe:
            probe.write(b"writable")
    except OSError as error:
        raise CliError(
            f"data directory {data_dir} cannot be written ({error.strerror}): "
            "correct its owner or free space, or choose another with --data-dir"
        ) from error


def child_environment(settings: Settings) -> dict[str, str]:
    """What every part gets: the user's environment and `.env`, and the resolved settings on top.

    The parts run in a folder of their own, so that a `config/` or `server.py` where the user happens to stand is
    never imported; `.env` and relative paths are therefore resolved here.
    """
    environment = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    environment.update(os.environ)
    environment.update(
        LF_DATA_DIR=str(settings.data_dir),
        LF_HOST=settings.host,
        LF_PORT=str(settings.port),
        LF_SUPERVISED=supervision_mark(settings.data_dir),
        ANONYMIZED_TELEMETRY="False",
        MALLOC_ARENA_MAX=environment.get("MALLOC_ARENA_MAX", "2"),
        TOKENIZERS_PARALLELISM="false",
        PYTHONUNBUFFERED="1",
        PYTHONSAFEPATH="1",
    )
    if settings.examples_dir is not None:
        environment["LF_EXAMPLES_DIR"] = str(settings.examples_dir.expanduser().absolute())
    _set_if(environment, "LF_REDIS_URL", settings.redis_url)
    _set_if(environment, "LF_BROKER_URL", settings.broker_url)
    _set_if(environment, "LF_CHROMA_URL", settings.chroma_url)
    _set_if(environment, "LF_DATABASE_URL", _absolute_sqlite(settings.database_url))
    return environment


def supervision_mark(data_dir: Path) -> str:
    """Marks the processes of one data directory, whoever started them; a copy of the folder has another mark."""
    status = run_dir(data_dir).stat()
    return f"{status.st_dev}:{status.st_ino}:{data_dir}"


def _absolute_sqlite(url: str | None) -> str | None:
    if url is None or not url.startswith(SQLITE_PREFIX) or url.startswith((SQLITE_PREFIX + "/", SQLITE_PREFIX + ":")):
        return url
    return SQLITE_PREFIX + str(Path(url.removeprefix(SQLITE_PREFIX)).absolute())


def _set_if(environment: dict[str, str], name: str, value: str | None) -> None:
    if value is not None:
        environment[name] = value


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """For Redis and Chroma, which need none of the user's variables."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "LF_SUPERVISED")
    return {name: environment[name] for name in kept if name in environment}
