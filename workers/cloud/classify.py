"""Jobs that say of which type a file is: one of the rules' types, or none.

A job's request holds the file (`file_id`, `file_hash`, `file_name`), `rules` ({type, description}) and
`parsing_configuration` ({max_pages, target_pages}, pages counted from 0), as they were when it was made.
"""

from collections.abc import Sequence
from typing import Any

from rag.errors import NoTextError
from rag.splitting.asking import ask_type
from rag.splitting.classify import classify, sampled_text
from rag.splitting.labels import Category, Page
from state.cloud.jobs import CloudJob
from workers.cloud.documents import load_parsed
from workers.cloud.pages import embedding_of, pages_of, project_of, writing_model
from workers.cloud.registry import Done, Next
from workers.runtime import Runtime


def weigh(runtime: Runtime, job: CloudJob) -> Done | Next:
    """By words and meaning; where the project has a model that writes, that one decides."""
    project = project_of(runtime, job)
    if writing_model(runtime, project) is not None:
        return Next("ask")
    found = classify(_pages(runtime, job), rules_of(job), embedding_of(runtime, project))
    return _done(found.name, found.confidence, found.reasoning)


def ask(runtime: Runtime, job: CloudJob) -> Done:
    """Have the model choose."""
    model = writing_model(runtime, project_of(runtime, job))
    text = sampled_text(_pages(runtime, job))
    if not text.strip():
        raise NoTextError("the pages to be looked at have no text")
    if model is None:  # it was taken out of the project meanwhile
        raise NoTextError("the model that was to decide is not configured any more; start the job again")
    return _done(*ask_type(text, rules_of(job), model.ask))


def rules_of(job: CloudJob) -> list[Category]:
    return [Category(each["type"], each.get("description") or "") for each in job.request["rules"]]


def chosen_pages(pages: Sequence[Page], parsing: dict[str, Any]) -> list[Page]:
    """Those of `target_pages` that there are, and of these the first `max_pages`."""
    wanted = parsing.get("target_pages")
    shown = [page for page in pages if wanted is None or page.number - 1 in set(wanted)]
    return shown[: parsing.get("max_pages") or len(shown)]


def _pages(runtime: Runtime, job: CloudJob) -> list[Page]:
    document = load_parsed(runtime.settings, job.project_id, job.progress["parsed"])
    found = chosen_pages(pages_of(document), job.request.get("parsing_configuration") or {})
    if not found:
        raise NoTextError("target_pages names no page of this file")
    return found


def _done(name: str | None, confidence: float, reasoning: str) -> Done:
    return Done({"type": name, "confidence": confidence, "reasoning": reasoning})
