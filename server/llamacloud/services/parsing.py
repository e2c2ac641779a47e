"""Parsing jobs of both generations: making them of a file, and showing what they have found."""

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

import orjson
from anyio import to_thread

from rag.errors import BadRequestError, InvalidInputError, NotFoundError
from rag.parsing.hooks import hooks_of
from rag.parsing.layout import joined
from rag.parsing.parameters import KINDS, PRIORITIES, TREATMENTS, asked, masked
from rag.parsing.workbook import tables_of, workbook_of
from server.llamacloud.engine import CloudEngine
from server.llamacloud.scope import Scope
from server.llamacloud.services.configurations import Configurations
from server.llamacloud.services.files import FileService, Labels
from server.llamacloud.services.job_input import job_input
from server.llamacloud.services.job_lists import FIRST_WORDS
from server.llamacloud.services.parse_configuration import PRODUCT, check_parameters, merged, second_generation
from server.llamacloud.services.uploading import Arrived, Body, receive_form
from state.cloud.ids import new_id
from state.cloud.jobs import HOOK, CloudJob, JobFilter, NewJob
from state.cloud.objects import CloudObject

KIND = "parse"
SOURCES = ("input_url", "input_s3_path")
MAX_NUMBER_CHARS = 20
_FRESH = ("do_not_cache", "invalidate_cache")


class ParsingService:
    def __init__(self, cloud: CloudEngine, scope: Scope) -> None:
        self._cloud = cloud
        self._scope = scope
        self._files = FileService(cloud)

    async def upload(self, body: Body) -> CloudJob:
        """A job for the file of a form whose other fields are parameters.

        Raises:
            BadRequestError: it names an address in place of a file.
            InvalidInputError: a parameter has a value that it does not take.
        """

        def keep(arrived: Arrived) -> CloudJob:
            parameters = from_form(arrived.fields)
            refuse_sources(parameters)
            if arrived.name is None:
                raise InvalidInputError("the upload needs a multipart part 'file' (curl -F file=@paper.pdf)")
            self.check(parameters)
            file = self._files.keep(self._scope.project_id, arrived, Labels())
            return self.start(file, parameters)

        return await self._received(body, keep)

    async def upload_configured(self, body: Body) -> CloudJob:
        """The same, with the parameters as JSON in the field `configuration`."""

        def keep(arrived: Arrived) -> CloudJob:
            configuration = _json_of("configuration", arrived.fields.get("configuration") or "{}")
            if not isinstance(configuration, dict):
                raise InvalidInputError("configuration: expected a JSON object")
            if arrived.fields.get("source_url") or configuration.get("source_url"):
                raise BadRequestError("source_url is refused: send the file itself")
            if arrived.name is None:
                raise InvalidInputError("the upload needs a multipart part 'file' (curl -F file=@paper.pdf)")
            configuration = whole_configuration(self._cloud, self._scope, configuration)
            parameters = second_generation(configuration)
            self.check(parameters)
            file = self._files.keep(self._scope.project_id, arrived, Labels())
            return self.start(file, parameters, configuration)

        return await self._received(body, keep)

    def create(self, file_id: str, given: Mapping[str, Any]) -> CloudJob:
        configuration = whole_configuration(self._cloud, self._scope, given)
        parameters = second_generation(configuration)
        self.check(parameters)
        return self.start(job_input(self._cloud, self._scope, file_id).file, parameters, configuration)

    def check(self, parameters: Mapping[str, Any]) -> None:
        """Raises InvalidInputError for what a job could not be made with."""
        check_parameters(self._cloud, parameters, self._scope.project_id)

    def start(
        self, file: CloudObject, parameters: Mapping[str, Any], configuration: Mapping[str, Any] | None = None
    ) -> CloudJob:
        return self._cloud.start(parse_job(file, parameters, configuration))

    def get(self, job_id: str) -> CloudJob:
        return self._cloud.jobs.get(KIND, job_id, self._scope.visible)

    def result(self, job_id: str) -> tuple[CloudJob, dict[str, Any]]:
        """
        Raises:
            NotFoundError: there is no such job, or it has no result yet, or none at all.
        """
        job = self.get(job_id)
        if job.state not in ("completed", "partial"):
            raise NotFoundError(
                f"Parse job {job.id!r} has no result: it is {job.state}" + (f" ({job.error})" * bool(job.error))
            )
        return job, orjson.loads(self.raw(job, "result.json"))

    def workbook(self, job_id: str) -> bytes:
        """
        Raises:
            NotFoundError: as `result`, or there is no table.
            LimitExceededError: the tables are too large for it.
        """
        job, found = self.result(job_id)
        tables = list(tables_of(found["pages"]))
        if not tables:
            raise NotFoundError(f"Parse job {job.id!r} has no workbook: it found no table in {job.name!r}")
        return workbook_of(tables)

    def hook_errors(self, job: CloudJob) -> list[str]:
        if not job.request.get("hooks"):
            return []
        told = self._cloud.jobs.all(HOOK, JobFilter(project_id=job.project_id, item_key=job.id))
        return [each.error for each in told if each.error]

    def first_pages(self, found: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {
                **each,
                "images": [],
                "charts": [],
                "links": [],
                "tables": [],
                "layout": [],
                "status": "ERROR" if each["error"] else "OK",
                "parsingMode": "parse_page_without_llm",
                "noTextContent": not each["text"],
                "noStructuredContent": True,
            }
            for each in found["pages"]
        ]

    def raw(self, job: CloudJob, name: str) -> bytes:
        path = self._cloud.files(job.project_id).root / "jobs" / job.id / name
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise NotFoundError(f"the result of parse job {job.id!r} is gone; start it again") from error

    async def _received(self, body: Body, keep: Any) -> CloudJob:
        target = await to_thread.run_sync(self._files.target, self._scope.project_id)
        limit = self._cloud.settings.max_upload_bytes
        job: CloudJob = await receive_form(target, body, max_bytes=limit, keep=keep, needs_file=False)
        return job


