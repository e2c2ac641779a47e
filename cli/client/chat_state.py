"""Which session the chats of a folder go on with: one small file per folder, server and project."""

import contextlib
import hashlib
import json
import os
import tempfile
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cli.client.project_file import ProjectName


def state_dir() -> Path:
    """`$XDG_STATE_HOME/paddock`; below the home folder when that is not set."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "paddock"


@dataclass(slots=True)
class ChatState:
    """`is_new`: nothing was said yet in the session."""

    path: Path
    session_id: str
    is_new: bool

    @classmethod
    def of(cls, server_url: str, project: ProjectName, folder: Path) -> "ChatState":
        key = json.dumps([server_url, str(project), str(folder.resolve())])
        path = state_dir() / "chat" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return cls(path, str(json.loads(path.read_bytes())["session_id"]), is_new=False)
        return cls(path, str(uuid.uuid4()), is_new=True)

    def begin_anew(self) -> None:
        self.session_id = str(uuid.uuid4())
        self.is_new = True

    def keep(self, session_id: str | None) -> None:
        """Remember the session, under the id that the server gave it if it did. A full disk ends no chat."""
        if not self.is_new and session_id in (None, self.session_id):
            return
        self.session_id = session_id or self.session_id
        self.is_new = False
        document = {"session_id": self.session_id, "timestamp": datetime.now(UTC).isoformat()}
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=self.path.parent)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(document, file)
            Path(temporary).replace(self.path)
