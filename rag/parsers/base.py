"""The parser role: a file on disk → a Document."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from rag.errors import LimitExceededError
from rag.types import Document

ProgressCallback = Callable[[int, int | None], None]
"""Called with (pages or rows done, total if known) between units of work; may raise CancelledTaskError."""


def no_progress(done: int, total: int | None) -> None:
    """The callback of those who do not watch."""


@dataclass(frozen=True, slots=True)
class FileProbe:
    """What is known of a file before it is parsed.

    Args:
        media_type: detected from the bytes (`rag.parsers.detect.probe_file`), never from the name alone.
        filename: the name the uploader gave; a hint only (it tells Markdown from plain text).
        head: the first 8,192 bytes.
    """

    path: Path
    filename: str
    media_type: str
    size_bytes: int
    head: bytes


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """Bounds on one file. Going over one raises LimitExceededError that names limit, value and setting."""

    max_pages: int = 20_000
    max_text_chars: int = 20_000_000
    max_uncompressed_bytes: int = 1_000_000_000
    max_compression_ratio: float = 200.0
    max_archive_entries: int = 20_000


@contextmanager
def naming(filename: str) -> Iterator[None]:
    """A limit that is passed deep inside of a parser is told with the name of the file."""
    try:
        yield
    except LimitExceededError as error:
        if str(error).startswith("'"):  # it has one
            raise
        raise LimitExceededError(f"'{filename}': {error}") from error


class Parser(Protocol):
    """Reads one family of formats. Raises UnreadableFileError (or a subclass) for a bad file, naming the reason."""

    media_types: ClassVar[frozenset[str]]

    def accepts(self, probe: FileProbe) -> bool:
        """Cheap; looks at `probe` only."""
        ...

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document: ...
