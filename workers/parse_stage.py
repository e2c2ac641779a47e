"""Stage one: bytes → parsed text and the spans of its chunks."""

import structlog

from config.processing import ProcessingPlan
from rag.errors import InvalidInputError, UpstreamError
from rag.parsers.detect import probe_file
from rag.pipelines.ingest import ParsedFile, parse_file
from state.tasks import ClaimedFile
from workers.checkpoints import Checkpoints
from workers.runtime import Runtime
from workers.stage_frame import Reporter, dataset_of, plan_of, run_stage

REPARSES = "reparse_count"
"""Key in a file's details: how often it came back because the embed stage could not read what this one left."""

log = structlog.get_logger(__name__)


def run_parse(runtime: Runtime, file_id: int) -> None:
    """Parse and chunk a file and hand it to the embed stage."""
    run_stage(runtime, file_id, "parse", _parse)


def _parse(runtime: Runtime, claimed: ClaimedFile) -> None:
    plan = plan_of(runtime, claimed)
    generation = plan.generation(claimed.file_hash)
    live = runtime.generations.of_file(claimed.namespace, claimed.project, claimed.dataset, claimed.file_hash)
    if live is None:
        error = "the file was removed while it waited"
        runtime.tasks.end(claimed.id, claimed.owner, "cancelled", error=error, reason="removed")
        return
    if (live.generation, live.database) == (generation, claimed.database):
        runtime.tasks.skip(claimed.id, claimed.owner, chunk_count=live.chunk_count)
        return
    dataset = dataset_of(runtime, claimed)
    raw = dataset.raw(claimed.file_hash)
    if raw.is_symlink() or not raw.is_file():
        raise InvalidInputError(f"'{claimed.filename}' has no stored bytes any more; upload it again")
    probe = probe_file(raw, claimed.filename)
    on_progress = Reporter(runtime, claimed).parsed
    parsed = parse_file(probe, plan.parse_routes, runtime.assembly.parse_limits, on_progress)
    checkpoints = Checkpoints(dataset)
    checkpoints.save_document(claimed.file_hash, plan.parse_fingerprint, parsed.document)
    checkpoints.save_chunks(claimed.file_hash, generation, parsed.chunks)
    details = _details(parsed, plan, probe.media_type, probe.size_bytes)
    details[REPARSES] = claimed.details.get(REPARSES, 0)
    if runtime.tasks.parsed(claimed.id, claimed.owner, chunk_count=len(parsed.chunks), details=details):
        _send_to_embed(runtime, claimed.id)
    elif _is_gone(runtime, claimed):
        checkpoints.drop_file(claimed.file_hash)


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
