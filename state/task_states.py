"""The states of a file in a task; see workers/progress.py for what clients are told."""

from typing import Final, Literal

FileState = Literal["queued", "parsing", "parsed", "embedding", "processed", "skipped", "failed", "cancelled"]
Stage = Literal["parse", "embed"]

FINAL_STATES: Final = frozenset({"processed", "skipped", "failed", "cancelled"})
DONE_STATES: Final = FINAL_STATES - {"cancelled"}
"""Final, and not because somebody ended it."""
WAITING: Final[dict[Stage, FileState]] = {"parse": "queued", "embed": "parsed"}
"""What a file is before a stage takes it."""
RUNNING: Final[dict[Stage, FileState]] = {"parse": "parsing", "embed": "embedding"}
"""What a file is while a stage holds its lease."""
STAGES: Final[tuple[Stage, ...]] = ("parse", "embed")
REVERTED: Final = "reverted"
"""Reason of a file that was processed before its task was cancelled."""
