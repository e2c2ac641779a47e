"""Parsing jobs: a file → text, Markdown and pages in the folder of the job."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from rag.errors import CancelledTaskError, LimitExceededError, NoTextError, UnreadableFileError
from rag.parsers.base import no_progress
from rag.parsing.layout import joined, page_count, result_pages
from rag.parsing.parameters import asked
from rag.parsing.wishes import parser_options, report, table_style, wanted_pages
from rag.types import Document
from state.cloud.blobs import CloudFiles, write_whole
from state.cloud.jobs import CloudJob
from workers.cloud.documents import Reading, read_file, stopped_with
from workers.cloud.registry import Done
from workers.runtime import Runtime

JSON, TEXT, MARKDOWN = "result.json", "result.txt", "result.md"


def parse(runtime: Runtime, job: CloudJob) -> Done:
    """Read the file and leave its results."""
    return Done(_result(runtime, job))


def _result(runtime: Runtime, job: CloudJob) -> dict[str, Any]:
    request, parameters = job.request, job.request.get("parameters") or {}
    document, was_kept = _read(runtime, job, parameters)
    count = page_count(document)
    cap = int(parameters.get("max_pages_enforced") or 0)
    if cap and count > cap:
        raise LimitExceededError(
            f"'{request['file_name']}' has {count:,} pages, more than max_pages_enforced = {cap:,}"
        )
    wanted = wanted_pages(parameters, count)
    if count and not wanted:
        noun = "page" if count == 1 else "pages"
        raise NoTextError(f"'{request['file_name']}' has {count:,} {noun}, and none of those asked for")
    pages = result_pages(document, parameters, wanted)
    _check_damage(parameters, len([each for each in pages if each.error]), len(pages))
    plain = [each.plain for each in pages]
    texts = {"text": joined(plain, "text", parameters), "markdown": joined(plain, "md", parameters)}
    honoured, ignored = report(parameters, document)
    facts = {
        "pages": len(pages),
        "total_pages": count,
        "characters": len(texts["text"]),
        "is_cache_hit": was_kept,
        "honoured_parameters": honoured,
        "ignored_parameters": ignored,
        "warnings": list(document.warnings),
        "document": dict(document.metadata),
        "custom_metadata": parameters.get("custom_metadata") or {},
        "languages": parameters.get("languages") or [],
    }
    folder = CloudFiles.of(runtime.settings, job.project_id).folder("jobs", job.id)
    for name, data in (
        (JSON, orjson.dumps({"pages": plain, "metadata": facts})),
        (TEXT, texts["text"].encode()),
        (MARKDOWN, texts["markdown"].encode()),
    ):
        write_whole(folder / name, partial(_write, data))
    return facts


def _read(runtime: Runtime, job: CloudJob, parameters: Mapping[str, Any]) -> tuple[Document, bool]:
    given = asked(parameters)
    file_hash, name = job.request["file_hash"], job.request["file_name"]
    if given.get("invalidate_cache"):
        CloudFiles.of(runtime.settings, job.project_id).drop_parsed(file_hash)
    is_fresh = bool(given.get("do_not_cache") or given.get("invalidate_cache"))
    reading = Reading(
        parser_options(parameters),
        table_style(parameters),
        uses_kept=not is_fresh,
        keeps=not given.get("do_not_cache"),
    )
    clock = _Clock(given)
    with _in_time(runtime, job, clock):
        return read_file(runtime, job.project_id, file_hash, name, reading, on_progress=clock.on_progress)


class _Clock:
    """When the time that a job was given is over; None where it was given none."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.limit_s = given.get("job_timeout_in_seconds")
        self._per_page_s = float(given.get("job_timeout_extra_time_per_page_in_seconds") or 0)
        self._pages = 0
        self._began = time.monotonic()

    def on_progress(self, done: int, total: int | None) -> None:
        self._pages = max(done, total or 0)
        no_progress(done, total)

    def ends_at(self) -> float | None:
        return None if self.limit_s is None else self._began + float(self.limit_s) + self._pages * self._per_page_s

    @property
    def is_over(self) -> bool:
        end = self.ends_at()
        return end is not None and time.monotonic() >= end


@contextmanager
def _in_time(runtime: Runtime, job: CloudJob, clock: _Clock) -> Iterator[None]:
    try:
        with stopped_with(runtime, job, clock.ends_at):
            yield
    except CancelledTaskError as error:
        if not clock.is_over:
            raise
        raise _too_late(clock) from error
    if clock.is_over:
        raise _too_late(clock)


def _too_late(clock: _Clock) -> UnreadableFileError:
    return UnreadableFileError(f"reading the file took longer than job_timeout_in_seconds = {clock.limit_s}")


def _check_damage(parameters: Mapping[str, Any], damaged: int, count: int) -> None:
    most = parameters.get("page_error_tolerance")
    if most is not None and damaged and damaged > most * count:
        raise UnreadableFileError(
            f"{damaged} of {count} pages are damaged, more than page_error_tolerance = {most:g} allows"
        )


def _write(data: bytes, path: Path) -> None:
    path.write_bytes(data)
