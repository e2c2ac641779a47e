"""Jobs that read data out of a file: its text in the `parse` stage, the model's part in the `ask` stage.

A job's request holds the file (`file_id`, `file_hash`, `file_name`), the schema and the options as they were when it
was made, and the agent, if one is behind it: one without a schema is given that which its first document suggests.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from config.loader import ProjectStore
from config.writing_model import WritingModel
from rag.errors import NotFoundError, RagError, UpstreamError
from rag.extraction.citations import field_metadata
from rag.extraction.infer import infer_schema
from rag.extraction.run import Extraction, extract
from rag.extraction.schemas import Schema, read_schema
from rag.extraction.wishes import read_wish, without_effect
from rag.types import Document
from state.cloud.blobs import CloudFiles
from state.cloud.jobs import CloudJob
from state.cloud.objects import CloudObject, CloudObjects
from state.cloud.projects import CloudProjects
from workers.cloud.answers import KeptAnswers
from workers.cloud.documents import load_parsed, parsed_document, parsed_key, stopped_with
from workers.cloud.registry import Done, Next
from workers.cloud.runner import require_wanted
from workers.runtime import Runtime

AGENT = "extraction_agent"


def parse(runtime: Runtime, job: CloudJob) -> Next:
    """Leave the text of the file for the next stage."""
    file_hash, name = job.request["file_hash"], job.request["file_name"]
    with stopped_with(runtime, job):
        parsed_document(runtime, job.project_id, file_hash, name)
    return Next("ask", {"parsed": parsed_key(file_hash, name)})


def read(runtime: Runtime, job: CloudJob) -> Done:
    """Have a model fill in the schema."""
    config = job.request.get("config") or {}
    model = _model(runtime, job, config.get("extract_model"))
    document = load_parsed(runtime.settings, job.project_id, job.progress["parsed"])
    schema = _schema(runtime, job, model, document)
    wish = replace(read_wish(config), part_chars=model.part_chars(schema))

    def on_progress(done: int, total: int) -> None:
        require_wanted(runtime, job)
        runtime.cloud_jobs.report(job, parts_done=done, parts=total)

    answers = KeptAnswers(CloudFiles.of(runtime.settings, job.project_id), job.id, model.ask)
    answers.drop_abandoned()
    try:
        found = extract(document, schema, answers.ask, wish, on_progress)
    except UpstreamError:  # tried again soon, from where it stood
        raise
    except RagError:
        answers.drop()
        raise
    about = _metadata(found, document, config, model.name)
    about["ignored_options"] = sorted({*about["ignored_options"], *(job.request.get("ignored_options") or ())})
    return Done({"data": found.data, "data_schema": schema, "metadata": about}, afterwards=answers.drop)


def suggest(runtime: Runtime, job: CloudJob) -> Done:
    """A schema for files like this one."""
    model = _model(runtime, job, None)
    document = load_parsed(runtime.settings, job.project_id, job.progress["parsed"])
    draft = job.request.get("data_schema") or None
    schema = infer_schema(model.ask, wish=job.request.get("prompt"), draft=draft, text=document.text)
    return Done({"data_schema": schema})


def _model(runtime: Runtime, job: CloudJob, wanted: Any) -> WritingModel:
    project = CloudProjects(ProjectStore(runtime.settings)).load(job.project_id)
    return WritingModel.of(project, runtime.assembly.models(project), wanted if isinstance(wanted, str) else None)


def _schema(runtime: Runtime, job: CloudJob, model: WritingModel, document: Document) -> Schema:
    """The job's own; where it has none, its agent's, which is made of the first document that comes by."""
    given = job.request.get("data_schema") or job.progress.get("data_schema")
    if not given:
        given = _agents_schema(runtime, job, model, document)
        runtime.cloud_jobs.report(job, data_schema=given)  # the same for this job from now on
    return read_schema(given)


def _agents_schema(runtime: Runtime, job: CloudJob, model: WritingModel, document: Document) -> Schema:
    objects, agent_id = CloudObjects(runtime.database), str(job.request.get("agent_id"))
    try:
        known = objects.get(AGENT, agent_id).body
    except NotFoundError:  # deleted meanwhile: the job goes on as it was begun
        known = {}
    if known.get("data_schema"):
        return dict(known["data_schema"])
    made = infer_schema(model.ask, wish=known.get("prompt"), text=document.text)

    def keep(agent: CloudObject) -> Mapping[str, Any]:
        return {"body": {**agent.body, "data_schema": agent.body.get("data_schema") or made}}

    try:
        return dict(objects.change(AGENT, agent_id, keep).body["data_schema"])  # another file may have been quicker
    except NotFoundError:
        return made


def _metadata(found: Extraction, document: Document, config: Mapping[str, Any], model: str) -> dict[str, Any]:
    cites, scores = config.get("cite_sources") is not False, config.get("confidence_scores") is not False
    fields = field_metadata(found.about, document, cites=cites, scores=scores)
    return {
        "field_metadata": fields,
        "pages": found.pages,
        "usage": {"num_pages_extracted": found.page_count, "num_parts": found.part_count},
        "model": model,
        "warnings": found.warnings,
        "ignored_options": without_effect(config),
    }
