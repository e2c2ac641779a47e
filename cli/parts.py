"""What each part is: its command line, its environment, when it is ready, and how it is stopped."""

import secrets
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cli.checks import ReadyCheck, api_check, file_check, http_check, redis_check
from cli.environment import child_environment, without_secrets
from cli.ports import base_url, free_ports
from cli.redis_binary import find_redis_server
from cli.state_file import run_dir
from config.settings import Settings

CELERY_APP = "workers.main:app"
API_APP = "server.main:app"
DEFAULT_THREADS = 2
HUNG_AFTER_S = "20"
"""One of several API processes that does not even answer its parent for this long is replaced."""
PYTHON = (sys.executable, "-P")
# The `chroma` script does this after importing the whole Python client, which costs 70 MB and a second.
CHROMA = "import sys, chromadb_rust_bindings; chromadb_rust_bindings.cli(['chroma', *sys.argv[1:]])"

# (signal, seconds to wait for it); SIGKILL to the whole group follows the last.
Stop = tuple[tuple[signal.Signals, float], ...]
# Uvicorn lets open answers end for two seconds; a worker finishes what is short, then hands its tasks back.
STOP_API: Stop = ((signal.SIGTERM, 2.8),)
# Of several, the one above them looks for signals twice a second.
STOP_APIS: Stop = ((signal.SIGTERM, 3.4),)
STOP_WORKER: Stop = ((signal.SIGTERM, 3.0), (signal.SIGQUIT, 1.0))
STOP_STORE: Stop = ((signal.SIGTERM, 2.0),)


@dataclass(frozen=True, slots=True)
class Part:
    """A process to keep running; `is_oneshot` ones are run to their end instead.

    Parts of one `stop_rank` are stopped together, lower ranks first.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    check: ReadyCheck | None
    stop: Stop
    stop_rank: int
    port: int | None = None
    ready_file: Path | None = None
    is_oneshot: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Stages are started one after the other, the parts of a stage together; `external` maps a name to its URL."""

    stages: tuple[tuple[Part, ...], ...]
    external: Mapping[str, str]
    url: str


def make_plan(settings: Settings) -> Plan:
    """The parts for these settings: what has a URL of its own is not run here."""
    environment = child_environment(settings)
    redis_port, chroma_port = free_ports(2)
    stores: list[Part] = []
    external = {}
    if settings.redis_url:
        external["redis"] = without_password(settings.redis_url)
    else:
        stores.append(redis_part(settings.data_dir, redis_port, environment))
    if settings.chroma_url:
        external["chroma"] = without_password(settings.chroma_url)
    else:
        stores.append(chroma_part(settings.data_dir, chroma_port, environment))
    # The migration needs neither store, so it runs beside them.
    first = (*stores, migrate_part(environment))
    second = (*worker_parts(settings, environment), api_part(settings, environment))
    return Plan(
        stages=(first, second),
        external=external,
        url=base_url(settings.host, settings.port),
    )


def redis_part(data_dir: Path, port: int, environment: dict[str, str]) -> Part:
    """A private Redis. Its password is in a file that only the owner reads; sets LF_REDIS_URL for the other parts."""
    binary = find_redis_server()
    folder = data_dir / "redis"
    folder.mkdir(mode=0o700, exist_ok=True)
    password = secrets.token_hex(16)
    config = run_dir(data_dir) / "redis.conf"
    config.touch(mode=0o600)
    config.chmod(0o600)
    # Without the preamble any version of Redis reads what another has written.
    config.write_text(
        f"bind 127.0.0.1\nport {port}\nrequirepass {password}\n"
        f'dir "{folder}"\nappendonly yes\naof-use-rdb-preamble no\nsave ""\nmaxmemory-policy noeviction\n',
        encoding="utf-8",
    )
    environment["LF_REDIS_URL"] = f"redis://:{password}@127.0.0.1:{port}/0"
    return Part(
        name="redis",
        command=(str(binary), str(config)),
        environment=without_secrets(environment),
        check=redis_check(port, password),
        stop=STOP_STORE,
        stop_rank=2,
        port=port,
    )


def chroma_part(data_dir: Path, port: int, environment: dict[str, str]) -> Part:
    """The Rust server, sole owner of its folder; sets LF_CHROMA_URL for the other parts."""
    url = f"http://127.0.0.1:{port}"
    environment["LF_CHROMA_URL"] = url
    options = ("--host", "127.0.0.1", "--port", str(port), "--path", str(data_dir / "chroma"))
    return Part(
        name="chroma",
        command=(*PYTHON, "-c", CHROMA, "run", *options),
        environment={**without_secrets(environment), "ANONYMIZED_TELEMETRY": "False", "NO_COLOR": "1"},
        check=http_check(f"{url}/api/v2/heartbeat"),
        stop=STOP_STORE,
        stop_rank=2,
        port=port,
    )


def migrate_part(environment: dict[str, str]) -> Part:
    return Part(
        name="migrate",
        command=(*PYTHON, "-m", "state.migrate"),
        environment=environment,
        check=None,
        stop=STOP_STORE,
        stop_rank=0,
        is_oneshot=True,
    )


def worker_parts(settings: Settings, environment: Mapping[str, str]) -> list[Part]:
    schedule = str(run_dir(settings.data_dir) / "celerybeat")
    parse = ("--pool=prefork", f"--concurrency={settings.parse_processes}")
    embed = ("--pool=threads", f"--concurrency={settings.embed_threads}")
    default = ("--pool=threads", f"--concurrency={DEFAULT_THREADS}", "-B", "-s", schedule)
    one_thread = {"OMP_NUM_THREADS": "1"}  # the parse processes share the cores by being several
    return [
        _worker("parse", parse, settings, {**environment, **one_thread}),
        _worker("embed", embed, settings, environment),
        _worker("default", default, settings, {**environment, **one_thread}),
    ]


def _worker(queue: str, options: tuple[str, ...], settings: Settings, environment: Mapping[str, str]) -> Part:
    name = f"worker-{queue}"
    ready_file = run_dir(settings.data_dir) / f"{name}.ready"
    return Part(
        name=name,
        command=(
            *(*PYTHON, "-m", "celery", "-A", CELERY_APP, "worker", "-Q", queue, "-n", f"{queue}@%h"),
            *options,
            *("--loglevel", settings.log_level, "--without-gossip", "--without-mingle"),
        ),
        environment={**environment, "LF_READY_FILE": str(ready_file)},
        check=file_check(ready_file),
        stop=STOP_WORKER,
        stop_rank=1,
        ready_file=ready_file,
    )


def api_part(settings: Settings, environment: Mapping[str, str]) -> Part:
    listen = ("--host", settings.host, "--port", str(settings.port))
    options = ("--no-access-log", "--timeout-graceful-shutdown", "2", "--log-level", settings.log_level.lower())
    # Said also when it is one: the environment may hold another number for Uvicorn.
    processes = ("--workers", str(settings.api_processes), "--timeout-worker-healthcheck", HUNG_AFTER_S)
    return Part(
        name="api",
        command=(*PYTHON, "-m", "uvicorn", API_APP, *listen, *options, *processes),
        environment=environment,
        check=api_check(base_url(settings.host, settings.port)),
        stop=STOP_API if settings.api_processes == 1 else STOP_APIS,
        stop_rank=0,
        port=settings.port,
    )


def without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
