"""What signed links open. A claim names it by ids; the paths are made here, of folders that are the server's own.

Kinds: `file`: the bytes of a file, by `file_id`; `blob`: bytes by `file_hash` (with `filename`, `media_type`);
`result`: `name` in the folder of a job's results (with `job_id`, `media_type`, `filename`); `upload`: a file that
waits for its bytes, for PUT alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import AccessDeniedError, NotFoundError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.services.file_kinds import read_kind
from server.llamacloud.services.files import FileService
from server.llamacloud.services.uploading import Body
from state.cloud.shelf import FILE
from state.file_names import FALLBACK_MIME

REFUSAL = "this link has expired, or is not one of this server's; ask for a new one"
READS_ONLY = "this link gives bytes (GET) and takes none: PUT /api/v1/files answers with one that does"
TAKES_ONLY = "this link takes the bytes of a file (PUT) and gives none: read the file by its own content link"


@dataclass(frozen=True, slots=True)
class Download:
    path: Path
    media_type: str
    filename: str


class SignedService:
    def __init__(self, cloud: CloudEngine) -> None:
        self._cloud = cloud

    def open(self, token: str) -> Download:
        """
        Raises:
            AccessDeniedError: the token is forged, damaged, expired, or for something else.
            NotFoundError: what it names is gone.
        """
        claim = self._claim(token)
        kind = claim.get("kind")
        if kind == "file":
            return self._file(claim)
        if kind == "blob":
            path = self._cloud.files(claim["project_id"]).path(claim["file_hash"])
            name = claim.get("filename") or "file"
            return Download(path, claim.get("media_type") or read_kind(path, name)[0], name)
        if kind == "result":
            return self._result(claim)
        raise AccessDeniedError(TAKES_ONLY if kind == "upload" else REFUSAL)

    async def receive(self, token: str, body: Body) -> None:
        """Take the bytes of a file that waits for them; raises as `open` and `FileService.fill`."""
        claim = self._claim(token)
        if claim.get("kind") != "upload":
            raise AccessDeniedError(READS_ONLY)
        await FileService(self._cloud).fill(claim["project_id"], claim["file_id"], body)

    def _claim(self, token: str) -> Mapping[str, Any]:
        claim = self._cloud.signer.read(token)
        if claim is None:
            raise AccessDeniedError(REFUSAL)
        return claim

    def _file(self, claim: Mapping[str, Any]) -> Download:
        found = self._cloud.objects.get(FILE, claim["file_id"], claim["project_id"])
        path = self._cloud.files(found.project_id).path(found.ref or "")
        return Download(path, found.body.get("content_type") or FALLBACK_MIME, found.name or "file")

    def _result(self, claim: Mapping[str, Any]) -> Download:
        root = (self._cloud.files(claim["project_id"]).root / "jobs").resolve()
        folder = root / str(claim["job_id"])
        path = (folder / str(claim["name"])).resolve()
        if root not in folder.resolve().parents or folder not in path.parents or not path.is_file():
            raise NotFoundError("the result that this link names is gone; the job was deleted or ran anew")
        return Download(path, claim.get("media_type") or FALLBACK_MIME, claim.get("filename") or path.name)
