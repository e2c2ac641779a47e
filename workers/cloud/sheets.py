"""Sheets jobs: the regions of a workbook as Parquet files in the folder of the job's results."""

import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pyarrow as pa
import pyarrow.parquet as pq

from rag.errors import NotFoundError
from rag.parsers.detect import probe_file
from rag.sheets.extraction import Extraction, FoundRegion, Wish, extract
from state.cloud.blobs import CloudFiles
from state.cloud.jobs import CloudJob
from state.incoming import disk_errors
from workers.cloud.documents import stopped_with
from workers.cloud.drafts import drafts_of
from workers.cloud.registry import Done
from workers.cloud.runner import require_wanted
from workers.runtime import Runtime

CELLS = "cell_metadata"


def parse(runtime: Runtime, job: CloudJob) -> Done:
    """Read the workbook and write two files for each region: its cells, and facts of them."""
    files = CloudFiles.of(runtime.settings, job.project_id)
    name = job.request["file_name"]
    probe = probe_file(files.path(job.request["file_hash"], name), name)
    draft = drafts_of(files) / f"{job.id}.{secrets.token_hex(8)}"  # its own: another may have taken the job over
    draft.mkdir()
    keeper = _Keeper(draft, job.id)
    try:
        with stopped_with(runtime, job), disk_errors():
            found = extract(probe, runtime.assembly.parse_limits, _wish(job.request["config"]), keeper.keep)
            require_wanted(runtime, job)
            _publish(runtime, job, draft, files.folder("jobs") / job.id)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    result = _result(found, keeper.ids, job.request["notes"])
    if found.failures:
        return Done(result, "partial", "; ".join(found.failures))
    return Done(result)


class _Keeper:
    def __init__(self, folder: Path, job_id: str) -> None:
        self._folder = folder
        self._job_id = job_id
        self.ids: list[str] = []

    def keep(self, number: int, region: FoundRegion, table: pa.Table, cells: Iterator[pa.Table]) -> None:
        """The id is the same whenever the job runs anew."""
        region_id = str(uuid5(NAMESPACE_URL, f"{self._job_id}/{number}/{region.location}"))
        self.ids.append(region_id)
        pq.write_table(table, self._folder / f"{region_id}.{region.kind}.parquet")
        first = next(cells)
        with pq.ParquetWriter(self._folder / f"{region_id}.{CELLS}.parquet", first.schema) as writer:
            writer.write_table(first)
            for each in cells:
                writer.write_table(each)


def _publish(runtime: Runtime, job: CloudJob, draft: Path, folder: Path) -> None:
    """Put the files in the place of those of a try before this one, which are alike."""
    former = draft.with_name(f"{draft.name}.former")
    with suppress(FileNotFoundError):
        folder.replace(former)
    draft.replace(folder)
    shutil.rmtree(former, ignore_errors=True)
    try:
        runtime.cloud_jobs.get(job.kind, job.id)
    except NotFoundError:  # who deletes a job removes its row before its files: both may just have happened
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _wish(config: Mapping[str, Any]) -> Wish:
    return Wish(
        sheet_names=tuple(config["sheet_names"] or ()),
        cell_range=config["extraction_range"],
        is_flat=config["flatten_hierarchical_tables"],
        with_hidden=config["include_hidden_cells"],
        with_titles=config["generate_additional_metadata"],
        sensitivity=config["table_merge_sensitivity"],
    )


def _result(found: Extraction, ids: list[str], notes: list[str]) -> dict[str, Any]:
    regions = [
        {
            "region_id": region_id,
            "sheet_name": each.sheet_name,
            "location": each.location,
            "region_type": each.kind,
            "title": each.title,
            "description": each.description,
        }
        for region_id, each in zip(ids, found.regions, strict=True)
    ]
    sheets = [{"sheet_name": each.name, "title": each.title, "description": each.description} for each in found.sheets]
    return {"regions": regions, "worksheet_metadata": sheets, "errors": [*found.failures, *found.notes, *notes]}
