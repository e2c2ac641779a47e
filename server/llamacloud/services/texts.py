"""The parsed texts of a collection's files: what offsets of chunks and matches count in.

Texts are kept in memory between requests, by path and time of the file that holds them, up to `KEPT_CHARS`.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import orjson

from config.layout import ProjectPaths
from config.processing import fingerprints
from config.project import ProjectConfig
from rag.document_format import load_document
from rag.errors import ConflictError, NotFoundError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.services.members import MemberLists
from state.cloud.ids import NAMESPACE
from state.cloud.members import Collection, Member
from workers.checkpoints import Checkpoints

KEPT_CHARS = 64_000_000
"""Of all texts that a process keeps; each takes about twice as many bytes, or more if it is not ASCII."""

Stamp = tuple[str, int, int]
"""Path, time of change in ns, size."""


@dataclass(frozen=True)
class ParsedText:
    text: str = field(repr=False)
    stamp: Stamp

    @cached_property
    def encoded(self) -> bytes:
        return self.text.encode("utf-8", "surrogatepass")

    @property
    def is_ascii(self) -> bool:
        """A character is a byte."""
        return self.text.isascii()


_kept: OrderedDict[str, ParsedText] = OrderedDict()
_guard = threading.Lock()


class Texts:
    def __init__(self, cloud: CloudEngine) -> None:
        self._cloud = cloud
        self._lists = MemberLists(cloud)

    def member(self, collection: Collection, any_id: str) -> Member:
        """By its own id or that of the uploaded file behind it. Raises NotFoundError."""
        found = self._lists.of(collection).find(any_id)
        if found is None:
            raise NotFoundError(f"File {any_id[:100]!r} not found in {collection.kind} '{collection.id}'")
        return found

    def text(self, collection: Collection, member: Member) -> ParsedText:
        """Raises NotFoundError while it has none: it waits to be parsed, or could not be."""
        config = self._cloud.projects.load(collection.project_id)
        path = self._path(config, collection, member.file_hash)
        found = None if path is None else read_text(path)
        if found is None:
            raise NotFoundError(
                f"File '{member.name[:200]}' ({member.id}) has no parsed text: it was not read yet, or could not be; "
                f"the {collection.kind} tells which"
            )
        return found

    def _path(self, config: ProjectConfig, collection: Collection, file_hash: str) -> Path | None:
        """As the dataset's files are parsed now; before they are parsed again, as they last were."""
        paths = ProjectPaths.of(self._cloud.settings, NAMESPACE, collection.project_id).dataset(collection.dataset)
        dataset = next((each for each in config.datasets if each.name == collection.dataset), None)
        database = next((each for each in config.databases if each.name == collection.database), None)
        if dataset is None or database is None:
            return None
        strategy = config.strategy(dataset.data_processing_strategy)
        embedding = database.embedding_strategy_in_use()
        wanted = Checkpoints(paths).text_path(file_hash, fingerprints(strategy, embedding, database.place)[1])
        if wanted.is_file():
            return wanted
        others = [each for each in paths.text_dir.glob(f"{file_hash}.*.text.json") if each.is_file()]
        return max(others, key=lambda each: each.stat().st_mtime_ns, default=None)


def read_text(path: Path) -> ParsedText | None:
    """None when it is gone, or was written by another version."""
    try:
        facts = path.stat()
        stamp = (str(path), facts.st_mtime_ns, facts.st_size)
        with _guard:
            known = _kept.get(stamp[0])
            if known is not None and known.stamp == stamp:
                _kept.move_to_end(stamp[0])
                return known
        found = ParsedText(load_document(path.read_bytes()).text, stamp)
    except (FileNotFoundError, ConflictError, orjson.JSONDecodeError):
        return None
    _keep(found)
    return found


def _keep(found: ParsedText) -> None:
    if len(found.text) > KEPT_CHARS // 2:
        return
    with _guard:
        _kept[found.stamp[0]] = found
        _kept.move_to_end(found.stamp[0])
        total = sum(len(each.text) for each in _kept.values())
        while total > KEPT_CHARS:
            _, gone = _kept.popitem(last=False)
            total -= len(gone.text)
