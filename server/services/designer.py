"""A built web app from a folder, told by a script in its page what the environment says."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

PAGE = "index.html"
MAX_PAGE_BYTES = 5_000_000

_PLACE = re.compile(
    r"<(?P<tag>[a-z][a-z0-9-]*)\b[^<>]*?\bid\s*=\s*(?P<quote>[\"']?)env-insertion-point(?P=quote)(?=[\s/>])[^<>]*>"
    r"(?:\s*</(?P=tag)\s*>)?",
    re.IGNORECASE,
)
_UNSAFE = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
"""What could end a script early, or a line of it, if it stood there as itself."""


class Designer:
    """Args:
    folder: with index.html and assets/; None when no app is configured.
    variables: become the global `ENV` of the page. They are public.
    """

    def __init__(self, folder: Path | None, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self._script = env_script(variables)
        self._page: tuple[tuple[int, int], bytes] | None = None

    @property
    def problem(self) -> str | None:
        """Why a configured app cannot be served."""
        if self.folder is None or (self.folder / PAGE).is_file():
            return None
        return f"The folder of the web app has no {PAGE}: build the app, or set DESIGNER_DIST_PATH to its output"

    def page(self) -> bytes | None:
        """The page with its variables, read anew when it changed; None when there is none."""
        if self.folder is None:
            return None
        path = self.folder / PAGE
        try:
            state = path.stat()
            version = (state.st_mtime_ns, state.st_size)
            if self._page is None or self._page[0] != version:
                if state.st_size > MAX_PAGE_BYTES:
                    return None
                text = path.read_bytes().decode("utf-8", "replace")
                self._page = version, with_script(text, self._script).encode()
            return self._page[1]
        except OSError:
            return None


def env_script(variables: Mapping[str, str]) -> str:
    """A script element that defines the global `ENV`, whatever the values hold."""
    return f"<script>window.ENV = {json.dumps(dict(variables)).translate(_UNSAFE)};</script>"


def with_script(page: str, script: str) -> str:
    """The page with the first element of the id `env-insertion-point` replaced by `script`; unchanged without one."""
    return _PLACE.sub(lambda _: script, page, count=1)


def is_hidden(path: str) -> bool:
    """Whether some part of the path begins with a dot: such files are nobody's page."""
    return any(part.startswith(".") for part in path.split("/"))
