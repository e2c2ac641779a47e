"""Jobs that split a file into documents.

Its text comes of the `parse` stage, words and meaning of its pages are weighed in `embed`, and where the project has a
model that writes, that one is asked about what is doubtful in `ask`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rag.errors import NoTextError, NotFoundError
from rag.splitting.classify import in_hundredths
from rag.splitting.evidence import Evidence
from rag.splitting.labels import Category, Page
from rag.splitting.segments import Segment, merge_short
from rag.splitting.split import Looked, ask_model, look, split
from state.cloud.blobs import CloudFiles, write_whole
from state.cloud.jobs import CloudJob
from workers.cloud.documents import load_parsed
from workers.cloud.drafts import drafts_of
from workers.cloud.pages import embedding_of, pages_of, project_of, writing_model
from workers.cloud.registry import Done, Next
from workers.cloud.runner import require_wanted
from workers.runtime import Runtime


def weigh(runtime: Runtime, job: CloudJob) -> Done | Next:
    """Look at every page by words and meaning."""
    project, pages = project_of(runtime, job), _pages(runtime, job)

    def on_progress(done: int, total: int) -> None:
        require_wanted(runtime, job)
        runtime.cloud_jobs.report(job, pages_done=done, pages=total)

    looked = look(pages, categories_of(job), embedding_of(runtime, project), on_progress)
    if writing_model(runtime, project) is None:
        return _done(job, pages, looked)
    write_whole(_kept(runtime, job), lambda path: _save(path, looked))
    return Next("ask")


def ask(runtime: Runtime, job: CloudJob) -> Done:
    """Have the model say what is doubtful. A model that fails fails the job: the user has asked for one."""
    pages, path = _pages(runtime, job), _kept(runtime, job)
    looked = _load(path)
    model = writing_model(runtime, project_of(runtime, job))

    def asked(instruction: str, data: str, schema: Mapping[str, Any]) -> str:
        require_wanted(runtime, job)
        return model.ask(instruction, data, schema) if model else ""

    if model is not None:
        looked = ask_model(pages, categories_of(job), looked, asked, allows_none=job.request["policy"] != "forbid")
    return replace(_done(job, pages, looked), afterwards=lambda: path.unlink(missing_ok=True))


def categories_of(job: CloudJob) -> list[Category]:
    return [Category(each["name"], each.get("description") or "") for each in job.request["categories"]]


def _pages(runtime: Runtime, job: CloudJob) -> list[Page]:
    pages = pages_of(load_parsed(runtime.settings, job.project_id, job.progress["parsed"]))
    wanted = job.request.get("target_pages")  # counted from 0
    if wanted is None:
        return pages
    chosen = set(wanted)
    found = [page for page in pages if page.number - 1 in chosen]
    if not found:
        raise NoTextError(f"target_pages names no page of this file, which has {len(pages)}")
    return found


def _done(job: CloudJob, pages: Sequence[Page], looked: Looked) -> Done:
    segments = split(categories_of(job), pages, looked, job.request["policy"])
    segments = merge_short(segments, job.request.get("min_pages_per_split") or 1)
    return Done({"segments": [_told(each) for each in segments]})


def _told(segment: Segment) -> dict[str, Any]:
    return {
        "category": segment.category,
        "confidence_category": segment.level,
        "confidence": in_hundredths(segment.confidence),
        "pages": list(segment.pages),
    }


def _kept(runtime: Runtime, job: CloudJob) -> Path:
    return drafts_of(CloudFiles.of(runtime.settings, job.project_id)) / f"{job.id}.npz"


def _save(path: Path, looked: Looked) -> None:
    with path.open("wb") as stream:
        np.savez(
            stream,
            scores=looked.evidence.scores,
            similarity=looked.evidence.similarity,
            starts=np.asarray(looked.starts),
        )


def _load(path: Path) -> Looked:
    if not path.is_file():
        raise NotFoundError("what was found out about the pages is not stored any more; start the job again")
    with np.load(path, allow_pickle=False) as kept:
        return Looked(Evidence(kept["scores"], kept["similarity"]), kept["starts"].tolist())
