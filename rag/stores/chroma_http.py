"""The part of a Chroma server's HTTP API (v2) that a store needs.

The official client is not used: it sets no timeout, so that a server that hangs would hang every caller, and it
costs 36 MB and a second at import. The server is the same; a query is 1 ms faster. With urllib3 one takes 0.35 ms of
this process's time, with httpx 0.65 ms, and while many ask at once all others wait for that.
"""

import base64
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import certifi
import orjson
import urllib3

from rag.errors import ConflictError, UpstreamError
from rag.types import Matrix, Vector

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0
"""Also for the first query after the server started, which loads the index of a collection."""
WRITE_TIMEOUT_S = 120.0
KEPT_CONNECTIONS = 64
"""As many as there are threads that search."""
_READ_ONLY = "readonly database"
"""SQLite's words for a file that was removed under it, and for one that it may not write to."""
_PREFIX = "/api/v2/tenants/default_tenant/databases/default_database/collections"


class CollectionMissingError(Exception):
    """The collection is not there: never made, or deleted by somebody else. Does not leave a store."""


@dataclass(frozen=True, slots=True)
class Collection:
    id: str
    metadata: Mapping[str, Any]


class ChromaServer:
    """Thread-safe; one per address and process, so that connections are reused. See `chroma_server`."""

    def __init__(self, url: str, pool: urllib3.HTTPConnectionPool | None = None) -> None:
        """`pool` replaces the network in tests."""
        self.url = url.rstrip("/")
        self._max_batch_size: int | None = None
        parsed = urllib3.util.parse_url(self.url)
        self._folder = parsed.path or ""
        # A pool knows of no proxy: one for the outside world must not see local vectors.
        self._pool = pool or _open_pool(parsed)
        self._headers = urllib3.util.make_headers(basic_auth=parsed.auth) if parsed.auth else {}
        self._headers["content-type"] = "application/json"

    def max_batch_size(self) -> int:
        if self._max_batch_size is None:
            answer = self._call("GET", "/api/v2/pre-flight-checks")
            self._max_batch_size = int(answer.get("max_batch_size", 1000))
        return self._max_batch_size

    def find(self, name: str) -> Collection | None:
        try:
            answer = self._call("GET", f"{_PREFIX}/{name}")
        except CollectionMissingError:
            return None
        return Collection(answer["id"], answer.get("metadata") or {})

    def create(self, name: str, metadata: Mapping[str, Any], hnsw: Mapping[str, Any]) -> Collection:
        """Create, or return what is there under that name (whose metadata may differ)."""
        body = {"name": name, "metadata": metadata, "configuration": {"hnsw": hnsw}, "get_or_create": True}
        answer = self._call("POST", _PREFIX, body)
        return Collection(answer["id"], answer.get("metadata") or {})

    def upsert(
        self, collection: str, ids: Sequence[str], vectors: Matrix, metadatas: Sequence[Mapping[str, Any]]
    ) -> None:
        encoded = [base64.b64encode(row.tobytes()).decode() for row in vectors]
        body = {"ids": list(ids), "embeddings": encoded, "metadatas": list(metadatas)}
        self._call("POST", f"{_PREFIX}/{collection}/upsert", body, timeout_s=WRITE_TIMEOUT_S)

    def query(self, collection: str, vector: Vector, limit: int) -> list[tuple[str, float]]:
        """The nearest ids with their distances, nearest first."""
        body = {"query_embeddings": [vector.tolist()], "n_results": limit, "include": ["distances"]}
        answer = self._call("POST", f"{_PREFIX}/{collection}/query", body)
        return list(zip(answer["ids"][0], answer["distances"][0], strict=True))

    def count(self, collection: str) -> int:
        return int(self._call("GET", f"{_PREFIX}/{collection}/count"))

    def metadatas(self, collection: str, *, limit: int, offset: int) -> list[Mapping[str, Any]]:
        """Of the vectors from `offset` on, at most `limit`; empty behind the last one."""
        body = {"limit": limit, "offset": offset, "include": ["metadatas"]}
        answer = self._call("POST", f"{_PREFIX}/{collection}/get", body, timeout_s=WRITE_TIMEOUT_S)
        return [each or {} for each in answer["metadatas"]]

    def delete(self, collection: str, where: Mapping[str, Any]) -> None:
        self._call("POST", f"{_PREFIX}/{collection}/delete", {"where": where}, timeout_s=WRITE_TIMEOUT_S)

    def rename(self, collection: str, name: str) -> None:
        """The collection keeps its id: who has it open goes on."""
        self._call("PUT", f"{_PREFIX}/{collection}", {"new_name": name})

    def drop(self, name: str) -> None:
        try:
            self._call("DELETE", f"{_PREFIX}/{name}")
        except CollectionMissingError:
            return

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout_s: float = READ_TIMEOUT_S
    ) -> Any:
        content = None if body is None else orjson.dumps(body)
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=timeout_s)
        try:
            response = self._pool.urlopen(
                method, self._folder + path, content, self._headers, retries=False, redirect=False, timeout=timeout
            )
        except urllib3.exceptions.HTTPError as error:
            raise UpstreamError(
                f"Chroma at {self.url} does not answer ({type(error).__name__}). Check that it runs and that the "
                "address is right, then try again"
            ) from error
        if response.status == 404:
            raise CollectionMissingError
        if response.status >= 400:
            reason = _reason(response.data)
            if _READ_ONLY in reason:
                raise ConflictError(
                    f"Chroma at {self.url} cannot write: its folder was removed or is read-only under the running "
                    "server. Restart with `lf server stop` and `lf server start`, then run `lf db rebuild`"
                )
            raise UpstreamError(f"Chroma at {self.url} answered {response.status}: {reason}")
        try:
            return orjson.loads(response.data)
        except orjson.JSONDecodeError as error:
            raise UpstreamError(f"what answers at {self.url} is not a Chroma server: its answer is not JSON") from error


def _open_pool(url: urllib3.util.Url) -> urllib3.HTTPConnectionPool:
    host = url.host or ""
    if url.scheme == "https":
        return urllib3.HTTPSConnectionPool(host, url.port, maxsize=KEPT_CONNECTIONS, ca_certs=certifi.where())
    return urllib3.HTTPConnectionPool(host, url.port, maxsize=KEPT_CONNECTIONS)


def _reason(content: bytes) -> str:
    try:
        return str(orjson.loads(content)["message"])[:300]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return content.decode(errors="replace")[:300]


_servers: dict[str, ChromaServer] = {}
_servers_lock = threading.Lock()


def chroma_server(url: str) -> ChromaServer:
    """The process's one client for `url`."""
    with _servers_lock:
        if url not in _servers:
            _servers[url] = ChromaServer(url)
        return _servers[url]
