"""Extraction agents: a schema and options under a name."""

from collections.abc import Mapping
from typing import Any

from config.writing_model import WritingModel
from rag.errors import BadRequestError, ConflictError, NotFoundError
from rag.extraction.infer import infer_schema
from rag.extraction.schemas import Schema
from rag.extraction.wishes import read_wish
from server.llamacloud.engine import CloudEngine
from server.llamacloud.scope import Scope
from server.llamacloud.services.extract_jobs import AGENT, checked_schema
from state.cloud.ids import new_id
from state.cloud.objects import CloudObject, CloudObjects, Wanted
from state.cloud.paging import Page
from state.cloud.tables import CloudObjectRow

DEFAULT_NAME = "default"
DEFAULT_CONFIG: Mapping[str, Any] = {
    "extraction_target": "PER_DOC",
    "extraction_mode": "MULTIMODAL",
    "cite_sources": True,
    "confidence_scores": True,
}
INFER_TIMEOUT_S = 50.0
"""The vendor's clients wait for a minute."""


class AgentService:
    def __init__(self, cloud: CloudEngine, scope: Scope) -> None:
        self._cloud = cloud
        self._scope = scope

    @property
    def _objects(self) -> CloudObjects:
        return self._cloud.objects

    def all(self, *, with_default: bool = False) -> list[CloudObject]:
        found = self._objects.all(AGENT, Wanted(project_id=self._scope.project_id))
        return [each for each in found if with_default or not _is_default(each)]

    def page(self, token: str | None, size: int | None, *, with_default: bool) -> Page[CloudObject]:
        shown = () if with_default else (CloudObjectRow.unique_key.is_(None),)
        wanted = Wanted(self._scope.project_id, where=shown, query={"with_default": with_default})
        return self._objects.page(AGENT, wanted, token, size)

    def get(self, agent_id: str) -> CloudObject:
        return self._objects.get(AGENT, agent_id, self._scope.visible)

    def by_name(self, name: str) -> CloudObject:
        """The newest of the name."""
        found = self._objects.all(AGENT, Wanted(project_id=self._scope.project_id, name=name))
        if not found:
            raise NotFoundError(f"Extraction agent {name[:100]!r} not found")
        return found[-1]

    def default(self) -> CloudObject:
        """The agent behind extraction without one; made when it is first asked for."""
        key = f"{self._scope.project_id}/{DEFAULT_NAME}"
        known = self._objects.find(AGENT, key)
        if known is not None:
            return known
        try:
            return self._insert(DEFAULT_NAME, {"custom_configuration": "default"}, unique_key=key)
        except ConflictError:  # another request was quicker
            return self._objects.find(AGENT, key) or self.default()

    def create(self, name: str, given: Mapping[str, Any]) -> CloudObject:
        """
        Raises:
            InvalidInputError: the schema or an option is not good.
            UpstreamError: a schema was to be made from the prompt, and the model's server failed.
        """
        body = _checked(given)
        if not body.get("data_schema") and body.get("prompt"):
            body["data_schema"] = self._schema_for(body["prompt"])
        return self._insert(name, body)

    def update(self, agent_id: str, given: Mapping[str, Any]) -> CloudObject:
        values = _checked({key: value for key, value in given.items() if value is not None})
        name = given.get("name")

        def change(agent: CloudObject) -> Mapping[str, Any]:
            return {"body": {**agent.body, **values}, **({} if name is None else {"name": name})}

        return self._objects.change(AGENT, agent_id, change, self._scope.visible)

    def delete(self, agent_id: str) -> None:
        """Its jobs and their results stay."""
        self._objects.delete(AGENT, self.get(agent_id).id)

    def suggest(self, *, prompt: str | None, draft: Schema | None) -> Schema:
        """A schema without looking into a file.

        Raises:
            BadRequestError: the project has no model that writes.
        """
        project = self._cloud.projects.load(self._scope.project_id)
        model = WritingModel.of(project, self._cloud.engine.assembly.models(project))

        def ask(instruction: str, text: str, schema: Mapping[str, Any]) -> str:
            return model.asking(INFER_TIMEOUT_S, instruction, text, schema)

        return infer_schema(ask, wish=prompt, draft=draft)

    def _schema_for(self, prompt: str) -> Schema | None:
        """None where no model writes: the first job says so, or finds one that was configured since."""
        try:
            return self.suggest(prompt=prompt, draft=None)
        except BadRequestError:
            return None

    def _insert(self, name: str, body: Mapping[str, Any], unique_key: str | None = None) -> CloudObject:
        project_id = self._scope.project_id
        self._cloud.projects.ensure(project_id)
        return self._objects.insert(
            AGENT, new_id(AGENT), project_id=project_id, name=name, body=dict(body), unique_key=unique_key
        )


def config_of(agent: CloudObject) -> dict[str, Any]:
    return dict(agent.body.get("config") or DEFAULT_CONFIG)


def _is_default(agent: CloudObject) -> bool:
    return agent.body.get("custom_configuration") == "default"


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    body = {key: given[key] for key in ("description", "prompt") if given.get(key) is not None}
    if given.get("data_schema") is not None:
        body["data_schema"] = checked_schema(given["data_schema"]) or {}
    if given.get("config") is not None:
        read_wish(given["config"])
        body["config"] = {key: value for key, value in given["config"].items() if value is not None}
    return body
