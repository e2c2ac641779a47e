"""Stage one: bytes → parsed text and the spans of its chunks, which are left to stage two where they need a model."""

import structlog

from config.overrides import OVERRIDES
from config.processing import FORCED, ProcessingPlan, same_chunks
from rag.errors import UpstreamError
from rag.parsers.detect import probe_file
from rag.pipelines.ingest import ParsedFile, parse_file
from rag.types import Chunk
from state.file_trace import FIRST_NOTE
from state.generations import LiveFile
from state.task_rows import ClaimedFile
from workers.cancel_watch import stopped_unless
from workers.checkpoints import Checkpoints
from workers.runtime import Runtime
from workers.stage_frame import Reporter, dataset_of, generation_of, give_up, plan_of, run_stage

REPARSES = "reparse_count"
"""Key in a file's details: how often it came back because the embed stage could not read what this one left."""

log = structlog.get_logger(__name__)


def run_parse(runtime: Runtime, file_id: int) -> None:
    """Parse and chunk a file and hand it to the embed stage."""
    run_stage(runtime, file_id, "parse", _parse)


def _parse(runtime: Runtime, claimed: ClaimedFile) -> None:
    plan = plan_of(runtime, claimed)
    generation = generation_of(claimed, plan)
    live = runtime.generations.of_file(claimed.namespace, claimed.project, claimed.dataset, claimed.file_hash)
    if live is None:
        error = "the file was removed while it waited"
        runtime.tasks.end(claimed.id, claimed.owner, "cancelled", error=error, reason="removed")
        return
    dataset = dataset_of(runtime, claimed)
    raw = dataset.raw(claimed.file_hash)
    if raw.is_symlink() or not raw.is_file():
        error = f"'{claimed.filename}' has no stored bytes any more; upload it again"
        runtime.tasks.end(claimed.id, claimed.owner, "failed", error=error, reason="missing_bytes")
        return
    if live.database == claimed.database and _is_written(live, generation):
        runtime.tasks.skip(
            claimed.id, claimed.owner, chunk_count=live.chunk_count, generation=live.generation or generation
        )
        return
    probe = probe_file(raw, claimed.filename)
    claimed.trace.clear()  # of a parse before this one
    _note_start(runtime, claimed, probe.media_type, probe.size_bytes)
    on_progress = Reporter(runtime, claimed).parsed
    with stopped_unless(lambda: _is_wanted(runtime, claimed), on_stuck=lambda: give_up(runtime, claimed)):
        parsed = parse_file(probe, plan.parse_routes, runtime.assembly.parse_limits, on_progress)
    _note_parsed(runtime, claimed, parsed, probe.media_type)
    checkpoints = Checkpoints(dataset)
    checkpoints.save_document(claimed.file_hash, plan.parse_fingerprint, parsed.document)
    if parsed.is_cut:
        checkpoints.save_chunks(claimed.file_hash, generation, parsed.chunks)
    else:
        checkpoints.drop_chunks(claimed.file_hash, generation)  # of a try before this one: they may be damaged
    details = _details(parsed, plan, probe.media_type, probe.size_bytes)
    details |= {key: claimed.details[key] for key in (REPARSES, OVERRIDES) if key in claimed.details}
    count, trace = len(parsed.chunks), claimed.trace
    if runtime.tasks.parsed(claimed.id, claimed.owner, chunk_count=count, details=details, trace=trace):
        _send_to_embed(runtime, claimed.id)
    elif _is_gone(runtime, claimed):
        checkpoints.drop_file(claimed.file_hash)


def _is_wanted(runtime: Runtime, claimed: ClaimedFile) -> bool:
    return runtime.tasks.is_wanted(claimed.id, claimed.owner)


def _is_written(live: LiveFile, generation: str) -> bool:
    """Whether what is live came of the same file and options; one that was asked for anew is so only if it is it."""
    return live.generation == generation if FORCED in generation else same_chunks(live.generation, generation)


def _note_start(runtime: Runtime, claimed: ClaimedFile, media_type: str, size_bytes: int) -> None:
    place = {"dataset_name": claimed.dataset, "database": claimed.database, "strategy": claimed.strategy}
    file = {"filename": claimed.filename, "size_bytes": size_bytes, "content_type": media_type}
    runtime.tasks.note(claimed, FIRST_NOTE, **file, **place)


def _note_parsed(runtime: Runtime, claimed: ClaimedFile, parsed: ParsedFile, media_type: str) -> None:
    names = {"filename": claimed.filename, "parsers": [parsed.route.name], "mime_type": media_type}
    runtime.tasks.note(claimed, "file_parsed", **names)
    if parsed.is_cut:
        note_chunks(runtime, claimed, parsed.chunks)


def note_chunks(runtime: Runtime, claimed: ClaimedFile, chunks: list[Chunk]) -> None:
    count = len(chunks)
    size = round(sum(len(chunk.text) for chunk in chunks) / max(1, count))
    runtime.tasks.note(claimed, "chunks_created", chunk_count=count, avg_chunk_size=size, file_hash=claimed.file_hash)


def _is_gone(runtime: Runtime, claimed: ClaimedFile) -> bool:
    """Whether the file was removed while it was parsed: nothing of its text may stay."""
    place = (claimed.namespace, claimed.project, claimed.dataset)
    return runtime.generations.of_file(*place, claimed.file_hash) is None


def _send_to_embed(runtime: Runtime, file_id: int) -> None:
    try:
        runtime.queue.send_stage("embed", [file_id])
    except UpstreamError as error:
        log.warning("stage.embed_not_sent", error=error.message)  # the sweeper sends it


def _details(parsed: ParsedFile, plan: ProcessingPlan, media_type: str, size_bytes: int) -> dict[str, object]:
    return {
        "parser": parsed.route.name,
        "route": plan.parse_routes.index(parsed.route),
        "extractors": [route.name for route in plan.extract_routes],
        "chunk_size": parsed.route.chunk_size,
        "media_type": media_type,
        "size_bytes": size_bytes,
        "page_count": parsed.document.page_count,
        "pages_without_text": list(parsed.document.empty_pages),
        "warnings": [*parsed.document.warnings, *plan.warnings],
    }
