"""Files that the server fetches for a client."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from config.outside import Fetched, fetch, name_of
from rag.errors import BadRequestError, NotFoundError, OverloadedError, UpstreamError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.schemas.files import FileView, UploadFromUrl
from server.llamacloud.scope import Scope
from server.llamacloud.services.files import FileService, view_of
from state.incoming import IncomingFile

AT_ONCE = 4
"""Downloads of one process: a slow server of somebody else must not hold the threads that answer everybody."""
_free = BoundedSemaphore(AT_ONCE)


class DownloadService:
    def __init__(self, cloud: CloudEngine) -> None:
        self._cloud = cloud
        self._files = FileService(cloud)

    def take(self, scope: Scope, wanted: UploadFromUrl) -> FileView:
        """Raises what `config.outside.fetch` does, BadRequestError for an empty file, OverloadedError in a crowd."""
        if wanted.proxy_url or wanted.verify_ssl is False:
            raise BadRequestError("proxy_url and verify_ssl = false are refused: the server goes its own way outside")
        limit = self._cloud.settings.max_upload_bytes
        with _turn(), self._files.target(scope.project_id).receive(limit) as incoming:
            fetched = self._fetched(wanted, incoming)
            if incoming.size == 0:
                raise BadRequestError(f"{wanted.url[:200]!r} is empty; nothing was stored")
            body = {"external_file_id": wanted.external_file_id, "resource_info": wanted.resource_info}
            mime = fetched.headers.get("content-type")
            name = wanted.name or name_of(fetched)
            return view_of(self._files.put(scope.project_id, incoming, name, body, mime=mime))

    def _fetched(self, wanted: UploadFromUrl, incoming: IncomingFile) -> Fetched:
        try:
            return fetch(
                wanted.url,
                incoming.write,
                self._cloud.settings,
                max_bytes=self._cloud.settings.max_upload_bytes,
                headers={name: value for name, value in (wanted.request_headers or {}).items() if value is not None},
                follows_redirects=wanted.follow_redirects is not False,
            )
        except (NotFoundError, UpstreamError) as error:  # the address is the caller's; nothing of ours is missing
            raise BadRequestError(error.message) from error


@contextmanager
def _turn() -> Iterator[None]:
    if not _free.acquire(blocking=False):
        raise OverloadedError(f"the server fetches {AT_ONCE} files for others already; try again in a moment")
    try:
        yield
    finally:
        _free.release()
