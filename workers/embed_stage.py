"""Stage two: chunks → vectors in the store, made visible together by one switch. What needs a model to be cut is cut
here as well."""

from typing import Any

from config.processing import FORCED, ProcessingPlan
from rag.chunkers.base import MeaningChunker
from rag.chunkers.distances import distances_by
from rag.embedders.base import Embedder
from rag.embedders.vector_cache import CachedEmbedder
from rag.errors import CancelledTaskError, ConflictError
from rag.pipelines.ingest import FileIdentity, ParseRoute, StoredCounts, build_metadata, cut, embed_and_write
from rag.stores.base import Store
from rag.types import Chunk, Document, Vector, with_table_header
from state.evaluations import KIND as EVALUATION
from state.task_rows import ClaimedFile
from state.upkeep_tasks import KIND as UPKEEP
from workers.checkpoints import Checkpoints
from workers.evaluate_stage import run_evaluation
from workers.parse_stage import REPARSES, note_chunks
from workers.runtime import Runtime
from workers.stage_frame import Reporter, dataset_of, generation_of, plan_of, run_stage
from workers.upkeep_stage import run_upkeep

MAX_REPARSES = 2


def run_embed(runtime: Runtime, file_id: int) -> None:
    """Embed a file's chunks, write them, and make them visible together."""
    run_stage(runtime, file_id, "embed", _embed)


def _embed(runtime: Runtime, claimed: ClaimedFile) -> None:
    if claimed.kind == EVALUATION:
        run_evaluation(runtime, claimed)
        return
    if claimed.kind == UPKEEP:
        run_upkeep(runtime, claimed)
        return
    plan = plan_of(runtime, claimed)
    identity = _identity(claimed, plan)
    checkpoints = Checkpoints(dataset_of(runtime, claimed))
    loaded = _load(checkpoints, claimed, plan, identity.generation)
    if isinstance(loaded, str):
        _parse_again(runtime, claimed, loaded)
        return
    document, chunks = loaded
    database = runtime.config_of(claimed).database(claimed.database)
    store = runtime.assembly.raw_store(claimed.namespace, claimed.project, database)
    try:
        if chunks is None:
            chunks = _cut(runtime, claimed, plan, document)
            checkpoints.save_chunks(claimed.file_hash, identity.generation, chunks)
        details = _write(runtime, claimed, store, identity, plan, (document, chunks))
        _commit(runtime, claimed, identity.generation, len(chunks), details)
    except CancelledTaskError:
        if runtime.tasks.may_discard(claimed, claimed.owner, identity.generation):
            store.delete(identity.file_key, identity.generation)
            runtime.tasks.end_discard(claimed.id, claimed.owner)
        raise


def _route(claimed: ClaimedFile, plan: ProcessingPlan) -> ParseRoute:
    return plan.parse_routes[int(claimed.details["route"])]


def _cut(runtime: Runtime, claimed: ClaimedFile, plan: ProcessingPlan, document: Document) -> list[Chunk]:
    """Chunks whose places depend on what the embedder makes of the text. They are kept like those of the other stage,
    so that a try after a crash goes on with the same ones, whatever the last digits of the vectors are."""
    embedder = _embedder(runtime, claimed)
    reporter = Reporter(runtime, claimed)
    distances = distances_by(embedder.embed_documents, lambda _done: reporter.written(0))
    chunks = cut(document, _route(claimed, plan).chunker, distances)
    if not runtime.tasks.report(claimed.id, claimed.owner, chunk_count=len(chunks)):
        raise CancelledTaskError("Task cancelled")
    note_chunks(runtime, claimed, chunks)
    return chunks


def _embedder(runtime: Runtime, claimed: ClaimedFile) -> Embedder:
    """The database's, which embeds no text twice unless everything is to be made anew."""
    embedder = runtime.assembly.embedder(runtime.config_of(claimed).database(claimed.database))
    project = f"{claimed.namespace}/{claimed.project}"
    return CachedEmbedder(embedder, runtime.vectors, project=project, reads=FORCED not in claimed.generation)


def _parse_again(runtime: Runtime, claimed: ClaimedFile, problem: str) -> None:
    count = int(claimed.details.get(REPARSES, 0)) + 1
    if count > MAX_REPARSES:
        error = f"the parsed text of '{claimed.filename}' cannot be used: {problem} (parsed again {MAX_REPARSES} times)"
        runtime.tasks.end(claimed.id, claimed.owner, "failed", error=error, reason="unusable_checkpoint")
        return
    error = f"the file is parsed again: {problem}"
    details = {**claimed.details, REPARSES: count}
    runtime.tasks.retry_later(claimed.id, claimed.owner, "parse", delay_s=0.0, error=error, details=details)


