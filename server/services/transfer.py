"""A database out of the server as one JSON document, and back in; neither is ever held in memory as a whole."""

import hashlib
import re
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from io import TextIOWrapper
from tempfile import TemporaryFile
from typing import IO, TextIO

from anyio import to_thread

from config.settings import Settings
from rag import exchange
from rag.embedders.base import Embedder
from rag.errors import ConflictError, EmbeddingError, InvalidInputError, LimitExceededError, UpstreamError
from rag.exchange import ExportedChunk
from rag.stores.base import Store
from rag.types import Record, with_table_header
from server.schemas.maintenance import Imported
from server.services.database_access import DatabaseAccess, OpenDatabase
from server.services.maintenance import SHOWN_ERRORS
from state.contents import IMPORTED, ShownFile, import_generation
from state.incoming import disk_errors

BATCH_SIZE = 200
_HASH = re.compile(r"[0-9a-f]{64}")


class TransferService:
    def __init__(self, access: DatabaseAccess, settings: Settings) -> None:
        self._access = access
        self._folder = settings.data_dir / "incoming"
        self._max_bytes = settings.max_upload_bytes

    def export(self, namespace: str, project: str, database: str | None, *, metadata_only: bool) -> Iterator[bytes]:
        """The export in pieces. What does not exist is found out before the first one."""
        opened = self._access.open(namespace, project, database)
        files = self._access.contents.files(*opened.place)
        facts = opened.store.upkeep.made_with()
        head = exchange.head(
            {
                "export_date": datetime.now(UTC).isoformat(),
                "database": opened.database.name,
                "metadata": {
                    "project": f"{namespace}/{project}",
                    "model_id": facts.model_id if facts else None,
                    "dimension": facts.dimension if facts else None,
                    "metric": facts.metric if facts else None,
                    "document_count": len(files),
                    "metadata_only": metadata_only,
                },
            }
        )
        return self._pieces(opened, files, head, with_embedding=not metadata_only)

    def _pieces(
        self, opened: OpenDatabase, files: Sequence[ShownFile], head: bytes, *, with_embedding: bool
    ) -> Iterator[bytes]:
        yield head
        separator = b""
        for batch in self._batches(opened, files):
            lines = [exchange.entry(record, with_embedding=with_embedding) for record in batch]
            yield separator + b",\n".join(lines)
            separator = b",\n"
        yield exchange.TAIL

    def _batches(self, opened: OpenDatabase, files: Sequence[ShownFile]) -> Iterator[list[Record]]:
        for file in files:
            is_there = False
            for batch in opened.store.upkeep.batches(file.pair, BATCH_SIZE):
                is_there = True
                yield batch
            if not is_there:  # processed again since the list was made: what is shown now is taken
                for now in self._access.contents.files(*opened.place):
                    if now.file_key == file.file_key and now.pair != file.pair:
                        yield from opened.store.upkeep.batches(now.pair, BATCH_SIZE)

    async def receive(
        self, namespace: str, project: str, database: str | None, strategy: str | None, body: AsyncIterator[bytes]
    ) -> Imported:
        """Store the body on disk, check all of it, and import it.

        Raises:
            LimitExceededError: it is larger than LF_MAX_UPLOAD_BYTES.
            InvalidInputError: it is no export; nothing was imported.
            ConflictError: the database is being rebuilt, moved or imported to.
        """
        opened = await to_thread.run_sync(self._open, namespace, project, database)
        if strategy is not None:
            opened.config.strategy(strategy)
        with disk_errors():
            self._folder.mkdir(parents=True, exist_ok=True)
            # Without a name: a process that is killed leaves nothing behind.
            spool = TemporaryFile(dir=self._folder)  # noqa: SIM115  # closed below
        with spool:
            await self._spool(body, spool)
            return await to_thread.run_sync(self._import_alone, opened.place, spool, strategy)

    async def _spool(self, body: AsyncIterator[bytes], spool: IO[bytes]) -> None:
        size = 0
        async for piece in body:
            size += len(piece)
            if size > self._max_bytes:
                raise LimitExceededError(f"the export has more than {self._max_bytes:,} bytes (LF_MAX_UPLOAD_BYTES)")
            with disk_errors():
                await to_thread.run_sync(spool.write, piece)

    def _open(self, namespace: str, project: str, database: str | None) -> OpenDatabase:
        opened = self._access.open(namespace, project, database)
        self._access.require_idle(opened, "import to", ("upkeep",))
        return opened

    def _import_alone(self, place: tuple[str, str, str], spool: IO[bytes], strategy: str | None) -> Imported:
        with self._access.alone(*place):
            # Anew, because it may have been moved while the body came.
            return self._import(self._open(*place), spool, strategy)

    def _import(self, opened: OpenDatabase, spool: IO[bytes], strategy: str | None) -> Imported:
        with _as_text(spool) as stream:
            facts = exchange.read_facts(stream)
        embedder = self._access.assembly.embedder(opened.database)
        store = self._access.assembly.raw_store(opened.config.namespace, opened.config.name, opened.database)
        made_with = facts.get("metadata") or {}
        is_comparable = (made_with.get("model_id"), made_with.get("dimension")) == (
            embedder.model_id,
            embedder.dimension,
        )
        running = _Import(opened.database.name, embedder, store, takes_vectors=is_comparable)
        try:
            with _as_text(spool) as stream:
                for chunk in exchange.read_chunks(stream):
                    running.add(chunk)
                running.flush()
        except BaseException:
            running.take_back(running.counts)
            raise
        self._show(opened, running)
        notes = [] if is_comparable else [_why_embedded(made_with.get("model_id"), embedder.model_id)]
        if strategy is not None:
            notes.append(f"strategy '{strategy}' had no effect: chunks are taken over as they were cut")
        return Imported(
            success=not running.errors,
            documents_imported=len(running.counts),
            chunks_created=sum(running.counts.values()),
            errors=list(running.errors.values())[:SHOWN_ERRORS],
            embedded=running.embedded_count,
            notes=notes,
        )

    def _show(self, opened: OpenDatabase, running: "_Import") -> None:
        """All files become visible together; what an earlier import of the same files left is deleted."""
        files = [
            ShownFile(dataset, file_hash, running.names[dataset, file_hash], running.generation, count, time.time())
            for (dataset, file_hash), count in running.counts.items()
        ]
        stored = running.store.upkeep.contents([file.pair for file in files])
        if any(file.pair not in stored or stored[file.pair].chunk_count != file.chunk_count for file in files):
            running.take_back(running.counts)
            raise ConflictError(
                f"database '{opened.database.name}' was cleared while the import wrote to it; nothing was imported"
            )
        replaced = self._access.contents.show(*opened.place, files)
        owner = f"import:{uuid.uuid4().hex[:12]}"
        for pair in replaced:
            self._access.discard(opened, pair, owner)


