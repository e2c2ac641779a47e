"""Conversations that LlamaFarm left in a project's folder: `sessions/{id}/history.json`, read until they are in SQL."""

import os
import shutil
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from config.layout import is_accepted_name

if TYPE_CHECKING:
    from state.sessions import SessionKey

MAX_FILE_BYTES = 20_000_000
HISTORY_FILE = "history.json"
TAKEN_OVER = "history.json.imported"
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})

log = structlog.get_logger(__name__)


class SessionFiles:
    """Below `projects_dir`. What is damaged, too large or a link counts as not there."""

    def __init__(self, projects_dir: Path) -> None:
        self._projects_dir = projects_dir

    def read(self, key: "SessionKey") -> list[dict[str, Any]]:
        """The messages of a session, oldest first."""
        path = self._folder(key.namespace, key.project) / key.session_id / HISTORY_FILE
        try:
            status = path.lstat()
            if not S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES or path.parent.is_symlink():
                return []
            entries = orjson.loads(path.read_bytes())
        except (OSError, ValueError):  # none, a name that is too long, or no JSON
            return []
        return [message for entry in entries if (message := _message(entry))] if isinstance(entries, list) else []

    def ids(self, namespace: str, project: str) -> list[str]:
        """Of the sessions that have a file, or had one that was taken over."""
        found = []
        try:
            with os.scandir(self._folder(namespace, project)) as entries:
                for entry in entries:
                    is_folder = entry.is_dir(follow_symlinks=False)
                    if is_folder and any(Path(entry.path, name).is_file() for name in (HISTORY_FILE, TAKEN_OVER)):
                        found.append(entry.name)
        except OSError:
            return []
        return sorted(found)

    def mark_taken_over(self, key: "SessionKey") -> None:
        """The file stays, under a name that is not read: what it says is in SQL now."""
        folder = self._folder(key.namespace, key.project) / key.session_id
        try:
            (folder / HISTORY_FILE).replace(folder / TAKEN_OVER)
        except OSError as error:
            log.warning("session_file.not_marked", error=error.strerror)

    def remove(self, key: "SessionKey") -> bool:
        """Remove the session's folder; whether it held a conversation that was not in SQL."""
        folder = self._folder(key.namespace, key.project) / key.session_id
        is_known = bool(self.read(key))
        if folder.is_symlink():
            return False
        shutil.rmtree(folder, ignore_errors=True)
        return is_known

    def _folder(self, namespace: str, project: str) -> Path:
        is_safe = is_accepted_name(namespace) and is_accepted_name(project)
        root = self._projects_dir / namespace / project if is_safe else self._projects_dir / ".none"
        return root / "sessions"


def _message(entry: Any) -> dict[str, Any] | None:
    if not isinstance(entry, dict) or entry.get("role") not in ROLES:
        return None
    content = entry.get("content")
    if content is not None and not isinstance(content, str | list):
        content = orjson.dumps(content).decode()
    kept = {name: entry[name] for name in ("tool_calls", "tool_call_id", "name") if entry.get(name)}
    return {"role": entry["role"], "content": content, **kept}
