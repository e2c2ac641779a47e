"""A connection to Qdrant, shared by the stores of a process: one place that turns its failures into ours."""

import threading
import warnings
import weakref
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]  # comes without types
import httpx
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from rag.errors import ConflictError, UpstreamError

_SHOWN_CHARS = 200


class CollectionMissingError(Exception):
    """The collection is not there. Does not leave a store."""


class QdrantServer:
    """Thread-safe. Closes its connection when the last store that has it is gone.

    Args:
        label: how messages call it: an address, or the name of a folder.
        is_local: the client holds the data itself (embedded mode), and is not made for threads.
    """

    def __init__(self, client: QdrantClient, label: str, *, is_local: bool) -> None:
        self.label = label
        self.is_local = is_local
        self._client = client
        weakref.finalize(self, client.close)  # also at the end of the process, while that can still be done
        self._turns = threading.RLock()

    def call(self, method: str, **arguments: Any) -> Any:
        """Raises CollectionMissingError, UpstreamError; ValueError for an argument that Qdrant does not take."""
        try:
            if self.is_local:
                with self._turns:
                    return getattr(self._client, method)(**arguments)
            return getattr(self._client, method)(**arguments)
        except (ApiException, grpc.RpcError, OSError, httpx.HTTPError) as error:
            if _is_missing(error):
                raise CollectionMissingError from error
            raise UpstreamError(f"Qdrant at {self.label} {_told(error)}") from error
        except ValueError as error:
            if self.is_local and "not found" in str(error):
                raise CollectionMissingError from error
            raise


_servers: "weakref.WeakValueDictionary[tuple[Any, ...], QdrantServer]" = weakref.WeakValueDictionary()
_opening = threading.Lock()


def qdrant_server(
    url: str, *, api_key: str | None, timeout_s: float, prefer_grpc: bool, grpc_port: int
) -> QdrantServer:
    """The connection to this address. Nothing is asked of it yet."""

    def opened() -> QdrantServer:
        client = QdrantClient(
            url=url,
            grpc_port=grpc_port,
            prefer_grpc=prefer_grpc,
            timeout=max(1, round(timeout_s)),
            headers={"api-key": api_key} if api_key else None,  # as `api_key` it warns of plain http on every start
            check_compatibility=False,  # asks in a thread of its own, before anybody needs an answer
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
        )
        return QdrantServer(client, url, is_local=False)

    return _shared((url, api_key, timeout_s, prefer_grpc, grpc_port), opened)


def embedded_qdrant(name: str, data_dir: Path | None) -> QdrantServer:
    """Qdrant's local mode on a folder, or in memory without one: exact search in this process, for tests and scripts.

    Raises:
        ConflictError: another process has the folder open.
    """

    def opened() -> QdrantServer:
        if data_dir is None:
            return QdrantServer(QdrantClient(location=":memory:"), "memory", is_local=True)
        try:
            folder = str(data_dir / "qdrant" / name)
            client = QdrantClient(path=folder, force_disable_check_same_thread=True)
        except RuntimeError as error:
            raise ConflictError(
                f"the Qdrant folder '{name}' is open in another process. `path` is for one process, as in tests "
                "and scripts: run a Qdrant server and set `url` instead"
            ) from error
        return QdrantServer(client, f"folder '{name}'", is_local=True)

    return _shared((name, data_dir), opened)


def _shared(key: tuple[Any, ...], opened: Any) -> QdrantServer:
    with _opening, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice of the client to those who call it by hand
        server = _servers.get(key)
        if server is None:
            _servers[key] = server = opened()
        return server


def _is_missing(error: Exception) -> bool:
    if isinstance(error, UnexpectedResponse):
        return error.status_code == httpx.codes.NOT_FOUND
    return isinstance(error, grpc.RpcError) and _code(error) == grpc.StatusCode.NOT_FOUND


def _told(error: Exception) -> str:
    if isinstance(error, UnexpectedResponse):
        if error.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return f"refuses the request ({error.status_code}). Check config.api_key"
        return f"answered {error.status_code}: {error.content[:_SHOWN_CHARS].decode(errors='replace')}"
    if isinstance(error, grpc.RpcError):
        return f"failed: {_code(error)}"
    cause = error.source if isinstance(error, ResponseHandlingException) else error
    return f"does not answer ({type(cause).__name__}). Check that it runs and that config.url is right"


def _code(error: grpc.RpcError) -> Any:
    return error.code() if hasattr(error, "code") else None