def _write(
    runtime: Runtime,
    claimed: ClaimedFile,
    store: Store,
    identity: FileIdentity,
    plan: ProcessingPlan,
    loaded: tuple[Document, list[Chunk]],
) -> dict[str, Any]:
    """The file's details with what is known of it now."""
    document, chunks = loaded
    route = _route(claimed, plan)
    warnings: list[str] = [*claimed.details.get("warnings", ())]
    embedder = _embedder(runtime, claimed)
    counts = embed_and_write(
        identity,
        chunks,
        build_metadata(identity, document, chunks, route, plan.extract_routes, warnings.append),
        embedder=embedder,
        store=store,
        known_vectors=_known_vectors(runtime, claimed, store, identity),
        is_written=_written_before(claimed, store, identity).__contains__,
        on_written=Reporter(runtime, claimed).written,
    )
    _note(runtime, claimed, store, embedder.model_id, counts)
    return {**claimed.details, "embedder": embedder.model_id, "warnings": warnings}


def _note(runtime: Runtime, claimed: ClaimedFile, store: Store, model_id: str, counts: StoredCounts) -> None:
    """Chunks are embedded and written by turns: the first note carries the time of both."""
    model = {"embedder": model_id, "embedding_dimension": store.identity.dimension}
    runtime.tasks.note(claimed, "embeddings_generated", embedding_count=counts.stored, **model)
    database = runtime.config_of(claimed).database(claimed.database)
    stored = {"stored_count": counts.stored + counts.reused, "skipped_count": 0}
    runtime.tasks.note(claimed, "chunks_stored", database=database.name, **stored, storage_type=database.type)


def _commit(runtime: Runtime, claimed: ClaimedFile, generation: str, chunk_count: int, details: dict[str, Any]) -> None:
    if not runtime.tasks.commit(
        claimed, claimed.owner, generation=generation, chunk_count=chunk_count, details=details
    ):
        raise CancelledTaskError("Task cancelled")


def _known_vectors(runtime: Runtime, claimed: ClaimedFile, store: Store, identity: FileIdentity) -> dict[str, Vector]:
    """Text → vector of what is live of this file: a chunk whose text did not change is not embedded again."""
    if FORCED in identity.generation:
        return {}  # everything is to be made anew, vectors too
    live = runtime.generations.of_file(claimed.namespace, claimed.project, claimed.dataset, claimed.file_hash)
    if live is None or live.generation is None or live.database != claimed.database:
        return {}
    # Of another length when the model was changed: the store then says so, once it is given a vector of the new one.
    return {
        with_table_header(record.text, record.metadata.get("table_header")): record.vector
        for record in store.records(identity.file_key, live.generation)
        if len(record.vector) == store.identity.dimension
    }


def _written_before(claimed: ClaimedFile, store: Store, identity: FileIdentity) -> set[str]:
    """Ids that an interrupted try left in the store: they are not embedded again."""
    if claimed.attempts == 0 and claimed.crashes == 0:
        return set()
    return {record.id for record in store.records(identity.file_key, identity.generation)}


def _load(
    checkpoints: Checkpoints, claimed: ClaimedFile, plan: ProcessingPlan, generation: str
) -> tuple[Document, list[Chunk] | None] | str:
    """What the parse stage left, or why it cannot be had. No chunks where it leaves the cutting to this stage."""
    try:
        document = checkpoints.load_document(claimed.file_hash, plan.parse_fingerprint)
        chunks = None if document is None else checkpoints.load_chunks(claimed.file_hash, generation, document)
    except ConflictError as error:  # written by another version
        return error.message
    except ValueError as error:  # damaged by a loss of power
        return f"it is damaged ({type(error).__name__})"
    if document is None or (chunks is None and not isinstance(_route(claimed, plan).chunker, MeaningChunker)):
        return "it is missing"
    return document, chunks


def _identity(claimed: ClaimedFile, plan: ProcessingPlan) -> FileIdentity:
    return FileIdentity(
        dataset=claimed.dataset,
        file_hash=claimed.file_hash,
        filename=claimed.filename,
        media_type=str(claimed.details["media_type"]),
        size_bytes=int(claimed.details["size_bytes"]),
        generation=generation_of(claimed, plan),
    )
