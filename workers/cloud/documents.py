"""Files of the LlamaCloud side → parsed text, kept beside them: jobs that read the same file with the same options
share it. Made in the `parse` stage alone; later stages load it by its key."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from config.processing import PIPELINE_VERSION
from config.settings import Settings
from rag.document_format import dump_document, load_document
from rag.errors import NotFoundError
from rag.parsers import ocr
from rag.parsers.auto import UniversalParser, parser_for
from rag.parsers.base import FileProbe, ProgressCallback, naming, no_progress
from rag.parsers.detect import probe_file
from rag.parsers.tables import USUAL, TableStyle, written_as
from rag.types import Document
from state.cloud.blobs import PARSED, CloudFiles, write_whole
from state.cloud.jobs import CloudJob
from workers.cancel_watch import stopped_unless
from workers.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is to be read.

    Args:
        options: of parsers; each takes those that it knows.
        uses_kept, keeps: whether text of an earlier reading is taken, and whether this one is left for later ones.
    """

    options: Mapping[str, Any] | None = None
    tables: TableStyle = USUAL
    uses_kept: bool = True
    keeps: bool = True


def parsed_key(file_hash: str, name: str, options: Mapping[str, Any] | None = None) -> str:
    """Of the text that a file gives with these options: what `load_parsed` takes. Needs no file."""
    return _key(file_hash, name, Reading(options))


def parsed_document(
    runtime: Runtime,
    project_id: str,
    file_hash: str,
    name: str,
    options: Mapping[str, Any] | None = None,
    *,
    on_progress: ProgressCallback = no_progress,
) -> Document:
    """The text of a file, as every parser of the server reads it.

    Args:
        file_hash: SHA-256 of its bytes.
        name: as it was uploaded; tells formats apart that look alike.
        options: of parsers; each takes those that it knows, the others keep their defaults.

    Raises:
        UnreadableFileError, LimitExceededError: as parsers do.
        NotFoundError: its bytes are gone.
    """
    return read_file(runtime, project_id, file_hash, name, Reading(options), on_progress=on_progress)[0]


def read_file(
    runtime: Runtime,
    project_id: str,
    file_hash: str,
    name: str,
    reading: Reading,
    *,
    on_progress: ProgressCallback = no_progress,
) -> tuple[Document, bool]:
    """As `parsed_document`; says as well whether the text was there already."""
    files = CloudFiles.of(runtime.settings, project_id)
    path = files.folder(PARSED) / f"{_key(file_hash, name, reading)}.json"
    if reading.uses_kept and (data := _read(path)) is not None:
        return load_document(data), True
    probe = probe_file(files.path(file_hash, name), name)
    with written_as(reading.tables):
        document = _parse(runtime, probe, reading, on_progress)
    if reading.keeps:
        write_whole(path, lambda draft: _dump(draft, document))
    return document, False


def load_parsed(settings: Settings, project_id: str, key: str) -> Document:
    """What `parsed_document` has left; raises NotFoundError when it is gone."""
    data = _read(CloudFiles.of(settings, project_id).folder(PARSED) / f"{PurePath(key).name}.json")
    if data is None:
        raise NotFoundError("the text of the file is not stored any more; start the job again")
    return load_document(data)


def stopped_with(runtime: Runtime, job: CloudJob, ends_at: Callable[[], float | None] = lambda: None) -> Any:
    """A context in which reading stops soon after the job is not wanted any more, or its time is over.

    Args:
        ends_at: in seconds of `time.monotonic`; None: it may take what it takes.
    """

    def is_wanted() -> bool:
        end = ends_at()
        return (end is None or time.monotonic() < end) and runtime.cloud_jobs.is_wanted(job)

    def give_up() -> None:
        runtime.cloud_jobs.finish(job, "failed", result=None, error="the file could not be read in the time given")

    return stopped_unless(is_wanted, on_stuck=give_up)


def _parse(runtime: Runtime, probe: FileProbe, reading: Reading, on_progress: ProgressCallback) -> Document:
    limits = runtime.assembly.parse_limits
    if reading.options and (parser := parser_for(probe, reading.options)) is not None:
        with naming(probe.filename):
            return parser.parse(probe, limits, on_progress)
    return UniversalParser(UniversalParser.Options()).parse(probe, limits, on_progress)


def _key(file_hash: str, name: str, reading: Reading) -> str:
    facts = [PIPELINE_VERSION, PurePath(name).suffix.lower(), dict(reading.options or {}), ocr.is_available()]
    if reading.tables != USUAL:
        facts.append(str(reading.tables))
    text = json.dumps(facts, sort_keys=True, default=str)
    return f"{file_hash}.{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _dump(path: Path, document: Document) -> None:
    path.write_bytes(dump_document(document))