@contextmanager
def _as_text(spool: IO[bytes]) -> Iterator[TextIO]:
    """The spooled bytes from their beginning; the spool stays open."""
    spool.seek(0)
    text = TextIOWrapper(spool, encoding="utf-8")
    try:
        yield text
    finally:
        text.detach()


class _Import:
    """One import: chunks are written as they come, under a generation that nothing shows yet."""

    def __init__(self, database: str, embedder: Embedder, store: Store, *, takes_vectors: bool) -> None:
        self.generation = import_generation(time.time())
        self.counts: dict[tuple[str, str], int] = {}
        self.names: dict[tuple[str, str], str] = {}
        self.errors: dict[tuple[str, str], str] = {}
        self.embedded_count = 0
        self._database = database
        self._embedder = embedder
        self.store = store
        self._takes_vectors = takes_vectors
        self._batch: list[ExportedChunk] = []
        self._file: tuple[str, str] | None = None

    def add(self, chunk: ExportedChunk) -> None:
        file = self._file_of(chunk)
        if file != self._file or len(self._batch) >= BATCH_SIZE:
            self.flush()
            self._file = file
        if file not in self.errors:
            self.names.setdefault(file, str(chunk.metadata.get("filename") or chunk.id or "imported"))
            self._batch.append(chunk)

    def flush(self) -> None:
        """Write what has come of one file; a chunk that cannot be embedded costs the file, not the import."""
        batch, self._batch, file = self._batch, [], self._file
        if not batch or file is None:
            return
        try:
            self.store.upsert(self._records(file, batch))
            self.counts[file] = self.counts.get(file, 0) + len(batch)
        except (EmbeddingError, InvalidInputError) as error:
            self.errors[file] = f"{self.names[file]}: {error.message}"
            self.take_back([file])

    def take_back(self, files: Sequence[tuple[str, str]] | dict[tuple[str, str], int]) -> None:
        for dataset, file_hash in list(files):
            self.counts.pop((dataset, file_hash), None)
            try:
                self.store.delete(f"{dataset}/{file_hash}", self.generation)
            except UpstreamError:  # nothing shows these chunks; `compact` removes them later
                return

    def _records(self, file: tuple[str, str], batch: Sequence[ExportedChunk]) -> list[Record]:
        dimension = self._embedder.dimension
        missing = [
            position
            for position, chunk in enumerate(batch)
            if not self._takes_vectors or chunk.embedding is None or len(chunk.embedding) != dimension
        ]
        vectors = {position: batch[position].embedding for position in range(len(batch))}
        if missing:
            chunks = [batch[position] for position in missing]
            texts = [with_table_header(chunk.content, chunk.metadata.get("table_header")) for chunk in chunks]
            made = self._embedder.embed_documents(texts)
            vectors |= dict(zip(missing, made, strict=True))
            self.embedded_count += len(missing)
        first, file_key = self.counts.get(file, 0), "/".join(file)
        records = []
        for position, chunk in enumerate(batch):
            vector = vectors[position]
            assert vector is not None, "every chunk came with its vector or was embedded"
            record_id = f"{file_key}/{self.generation}/{first + position:06d}"
            records.append(Record(record_id, chunk.content, vector, file_key, self.generation, chunk.metadata))
        return records

    def _file_of(self, chunk: ExportedChunk) -> tuple[str, str]:
        """(dataset, file hash) of its own: a dataset of this project may have the same file in another database."""
        source = str(chunk.metadata.get("dataset", ""))
        dataset = f"{IMPORTED}{self._database}.{hashlib.sha256(source.encode()).hexdigest()[:12]}"
        file_hash = str(chunk.metadata.get("file_hash", ""))
        if not _HASH.fullmatch(file_hash):
            name = str(chunk.metadata.get("filename") or chunk.id)
            file_hash = hashlib.sha256(name.encode()).hexdigest()
        return dataset, file_hash


def _why_embedded(exported: object, present: str) -> str:
    made = f"made by '{exported}'" if exported else "of a model that it does not name"
    return f"the vectors of the export are {made}, this database has '{present}': all chunks were embedded anew"
