"""Which version of a project a llamafarm.yaml came from: one small file per config file, server and project."""

import contextlib
import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import httpx

from cli.client.chat_state import state_dir
from cli.client.project_file import ProjectName


def etag_of(response: httpx.Response) -> str | None:
    """Weak ones are left out: `If-Match` never matches them."""
    found = response.headers.get("ETag")
    return None if found is None or found.startswith("W/") else str(found)


@dataclass(slots=True)
class FolderState:
    """`etag`: the server's version when the file was last pulled or pushed; `digest`: that of the file's bytes then."""

    path: Path
    etag: str | None = None
    digest: str | None = None

    @classmethod
    def of(cls, server_url: str, project: ProjectName, file: Path) -> "FolderState":
        key = json.dumps([server_url, str(project), str(file.resolve())])
        path = state_dir() / "folders" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            known = json.loads(path.read_bytes())
            return cls(path, known["etag"], known["digest"])
        return cls(path)

    def knows(self, content: bytes) -> bool:
        return self.digest == hashlib.sha256(content).hexdigest()

    def keep(self, etag: str | None, content: bytes) -> None:
        """What cannot be kept is forgotten: an older version would stand for this one."""
        self.etag, self.digest = etag, hashlib.sha256(content).hexdigest()
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=self.path.parent)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({"etag": self.etag, "digest": self.digest}, file)
            Path(temporary).replace(self.path)
        except OSError:
            with contextlib.suppress(OSError):
                self.path.unlink()
