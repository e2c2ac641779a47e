"""The files of a database cut another way, into a store that lives for one evaluation."""

import random
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Protocol

from config.evaluation import Cut
from config.layout import ProjectPaths
from config.processing import ProcessingPlan
from config.project import ProjectConfig
from config.rag_section import DatabaseConfig
from rag.chunkers.distances import distances_by
from rag.embedders.base import Embedder
from rag.errors import BadRequestError, ConflictError, LimitExceededError, NotFoundError
from rag.evaluation.run import Cutting
from rag.evaluation.synthetic import Passage
from rag.parsers.detect import probe_file
from rag.pipelines.ingest import FileIdentity, ParseRoute, build_metadata, embed_and_write
from rag.pipelines.ingest import cut as cut_document
from rag.stores.base import Store
from rag.types import Document, Vector, with_table_header
from state.contents import ShownFile
from workers.checkpoints import Checkpoints
from workers.runtime import Runtime

MAX_PASSAGES = 5_000
MIN_PER_FILE = 20
BATCH = 250


def sample_passages(store: Store, files: Sequence[ShownFile], seed: int) -> list[Passage]:
    """Chunks that questions are made of; the same for the same files and seed."""
    generator = random.Random(seed)  # noqa: S311  # no secret depends on it
    chosen = list(files)
    generator.shuffle(chosen)
    per_file = max(MIN_PER_FILE, MAX_PASSAGES // max(1, len(chosen)))
    found: list[Passage] = []
    for file in chosen:
        # From the beginning of each file: a few times what is kept, so that long files are not read whole for it.
        batch_count = min(MAX_PASSAGES // BATCH, max(2, 4 * per_file // BATCH))
        batches = islice(store.upkeep.batches(file.pair, BATCH), batch_count)
        texts = [record.text for batch in batches for record in batch]
        kept = generator.sample(texts, min(len(texts), per_file, MAX_PASSAGES - len(found)))
        found += [Passage(file.filename, text) for text in kept]
        if len(found) >= MAX_PASSAGES:
            break
    return found


class Steps(Protocol):
    """Where progress is told."""

    base: int

    def at(self, done: int, message: str) -> None: ...


class TrialChunks:
    """Works on the parsed text that is kept beside each file: nothing is parsed again."""

    def __init__(
        self, runtime: Runtime, config: ProjectConfig, database: DatabaseConfig, files: Sequence[ShownFile]
    ) -> None:
        self._runtime, self._config, self._database, self._files = runtime, config, database, files
        self._paths = ProjectPaths.of(runtime.settings, config.namespace, config.name)
        self._without_text: list[str] = []
        self._as_parsed_before: list[str] = []

    @property
    def warnings(self) -> list[str]:
        found = []
        if self._without_text:
            found.append(
                f"{len(self._without_text)} file(s) have no parsed text here and are missing from chunks that were cut "
                f"anew: {_listed(self._without_text)}. Process them again (imported chunks have no file)"
            )
        if self._as_parsed_before:
            found.append(
                f"{len(self._as_parsed_before)} file(s) were cut as the strategy says, from text that the present "
                f"parsers read: {_listed(self._as_parsed_before)}"
            )
        return found

    def write(self, cut: Cut, store: Store, embedder: Embedder, live: Store, progress: Steps) -> Cutting:
        """Cut and embed every file. A chunk whose text the database holds takes its vector from there.

        Raises:
            LimitExceededError: more chunks than LF_EVAL_MAX_CHUNKS.
            BadRequestError: no file has parsed text.
        """
        limit = self._runtime.settings.eval_max_chunks
        count = chars = 0
        for file in self._files:
            cut_file = self._cut(cut, file)
            if cut_file is None:
                continue
            document, route, plan = cut_file
            distances = distances_by(embedder.embed_documents, _comparing(progress, count, cut.name))
            chunks = cut_document(document, route.chunker, distances)
            if count + len(chunks) > limit:
                raise LimitExceededError(
                    f"chunking '{cut.name}' gives more than {limit:,} chunks, which is the most that are held for an "
                    "evaluation (LF_EVAL_MAX_CHUNKS); try larger chunks, or a database with fewer files"
                )
            identity = self._identity(file, plan)
            done = count

            def written(number: int, done: int = done) -> None:
                progress.at(done + number, f"embedding chunks of '{cut.name}'")

            embed_and_write(
                identity,
                chunks,
                build_metadata(identity, document, chunks, route, plan.extract_routes),
                embedder=embedder,
                store=store,
                known_vectors=_vectors(live, file),
                on_written=written,
            )
            count += len(chunks)
            chars += sum(len(chunk.text) for chunk in chunks)
        if not count:
            raise BadRequestError(
                f"no file of database '{self._database.name}' has parsed text to cut: process it again"
            )
        progress.base += sum(file.chunk_count for file in self._files)
        return Cutting(cut.name, count, chars / count, is_temporary=True)

    def _cut(self, cut: Cut, file: ShownFile) -> tuple[Document, ParseRoute, ProcessingPlan] | None:
        try:
            own = self._config.dataset(file.dataset).data_processing_strategy
        except NotFoundError:  # imported, or of a dataset that the configuration does not name any more
            self._without_text.append(file.filename)
            return None
        plan = self._runtime.assembly.plan_of(cut.of(self._config, own), self._database)
        before = self._runtime.assembly.plan_of(self._config.strategy(own), self._database)
        document = self._document(file, plan.parse_fingerprint)
        if document is None and plan.parse_fingerprint != before.parse_fingerprint:
            document = self._document(file, before.parse_fingerprint)
            if document is not None:
                self._as_parsed_before.append(file.filename)
        if document is None:
            self._without_text.append(file.filename)
            return None
        return document, self._route(file, plan.parse_routes), plan

    def _document(self, file: ShownFile, fingerprint: str) -> Document | None:
        try:
            return Checkpoints(self._paths.dataset(file.dataset)).load_document(file.file_hash, fingerprint)
        except (ConflictError, ValueError):  # of another version, or damaged
            return None

    def _route(self, file: ShownFile, routes: Sequence[ParseRoute]) -> ParseRoute:
        """The one that would take the file; where its bytes are gone, the one that its name suggests."""
        raw = self._paths.dataset(file.dataset).raw(file.file_hash)
        named = [route for route in routes if route.wants(file.filename)] or list(routes)
        if raw.is_symlink() or not raw.is_file():
            return named[0]
        probe = probe_file(raw, file.filename)
        return next((route for route in named if route.parser.accepts(probe)), named[0])

    def _identity(self, file: ShownFile, plan: ProcessingPlan) -> FileIdentity:
        return FileIdentity(
            dataset=file.dataset,
            file_hash=file.file_hash,
            filename=file.filename,
            media_type="",
            size_bytes=0,
            generation=plan.generation(file.file_hash),
        )


def _comparing(progress: Steps, done: int, name: str) -> Callable[[int], None]:
    return lambda _compared: progress.at(done, f"comparing sentences for '{name}'")


def _vectors(live: Store, file: ShownFile) -> dict[str, Vector]:
    dimension = live.identity.dimension
    records = live.records(file.file_key, file.generation)
    return {
        with_table_header(record.text, record.metadata.get("table_header")): record.vector
        for record in records
        if len(record.vector) == dimension
    }


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name[:60]}'" for name in names[:3]) + (" …" if len(names) > 3 else "")
