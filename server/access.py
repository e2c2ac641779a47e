"""Which keys open the server, and what each of them opens."""

import hmac
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import anyio
from anyio import to_thread
from starlette.types import Scope

from config.settings import Settings
from rag.errors import AccessDeniedError, NotFoundError, RagError, UpstreamError
from server.llamacloud.scope import EVERYTHING, KeyScope
from state.cloud.ids import NAMESPACE
from state.keys import KeyRecord, digest_of

STALE_AFTER_S = 2.0
PROJECT_PATH = re.compile(r"/v1/projects/([^/]*)(?:/([^/]*)(/.*)?)?", re.DOTALL)
CLOUD_PATH = re.compile(r"/api/.*", re.DOTALL)
SIGNED_PATH = re.compile(r"/api/v1/signed/.*", re.DOTALL)
"""Such a link is its own permission."""
SCOPED_PATH = re.compile(r"/|/v1/(chat/completions|embeddings|schema/.*)", re.DOTALL)
"""What a key of a part may call besides its projects: routes that hold nothing of others, or look at the key."""
NAMING_HEADERS = ("x-active-project",)


class KnownKeys(Protocol):
    """The part of `state.keys.ApiKeys` that is needed here."""

    def in_use(self) -> list[KeyRecord]: ...


class KeyRing:
    """The keys of this server, as they were at most two seconds ago.

    Args:
        master: LF_API_KEY, which opens everything and is never looked up.
    """

    def __init__(self, master: str | None, keys: KnownKeys, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._master = None if master is None else master.encode()
        self._keys = keys
        self._clock = clock
        self._scopes: Mapping[str, KeyScope] = {}
        self._failure: str | None = None
        self._read_at: float | None = None
        self._reading = anyio.Lock()

    async def is_asked_for(self) -> bool:
        """Whether requests need a key at all."""
        return self._master is not None or bool(await self._known())

    async def scope_of(self, key: bytes) -> KeyScope | None:
        """What `key` is good for; None: it is none of ours."""
        if self._master is not None and hmac.compare_digest(key, self._master):
            return EVERYTHING
        # Looked up by a digest, whose bytes a sender cannot choose: how long it takes tells nothing of any key.
        return (await self._known()).get(digest_of(key))

    async def _known(self) -> Mapping[str, KeyScope]:
        if self._is_stale():
            async with self._reading:
                if self._is_stale():
                    await self._read()
        if self._failure is not None:
            raise UpstreamError(self._failure)
        return self._scopes

    async def _read(self) -> None:
        """A failure is kept as long as an answer: those who wait do not each wait for one of their own."""
        asked_at = self._clock()
        try:
            found = await to_thread.run_sync(self._keys.in_use)
        except RagError as error:
            self._failure, self._read_at = error.message, self._clock()
        else:
            self._scopes = {each.digest: KeyScope(each.namespace, each.project) for each in found}
            self._failure, self._read_at = None, asked_at

    def _is_stale(self) -> bool:
        return self._read_at is None or self._clock() - self._read_at > STALE_AFTER_S


def refusal(scope: Scope, key: KeyScope) -> RagError | None:
    """Why a request is outside of what its key is good for; None: it is inside.

    What is another's is not found, as what does not exist; what concerns the whole server is denied.
    """
    if key == EVERYTHING:
        return None
    path: str = scope["path"]
    for name in _named_elsewhere(scope):
        if not key.allows(*name):
            return _not_found(*name)
    if CLOUD_PATH.fullmatch(path):
        return None if key.namespace == NAMESPACE else NotFoundError(f"{path[:200]}: this key is for another namespace")
    found = PROJECT_PATH.fullmatch(path.removesuffix("/"))
    if found is not None:
        return _outside(scope, key, found[1], found[2])
    if SCOPED_PATH.fullmatch(path):
        return None
    return AccessDeniedError(f"{scope['method']} {path[:200]} concerns the whole server: this key is for {spoken(key)}")


def _outside(scope: Scope, key: KeyScope, namespace: str, project: str | None) -> RagError | None:
    if project is not None:
        return None if key.allows(namespace, project) else _not_found(namespace, project)
    if namespace != key.namespace:
        return NotFoundError(f"Namespace {namespace[:100]} not found")
    if key.project is not None and scope["method"] not in ("GET", "HEAD"):
        return AccessDeniedError(f"making projects needs a key of the whole namespace: this one is for {spoken(key)}")
    return None


def _named_elsewhere(scope: Scope) -> list[tuple[str, str]]:
    """Projects that headers name."""
    wanted: Sequence[bytes] = [name.encode() for name in NAMING_HEADERS]
    named = [value.decode("latin-1").partition("/") for name, value in scope["headers"] if name in wanted]
    return [(namespace.strip(), project.strip()) for namespace, _, project in named]


def _not_found(namespace: str, project: str) -> NotFoundError:
    return NotFoundError(f"Project {namespace[:100]}/{project[:100]} not found", code="ProjectNotFound")


def spoken(key: KeyScope) -> str:
    if key.project is None:
        return f"the namespace {key.namespace}"
    return f"the project {key.namespace}/{key.project}"


def require_model(key: KeyScope, model: str | None) -> None:
    """A model of OpenAI's API names a project as `namespace/project[/model]`.

    Raises:
        NotFoundError: it is not one that the key is good for.
    """
    if key == EVERYTHING or not model:
        return
    namespace, _, rest = model.partition("/")
    if not key.allows(namespace, rest.partition("/")[0]):
        raise NotFoundError(
            f"Model '{model[:200]}' not found: this key is for {spoken(key)}, whose models are named "
            "'namespace/project' or 'namespace/project/model'",
            code="ModelNotFound",
        )


def refuse_programs(key: KeyScope, config: Mapping[str, Any], settings: Settings) -> None:
    """Programs that a configuration has started run as the server, beyond every scope.

    Raises:
        AccessDeniedError: a key of a part would bring in one, and LF_MCP_STDIO does not say that projects may.
    """
    if key == EVERYTHING or settings.mcp_stdio is True:
        return
    mcp = config.get("mcp")
    servers = mcp.get("servers") if isinstance(mcp, Mapping) else None
    for server in servers if isinstance(servers, list) else []:
        if isinstance(server, Mapping) and server.get("transport") == "stdio":
            raise AccessDeniedError(
                f"MCP server {str(server.get('name'))[:100]!r} is a program to be started here (stdio): "
                f"this key is for {spoken(key)}, and LF_MCP_STDIO does not allow it to projects"
            )
