"""Files inside files: the members of an archive, the attachments of a mail. One set of bounds holds for all of them."""

import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from rag.errors import LimitExceededError, NoTextError, UnreadableFileError
from rag.parsers import parsers
from rag.parsers.archive import readable_package
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback
from rag.parsers.budget import Budget, NestedLimits
from rag.parsers.builder import DocumentBuilder
from rag.parsers.decoding import clean
from rag.parsers.detect import probe_file
from rag.types import Document, PartKind

MAX_DEPTH: Final = 4
"""A file in an archive in a mail in an archive is the deepest that is read."""
MAX_WARNINGS: Final = 50
PIECE_BYTES: Final = 65_536
HEAD_BYTES: Final = 8192
_MAX_NAME_CHARS = 300


@dataclass(frozen=True, slots=True)
class Inner:
    """A file inside of a file: how people call it, and how its bytes are had. Nothing is written under its name."""

    name: str
    open: Callable[[], IO[bytes]]
    complaint: UnreadableFileError | None = None
    """Why it is not opened at all."""
    is_counted: bool = False
    """Whether the budget knows of its bytes already, as it does of a tar archive that was packed as a whole."""


class Nest:
    """Parses the files inside of one file into the builder of that file."""

    def __init__(
        self,
        probe: FileProbe,
        limits: ParseLimits,
        builder: DocumentBuilder,
        kind: PartKind,
        *,
        heading_level: int,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """`options` are those of the inner parsers that know them; `heading_level` is that of each file's name."""
        depth, budget = 0, None
        if isinstance(limits, NestedLimits):
            depth, budget = limits.depth, limits.budget
        plain = {each.name: getattr(limits, each.name) for each in fields(ParseLimits)}
        self.budget: Final = budget or Budget(probe, limits)
        self.warnings: Final[list[str]] = []
        self._limits = NestedLimits(**plain, depth=depth + 1, budget=self.budget)
        self._probe = probe
        self._builder = builder
        self._kind: PartKind = kind
        self._level = heading_level
        self._options = options or {}
        self._first_error: UnreadableFileError | LimitExceededError | None = None

    @property
    def is_too_deep(self) -> bool:
        return self._limits.depth > MAX_DEPTH

    def add(self, inner: Inner, on_progress: ProgressCallback, done: int, total: int) -> None:
        """Parse one file. What is wrong with it becomes a warning; raises only when the whole has passed a limit."""
        name = shown_name(inner.name)
        try:
            if inner.complaint is not None:
                raise inner.complaint
            document = self._parse(inner, name, lambda _done, _total: on_progress(done, total))
        except LimitExceededError as error:
            if self.budget.is_spent:
                raise
            self.warn(error)
        except UnreadableFileError as error:
            self.warn(error)
        else:
            self._append(name, document)
        on_progress(done + 1, total)

    def warn(self, error: UnreadableFileError | LimitExceededError) -> None:
        self._first_error = self._first_error or error
        if len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(f"Left out: {error}.")
        elif len(self.warnings) == MAX_WARNINGS:
            self.warnings.append("More files were left out than are named here.")

    def nothing_read(self, probe: FileProbe) -> UnreadableFileError | LimitExceededError:
        """What to raise for a file in which no file could be read."""
        error = self._first_error
        if error is None:
            return NoTextError(f"'{probe.filename}' has no text: there are no files in it")
        return type(error)(f"'{probe.filename}' holds no file that can be read: {error}")

    def _parse(self, inner: Inner, name: str, on_progress: ProgressCallback) -> Document:
        from rag.parsers.auto import UniversalParser  # it knows all parsers, those that nest included

        with tempfile.TemporaryDirectory(prefix="paddock-") as folder:
            path = Path(folder) / "inner"  # its own name is never used: it may lead anywhere
            with readable_package(replace(self._probe, filename=name)):
                self._copy(inner, path)
            probe = replace(probe_file(path, PurePosixPath(name).name or name), filename=name)
            return UniversalParser.with_options(self._options).parse(probe, self._limits, on_progress)

    def _copy(self, inner: Inner, path: Path) -> None:
        try:
            with inner.open() as stream, path.open("wb") as target:
                for piece in iter(lambda: stream.read(PIECE_BYTES), b""):
                    if not inner.is_counted:
                        self.budget.take_bytes(len(piece))
                    target.write(piece)
        except tarfile.TarError as error:
            raise EOFError(str(error)) from error  # told like the damage of any other archive

    def _append(self, name: str, document: Document) -> None:
        with self._builder.part(self._kind, name):
            self._builder.add_heading(name, self._level)
            self._builder.add_document(document, self._kind, name, heading_shift=self._level)
        self.warnings.extend(f"{name}: {warning}" for warning in document.warnings[: MAX_WARNINGS - len(self.warnings)])


def read_bytes(
    data: bytes, parser: str, options: Mapping[str, Any], filename: str, media_type: str, limits: ParseLimits
) -> Document:
    """What the named parser makes of `data`: for texts of a format that stand inside of another one."""
    with tempfile.TemporaryDirectory(prefix="paddock-") as folder:
        path = Path(folder) / "inner"
        path.write_bytes(data)
        probe = FileProbe(path, filename, media_type, len(data), data[:HEAD_BYTES])
        return parsers.build(parser, options).parse(probe, limits)


def shown_name(name: str) -> str:
    """A path as it is shown and cited: one line, without a root and without steps upwards."""
    plain = clean(name).replace("\\", "/")
    steps = [" ".join(step.split()) for step in plain.split("/")]
    joined = "/".join(step for step in steps if step not in {"", ".", ".."})
    return joined[-_MAX_NAME_CHARS:] or "unnamed"
