"""One allowance for all that a file unpacks to, however deep it lies inside."""

from dataclasses import dataclass

from rag.errors import LimitExceededError
from rag.parsers.base import FileProbe, ParseLimits

_RATIO_FLOOR_BYTES = 10_000_000
"""Below this size a high ratio is harmless."""


class Budget:
    """What the outermost file may unpack to, all files inside of files included."""

    def __init__(self, probe: FileProbe, limits: ParseLimits) -> None:
        self._name = probe.filename
        self._packed_bytes = max(1, probe.size_bytes)
        self._limits = limits
        self._bytes = self._entries = 0
        self.is_spent = False

    def take_entries(self, count: int) -> None:
        self._entries += count
        most = self._limits.max_archive_entries
        if self._entries > most:
            raise self._over(f"holds more than {most:,} files (LF_MAX_ARCHIVE_ENTRIES)")

    def take_bytes(self, count: int) -> None:
        """Called as bytes are unpacked, before they are written anywhere."""
        self._bytes += count
        most, ratio = self._limits.max_uncompressed_bytes, self._limits.max_compression_ratio
        if self._bytes > most:
            raise self._over(f"unpacks to more than {most:,} bytes (LF_MAX_UNCOMPRESSED_BYTES)")
        if self._bytes > max(_RATIO_FLOOR_BYTES, ratio * self._packed_bytes):
            raise self._over(f"unpacks to more than {ratio:g} times its size (LF_MAX_COMPRESSION_RATIO)")

    def _over(self, what: str) -> LimitExceededError:
        self.is_spent = True
        return LimitExceededError(f"'{self._name}' {what}")


@dataclass(frozen=True, slots=True)
class NestedLimits(ParseLimits):
    """The limits of a file that stands inside of another one."""

    depth: int = 0
    budget: Budget | None = None


def charge(limits: ParseLimits, count: int) -> None:
    """Count what a format that is an archive itself (Word, EPUB …) unpacks to, where it stands inside of a file."""
    if isinstance(limits, NestedLimits) and limits.budget is not None:
        limits.budget.take_bytes(count)
