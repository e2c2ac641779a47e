"""Finds and removes what should not be in a database: shown twice, without a file, or not whole."""

import hashlib
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from config.layout import ProjectPaths
from config.loader import ProjectStore
from rag.errors import BadRequestError, RagError
from rag.stores.base import Pair
from server.schemas.maintenance import PruneCounts, Pruned
from server.services.database_access import DatabaseAccess, OpenDatabase
from server.services.maintenance import SHOWN_ERRORS, MaintenanceService
from state.contents import ShownFile

Kind = Literal["duplicate", "orphaned", "corrupted"]
READ_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """`file` is None for what nothing shows."""

    kind: Kind
    pair: Pair
    file: ShownFile | None = None


class PruningService:
    def __init__(self, projects: ProjectStore, access: DatabaseAccess, maintenance: MaintenanceService) -> None:
        self._projects = projects
        self._access = access
        self._maintenance = maintenance

    def preview(self, namespace: str, project: str, database: str | None) -> PruneCounts:
        """What `prune` would remove; nothing is changed."""
        kinds = [finding.kind for finding in self._findings(self._access.open(namespace, project, database))]
        return PruneCounts(
            duplicates=kinds.count("duplicate"),
            orphaned=kinds.count("orphaned"),
            corrupted=kinds.count("corrupted"),
            total_to_remove=len(kinds),
        )

    def prune(self, namespace: str, project: str, database: str | None) -> Pruned:
        """Remove it. Files whose chunks were corrupted or duplicates stay in their datasets, to be processed again."""
        started_at = time.perf_counter()
        opened = self._access.open(namespace, project, database)
        owner, removed, errors = f"prune:{uuid.uuid4().hex[:12]}", 0, list[str]()
        findings = self._findings(opened)
        for finding in findings:
            try:
                self._remove(opened, finding, owner)
                removed += 1
            except RagError as error:
                errors.append(f"{finding.file.filename if finding.file else finding.pair[0]}: {error.message}")
        if any(finding.kind == "corrupted" for finding in findings):
            opened.store.upkeep.compact()  # also mends the lexical index
        duration_s = round(time.perf_counter() - started_at, 3)
        return Pruned(success=not errors, removed=removed, duration_seconds=duration_s, errors=errors[:SHOWN_ERRORS])

    def _remove(self, opened: OpenDatabase, finding: Finding, owner: str) -> None:
        if finding.file is None:
            self._access.discard(opened, finding.pair, owner)
            return
        self._maintenance.remove_one(opened, finding.file)
        if finding.kind == "orphaned":
            self._access.contents.forget(*opened.place[:2], finding.file)

    def _findings(self, opened: OpenDatabase) -> list[Finding]:
        """Each document once: orphaned, else corrupted, else a duplicate. What a task has in hand is left alone."""
        busy = {file_key for file_key, _ in self._access.contents.pairs_in_work(*opened.place)}
        files = [file for file in self._access.contents.files(*opened.place) if file.file_key not in busy]
        orphaned = set(self._without_file(opened, files))
        corrupted = set(_not_whole(opened, files)) - orphaned
        sound = [file for file in files if file not in orphaned | corrupted]
        return [
            *(Finding("orphaned", pair) for pair in sorted(self._access.dead(opened))),
            *(Finding("orphaned", file.pair, file) for file in files if file in orphaned),
            *(Finding("corrupted", file.pair, file) for file in files if file in corrupted),
            *(Finding("duplicate", file.pair, file) for file in _shown_twice(opened, sound)),
        ]

    def _without_file(self, opened: OpenDatabase, files: Iterable[ShownFile]) -> Iterator[ShownFile]:
        """Files whose dataset is not in the configuration any more, or that were taken out of its folder by hand."""
        datasets = {entry.name for entry in opened.config.datasets}
        paths = self._projects.paths(opened.config.namespace, opened.config.name)
        by_dataset: dict[str, list[ShownFile]] = defaultdict(list)
        for file in files:
            if not file.is_imported:
                by_dataset[file.dataset].append(file)
        for dataset, members in by_dataset.items():
            present = _hashes(paths, dataset) if dataset in datasets else set()
            yield from (file for file in members if file.file_hash not in present)


def _hashes(paths: ProjectPaths, dataset: str) -> set[str]:
    try:
        return {path.stem for path in paths.dataset(dataset).meta_dir.glob("*.json")}
    except BadRequestError:  # a name in an old file that can be no folder
        return set()


def _not_whole(opened: OpenDatabase, files: Iterable[ShownFile]) -> Iterator[ShownFile]:
    """Files with fewer or more chunks than were written, or with a vector that can be compared with none."""
    stored, unsound = opened.store.generations(), opened.store.upkeep.unsound()
    return (file for file in files if stored.get(file.pair, 0) != file.chunk_count or file.pair in unsound)


def _shown_twice(opened: OpenDatabase, files: Iterable[ShownFile]) -> list[ShownFile]:
    """All but one of the files with the same bytes and the same chunks.

    The one of the dataset that stands first in llamafarm.yaml stays; one of a dataset rather than an imported one.
    """
    order = {entry.name: position for position, entry in enumerate(opened.config.datasets)}
    by_hash: dict[str, list[ShownFile]] = defaultdict(list)
    for file in files:
        by_hash[file.file_hash].append(file)
    found: list[ShownFile] = []
    for members in by_hash.values():
        if len(members) > 1:
            seen: set[bytes] = set()
            for file in sorted(members, key=lambda each: (order.get(each.dataset, len(order)), each.dataset)):
                digest = _digest(opened, file)
                found += [file] if digest in seen else []
                seen.add(digest)
    return found


def _digest(opened: OpenDatabase, file: ShownFile) -> bytes:
    """Of the texts of a file's chunks."""
    digest = hashlib.sha256()
    for batch in opened.store.upkeep.batches(file.pair, READ_AT_ONCE):
        for record in batch:
            digest.update(hashlib.sha256(record.text.encode()).digest())
    return digest.digest()
