"""Whether there is a newer release: asked only when the operator names whom to ask, and then rarely."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from anyio import to_thread

from config.writing import write_atomically
from rag.errors import UpstreamError
from server.schemas.system import InstallCommands, VersionCheck

CACHE_S = 6 * 3600
TIMEOUT_S = 5.0
MAX_ANSWER_BYTES = 2_000_000
MAX_NOTES_CHARS = 100_000
UNREACHABLE = "Unable to reach GitHub releases"


class ReleaseService:
    """Keeps the last answer in a file, for all processes.

    Args:
        url: None asks nobody.
        folder: where the answer is kept.
    """

    def __init__(self, url: str | None, folder: Path, version: str, *, now: Callable[[], float] = time.time) -> None:
        self._url = url
        self._file = folder / "latest-release.json"
        self._version = version
        self._now = now

    async def check(self) -> VersionCheck:
        """Raises UpstreamError when the releases cannot be had, or the latest is no finished one."""
        if self._url is None:
            return self._unchecked()
        kept = await to_thread.run_sync(self._kept)
        if kept is not None:
            return self._described(kept, from_cache=True)
        release = _checked(await _fetched(self._url))
        await to_thread.run_sync(self._keep, release)
        return self._described(release, from_cache=False)

    def _unchecked(self) -> VersionCheck:
        return VersionCheck(
            current_version=self._version,
            latest_version=self._version,
            name="",
            release_notes="",
            release_url="",
            published_at="",
            from_cache=False,
            checked=False,
            install=InstallCommands(mac_linux="", windows=""),
        )

    def _described(self, release: dict[str, str], *, from_cache: bool) -> VersionCheck:
        where = f"see {release['release_url']}"
        return VersionCheck(
            current_version=self._version,
            from_cache=from_cache,
            checked=True,
            install=InstallCommands(mac_linux=where, windows=where),
            **release,
        )

    def _kept(self) -> dict[str, str] | None:
        """None when it is old, of another address, or was never written; a damaged file is as none."""
        try:
            kept = json.loads(self._file.read_bytes())
            age_s = self._now() - float(kept["asked_at"])
            if kept["url"] != self._url or not 0 <= age_s < CACHE_S:
                return None
            return {key: str(kept["release"][key]) for key in _FIELDS}
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _keep(self, release: dict[str, str]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        content = {"url": self._url, "asked_at": self._now(), "release": release}
        write_atomically(self._file, json.dumps(content).encode())


_FIELDS = {
    "latest_version": "tag_name",
    "name": "name",
    "release_notes": "body",
    "release_url": "html_url",
    "published_at": "published_at",
}


async def _fetched(url: str) -> Any:
    headers = {"Accept": "application/vnd.github+json"}
    try:
        async with (
            httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=True, headers=headers) as client,
            client.stream("GET", url) as answer,
        ):
            answer.raise_for_status()
            content = b""
            async for part in answer.aiter_bytes():
                content += part
                if len(content) > MAX_ANSWER_BYTES:
                    raise UpstreamError(f"{UNREACHABLE}: the answer of LF_RELEASES_URL is no release")
            return json.loads(content)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UpstreamError(UNREACHABLE) from error
    except ValueError as error:
        raise UpstreamError(f"{UNREACHABLE}: the answer of LF_RELEASES_URL is no release") from error


def _checked(release: Any) -> dict[str, str]:
    if not isinstance(release, dict) or not release.get("tag_name"):
        raise UpstreamError(f"{UNREACHABLE}: the answer of LF_RELEASES_URL is no release")
    if release.get("draft") or release.get("prerelease"):
        error = UpstreamError("the latest release is a draft or a pre-release; there is no finished one to tell")
        error.code = "BadGateway"
        raise error
    return {key: str(release.get(theirs) or "")[:MAX_NOTES_CHARS] for key, theirs in _FIELDS.items()}