def parse_job(
    file: CloudObject, parameters: Mapping[str, Any], configuration: Mapping[str, Any] | None = None
) -> NewJob:
    """Secrets do not stand in it: nothing is done with them."""
    if file.ref is None:
        raise InvalidInputError(f"the bytes of file {file.id!r} have not arrived yet; send them to its link first")
    kept = {name: "***" if TREATMENTS.get(name) == "S" else value for name, value in parameters.items()}
    request = {
        "file_id": file.id,
        "file_hash": file.ref,
        "file_name": file.name or file.id,
        "parameters": kept,
        "configuration": masked(configuration or {}),
        "hooks": hooks_of(parameters),
    }
    return NewJob(
        new_id(KIND),
        KIND,
        file.project_id,
        request,
        stage="parse",
        name=file.name,
        item_key=file.ref,
        params_hash=parameters_hash(parameters),
        priority=PRIORITIES.get(str(parameters.get("priority")), 0),
    )


def parameters_hash(parameters: Mapping[str, Any]) -> str:
    """Of what shapes the result: the same for the same wishes, however they are written."""
    shaping = {name: value for name, value in asked(parameters).items() if name not in (*_FRESH, "priority")}
    return hashlib.sha256(orjson.dumps(shaping, option=orjson.OPT_SORT_KEYS)).hexdigest()


def is_fresh(parameters: Mapping[str, Any]) -> bool:
    return any(parameters.get(name) for name in _FRESH)


def whole_configuration(cloud: CloudEngine, scope: Scope, given: Mapping[str, Any]) -> dict[str, Any]:
    """With what the saved one that it names says besides.

    Raises:
        InvalidInputError: it names one that is not there, or is for another product.
    """
    saved_id = given.get("configuration_id")
    if saved_id is None:
        return dict(given)
    if not isinstance(saved_id, str):
        raise InvalidInputError("configuration_id: expected a text")
    return merged(Configurations(cloud).parameters(saved_id, PRODUCT, scope.visible), given)


