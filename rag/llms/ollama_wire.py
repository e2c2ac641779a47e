"""OpenAI's shapes in Ollama's words and back: messages, tools, options, format."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any

from rag.errors import BadRequestError
from rag.llms.base import LLMRequest, Message
from rag.llms.messages import image_urls, text_of
from rag.llms.thinking import generation_limit

DEFAULT_NUM_CTX = 8192
"""Ollama cuts a longer prompt without a word, so the window is always stated; its own default is 4,096."""

OPTION_NAMES = {"n_ctx": "num_ctx", "n_batch": "num_batch", "n_gpu_layers": "num_gpu", "n_threads": "num_thread"}
"""Names of llama.cpp that configs carry → Ollama's."""

ROLES = {"developer": "system", "function": "tool"}
TOOL_PROPERTY_KEYS = frozenset({"type", "items", "description", "enum"})
"""What the client passes on of a tool's parameter; the rest of its schema is dropped there."""


def ollama_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Convert messages; a tool's result is tied to its call by the tool's name, as Ollama wants it."""
    tool_names: dict[str, str] = {}
    converted = []
    for message in messages:
        role = str(message.get("role", "user"))
        entry: dict[str, Any] = {"role": ROLES.get(role, role), "content": text_of(message.get("content"))}
        images = [_image_bytes(url) for url in image_urls(message.get("content"))]
        if images:
            entry["images"] = images
        calls = [_call(call, tool_names) for call in message.get("tool_calls") or ()]
        if calls:
            entry["tool_calls"] = calls
        name = tool_names.get(str(message.get("tool_call_id"))) or message.get("name")
        if entry["role"] == "tool" and name:
            entry["tool_name"] = name
        converted.append(entry)
    return converted


def _call(call: Mapping[str, Any], tool_names: dict[str, str]) -> dict[str, Any]:
    function = call.get("function") or {}
    name = str(function.get("name", ""))
    tool_names[str(call.get("id"))] = name
    return {"function": {"name": name, "arguments": _arguments(function.get("arguments"))}}


def _arguments(value: Any) -> dict[str, Any]:
    """Arguments are JSON text at OpenAI and an object at Ollama; text that is no object is kept under one key."""
    if isinstance(value, Mapping):
        return dict(value)
    try:
        parsed = json.loads(value or "{}")
    except ValueError:
        return {"arguments": value}
    return parsed if isinstance(parsed, dict) else {"arguments": parsed}


def _image_bytes(url: str) -> bytes:
    """Decode an image here: the client would take a plain string for the path of a local file."""
    head, comma, data = url.partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        raise BadRequestError("an image must be given as a data URL: data:image/png;base64,…")
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise BadRequestError(f"an image is not valid base64: {error}") from error


def ollama_tools(tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "function", "function": _function(tool.get("function") or {})} for tool in tools]


def _function(function: Mapping[str, Any]) -> dict[str, Any]:
    """The client refuses a schema that is not as it expects; other servers' tools come with any."""
    schema = function.get("parameters") or {}
    properties = schema.get("properties")
    parameters: dict[str, Any] = {"type": "object"}
    if isinstance(properties, Mapping):
        parameters["properties"] = {str(name): _property(each) for name, each in properties.items()}
    required = schema.get("required")
    if isinstance(required, list) and all(isinstance(name, str) for name in required):
        parameters["required"] = required
    if "$defs" in schema:
        parameters["$defs"] = schema["$defs"]
    return {**function, "parameters": parameters}


def _property(schema: Any) -> dict[str, Any]:
    """Say in words what the client would drop (nested objects, anyOf, ranges); a title says nothing more."""
    if not isinstance(schema, Mapping):
        return {}
    known = {key: schema[key] for key in TOOL_PROPERTY_KEYS & schema.keys() if _is_accepted(key, schema[key])}
    if len(known) == len(schema.keys() - {"title"}):
        return known
    whole = json.dumps({key: value for key, value in schema.items() if key != "title"}, ensure_ascii=False)
    return {**known, "description": f"{known.get('description', '')} JSON schema: {whole}".strip()}


def _is_accepted(key: str, value: Any) -> bool:
    match key:
        case "description":
            return isinstance(value, str)
        case "enum":
            return isinstance(value, list)
        case "type":
            return isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value))
        case _:
            return True


def ollama_options(request: LLMRequest, extra_body: Mapping[str, Any]) -> dict[str, Any]:
    """Merge sampling, the request's extra parameters and the configured ones; the later wins."""
    sampling = request.sampling
    stated = {
        "num_ctx": sampling.n_ctx,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "num_predict": generation_limit(request),
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
    }
    options: dict[str, Any] = {"num_ctx": DEFAULT_NUM_CTX}
    for source in (request.extra, stated, extra_body):
        options |= {OPTION_NAMES.get(key, key): value for key, value in source.items() if value is not None}
    nested = options.pop("options", None)
    return options | dict(nested) if isinstance(nested, Mapping) else options
