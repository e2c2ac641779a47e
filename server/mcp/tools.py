"""From the OpenAPI document to tools: one per operation tagged `mcp`, with flat arguments."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts
from mcp.types import Tool, ToolAnnotations

from server.mcp.schema import stand_alone

TAG = "mcp"
JSON = "application/json"
MULTIPART = "multipart/form-data"
Place = Literal["path", "query", "header", "body", "form", "file", "files"]

DESCRIPTIONS = {
    "namespace": "Namespace of the project, for example 'default'.",
    "project": "Name of the project.",
    "dataset": "Name of the dataset.",
    "database": "Name of the database.",
    "task_id": "What dataset_actions gave back.",
    "file_hash": "SHA-256 of the file, as dataset_list and dataset_data_upload name it.",
}
LEFT_OUT = {
    "chat_completions": {
        "stream", "stream_options", "x-no-session", "x-active-project", "logit_bias", "logprobs", "top_logprobs",
        "n", "user", "metadata", "modalities", "parallel_tool_calls", "tools", "tool_choice", "n_ctx",
    },
}  # fmt: skip
"""Arguments that serve programs and would only fill an agent's context."""
FIXED_HEADERS = {"chat_completions": {"x-no-session": "true"}}
"""Sent where no argument stands against it: a tool call remembers nothing unless it names a session."""
READ_ONLY = {"rag_query", "rag_preview_document", "rag_delete_preview", "rag_prune_preview"}
ADDITIVE = {
    "chat_completions", "project_create", "dataset_create", "dataset_data_upload", "dataset_data_bulk_upload",
    "database_create", "rag_import", "rag_compact", "rag_reindex",
}  # fmt: skip
FILE_PROPERTIES: dict[str, Any] = {
    "filename": {"type": "string", "description": "Name of the file; its ending says how it is read."},
    "text": {"type": "string", "description": "The content, when it is text."},
    "content_base64": {"type": "string", "description": "The content in base64, when it is not text."},
}


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a tool, and where it belongs in the request."""

    name: str
    wire_name: str
    place: Place
    schema: dict[str, Any]
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the API as an agent sees it."""

    name: str
    method: str
    path: str
    description: str
    media_type: str | None
    arguments: dict[str, Argument]
    output_schema: dict[str, Any] | None
    headers: dict[str, str] = field(default_factory=dict)

    def tool(self) -> Tool:
        required = [each.name for each in self.arguments.values() if each.is_required]
        return Tool(
            name=self.name,
            title=self.name.replace("_", " ").capitalize(),
            description=self.description,
            input_schema={
                "type": "object",
                "properties": {each.name: each.schema for each in self.arguments.values()},
                "required": required,
                "additionalProperties": False,
            },
            output_schema=self.output_schema,
            annotations=self._annotations(),
        )

    def _annotations(self) -> ToolAnnotations:
        is_read_only = self.method == "GET" or self.name in READ_ONLY
        return ToolAnnotations(
            read_only_hint=is_read_only,
            destructive_hint=not is_read_only and self.name not in ADDITIVE,
            idempotent_hint=is_read_only or self.method in ("PUT", "PATCH", "DELETE"),
            open_world_hint=False,
        )


def document_of(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of what is tagged `mcp` alone: that of the whole app takes seconds."""
    routes = [each for each in iter_route_contexts(app.routes) if TAG in (getattr(each, "tags", None) or ())]
    return get_openapi(title=app.title, version=app.version, routes=routes)


def operations_of(document: Mapping[str, Any]) -> dict[str, Operation]:
    """Every operation tagged `mcp` whose answer is one JSON document, by its id. Streams are no tools."""
    components = document.get("components", {}).get("schemas", {})
    found: dict[str, Operation] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answer = _answer_schema(operation)
            if TAG not in operation.get("tags", ()) or answer is None:
                continue
            name = operation["operationId"]
            arguments = {each.name: each for each in _arguments(name, operation, components)}
            found[name] = Operation(
                name=name,
                method=method.upper(),
                path=path,
                description=_description(operation),
                media_type=_media_type(operation),
                arguments=arguments,
                output_schema=_output_schema(answer, components),
                headers=FIXED_HEADERS.get(name, {}),
            )
    return found


def _description(operation: Mapping[str, Any]) -> str:
    summary, text = operation.get("summary", ""), operation.get("description", "")
    return text or f"{summary}."


def _answer_schema(operation: Mapping[str, Any]) -> Any:
    for status, response in operation["responses"].items():
        if str(status).startswith("2"):
            return response.get("content", {}).get(JSON, {}).get("schema")
    return None


def _output_schema(answer: Any, components: Mapping[str, Any]) -> dict[str, Any] | None:
    """Only objects: older clients know no other structured answer."""
    schema = stand_alone(answer, components)
    kinds = [schema, *schema.get("anyOf", ())]
    if schema.get("type") == "object" or (len(kinds) > 1 and all(kind.get("type") == "object" for kind in kinds[1:])):
        return {**schema, "type": "object"}
    return None


def _media_type(operation: Mapping[str, Any]) -> str | None:
    content = operation.get("requestBody", {}).get("content", {})
    return next((kind for kind in (JSON, MULTIPART) if kind in content), None)


def _arguments(name: str, operation: Mapping[str, Any], components: Mapping[str, Any]) -> Iterator[Argument]:
    taken: set[str] = set()
    for argument in (*_parameters(operation, components), *_body(operation, components)):
        if argument.wire_name in LEFT_OUT.get(name, ()):
            continue
        unique = argument.name if argument.name not in taken else f"body_{argument.name}"
        taken.add(unique)
        yield Argument(unique, argument.wire_name, argument.place, argument.schema, argument.is_required)


def _parameters(operation: Mapping[str, Any], components: Mapping[str, Any]) -> Iterator[Argument]:
    for parameter in operation.get("parameters", ()):
        wire_name, place = parameter["name"], parameter["in"]
        if place not in ("path", "query", "header"):
            continue
        text = parameter.get("description") or (DESCRIPTIONS.get(wire_name) if place == "path" else None)
        schema = stand_alone(parameter.get("schema", {}), components)
        shown = {**schema, "description": text} if text else schema
        yield Argument(wire_name.replace("-", "_"), wire_name, place, shown, parameter.get("required", False))


def _body(operation: Mapping[str, Any], components: Mapping[str, Any]) -> Iterator[Argument]:
    media_type = _media_type(operation)
    if media_type is None:
        return
    body = operation["requestBody"]
    schema = stand_alone(body["content"][media_type].get("schema", {}), components)
    if media_type == JSON and "properties" not in schema:
        yield Argument("body", "", "body", schema, body.get("required", False))
        return
    required = schema.get("required", ())
    for name, each in schema.get("properties", {}).items():
        if media_type == JSON:
            yield Argument(name, name, "body", each, name in required)
        else:
            yield from _form_field(name, each, is_required=name in required)


def _form_field(name: str, schema: Mapping[str, Any], *, is_required: bool) -> Iterator[Argument]:
    """A file becomes its name and its content; a list of files a list of such objects."""
    if _is_binary(schema):
        for key, each in FILE_PROPERTIES.items():
            yield Argument(key, name, "file", each, is_required and key == "filename")
    elif _is_binary(schema.get("items", {})):
        item = {"type": "object", "properties": FILE_PROPERTIES, "required": ["filename"]}
        yield Argument(name, name, "files", {"type": "array", "items": item}, is_required)
    else:
        yield Argument(name, name, "form", dict(schema), is_required)


def _is_binary(schema: Mapping[str, Any]) -> bool:
    return schema.get("format") == "binary" or "contentMediaType" in schema