def refuse_sources(parameters: Mapping[str, Any]) -> None:
    for name in SOURCES:
        if parameters.get(name):
            raise BadRequestError(
                f"{name} is refused: this server does not fetch files for a parsing job; upload the file, or have it "
                "fetched with PUT /api/v1/files/upload_from_url and parse it by its id"
            )


def from_form(fields: Mapping[str, str]) -> dict[str, Any]:
    """Fields of a form as values of their kinds; those that are not known stay texts."""
    found = {name.removesuffix("[]"): _of_form(name.removesuffix("[]"), text) for name, text in fields.items()}
    if isinstance(found.get("language"), str):
        found["languages"] = found.pop("language").split(",")
    return {name: value for name, value in found.items() if value is not None}


def shown_parameters(job: CloudJob) -> dict[str, Any]:
    return masked(job.request.get("parameters") or {})


def first_view(job: CloudJob) -> dict[str, Any]:
    code = {"failed": "PARSING_FAILED", "cancelled": "CANCELLED"}.get(job.state)
    return {
        "id": job.id,
        "status": FIRST_WORDS[job.state],
        "error_code": code,
        "error_message": job.error if code else None,
    }


def metadata_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What results of the first generation say of a job."""
    return {
        "job_pages": facts["pages"],
        "job_is_cache_hit": facts["is_cache_hit"],
        "job_auto_mode_triggered_pages": 0,
        "job_credits_usage": 0,
        **{key: facts[key] for key in ("honoured_parameters", "ignored_parameters", "warnings", "custom_metadata")},
        "languages": facts.get("languages") or [],
    }


def expanded(job: CloudJob, read: Any, expand: Collection[str]) -> dict[str, Any]:
    """What a job of the second generation shows besides itself; `read` gives its results."""
    if not expand or job.state not in ("completed", "partial"):
        return {}
    pages, facts = read["pages"], read["metadata"]
    found: dict[str, Any] = {}
    for name, key, shown in (("markdown", "md", "markdown"), ("text", "text", "text"), ("items", "items", "items")):
        if name in expand:
            found[name] = {"pages": [_page(each, key, shown) for each in pages]}
    if "metadata" in expand:
        found["metadata"] = {"pages": [{"page_number": each["page"]} for each in pages], "document": facts["document"]}
    parameters = job.request.get("parameters") or {}
    for name, key in (("markdown_full", "md"), ("text_full", "text")):
        if name in expand:
            found[name] = joined(pages, key, parameters)
    found["job_metadata"] = {**facts}
    return found


def _page(page: Mapping[str, Any], key: str, shown: str) -> dict[str, Any]:
    if page["error"]:
        return {"page_number": page["page"], "success": False, "error": page["error"], shown: page[key]}
    sizes = {"page_width": 0, "page_height": 0} if key == "items" else {}
    return {"page_number": page["page"], "success": True, shown: page[key], **sizes}


def _of_form(name: str, text: str) -> Any:
    kind = KINDS.get(name, "text")
    if text == "" and kind != "text":
        return None
    if kind == "flag" and text.lower() in ("true", "false", "1", "0"):
        return text.lower() in ("true", "1")
    if kind == "number":
        return _number(text)
    if kind in ("list", "map") and text[:1] in "[{":
        return _json_of(name, text)
    return [each.strip() for each in text.split(",")] if kind == "list" else text


def _number(text: str) -> Any:
    """What is no number stays the text that it is, and is refused as such; so does one that no parameter can mean."""
    try:
        value = float(text)
    except ValueError:
        return text
    if len(text) > MAX_NUMBER_CHARS:
        return text
    return int(value) if value.is_integer() else value


def _json_of(name: str, text: str) -> Any:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"{name} = {text[:60]!r}: expected JSON ({error.msg})") from error
    return value
