"""From the arguments of a tool call to the request that it stands for."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlencode

import httpx

from rag.errors import InvalidInputError
from server.mcp.tools import JSON, Argument, Operation, Place

CONTROL = {chr(code) for code in (*range(32), 127)}


@dataclass(frozen=True, slots=True)
class CallRequest:
    """An HTTP request without a connection."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def raw_path(self) -> bytes:
        return self.path.encode("ascii")

    @property
    def decoded_path(self) -> str:
        return unquote(self.path)


def request_of(operation: Operation, given: Mapping[str, Any]) -> CallRequest:
    """Lay the arguments out as the operation wants them.

    Raises:
        InvalidInputError: an argument is unknown, missing, or would lead to another operation than this one.
    """
    _check_names(operation, given)
    headers = {**operation.headers, **_headers(operation, given)}
    if any(each.place == "header" and each.name in given for each in operation.arguments.values()):
        headers = {key: value for key, value in headers.items() if key not in operation.headers}
    media_headers, body = _body(operation, given)
    return CallRequest(
        method=operation.method,
        path=_path(operation, given),
        query=urlencode(_flat(_of(operation, given, "query")), doseq=True),
        headers={**headers, **media_headers},
        body=body,
    )


def _check_names(operation: Operation, given: Mapping[str, Any]) -> None:
    known = operation.arguments
    if unknown := sorted(set(given) - set(known)):
        raise InvalidInputError(f"{operation.name} has no argument {', '.join(unknown)}; it has {', '.join(known)}")
    missing = [name for name, each in known.items() if each.is_required and given.get(name) is None]
    if missing:
        raise InvalidInputError(f"{operation.name} needs {', '.join(missing)}")
    try:
        json.dumps(dict(given), ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInputError("an argument holds half a character (a lone surrogate)") from error


def _of(operation: Operation, given: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """Wire name → value, of what was given for one place."""
    return {
        each.wire_name: given[each.name]
        for each in operation.arguments.values()
        if each.place == place and each.name in given
    }


def _path(operation: Operation, given: Mapping[str, Any]) -> str:
    path = operation.path
    for name, value in _of(operation, given, "path").items():
        text = str(value)
        if text in ("", ".", "..") or "/" in text or CONTROL & set(text):
            raise InvalidInputError(f"{name} {text!r} is not a name")
        path = path.replace(f"{{{name}}}", quote(text, safe=""))
    return path


def _headers(operation: Operation, given: Mapping[str, Any]) -> dict[str, str]:
    headers = {key: str(value) for key, value in _of(operation, given, "header").items() if value is not None}
    for name, value in headers.items():
        if CONTROL & set(value):
            raise InvalidInputError(f"{name} must not contain control characters")
    return headers


def _flat(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _text(value) for name, value in query.items() if value is not None}


def _text(value: Any) -> Any:
    if isinstance(value, list):
        return [_text(each) for each in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, dict) else value


def _body(operation: Operation, given: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
    if operation.media_type is None:
        return {}, b""
    if operation.media_type == JSON:
        parts = _of(operation, given, "body")
        content = parts.get("", parts)
        return {"content-type": JSON}, json.dumps(content).encode("utf-8")
    return _multipart(operation, given)


def _multipart(operation: Operation, given: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
    files = [(each.wire_name, part) for each in operation.arguments.values() for part in _file_parts(each, given)]
    form = {name: _text(value) for name, value in _of(operation, given, "form").items() if value is not None}
    request = httpx.Request("POST", "http://in-process", data=form, files=files)
    return {"content-type": request.headers["content-type"]}, request.read()


def _file_parts(argument: Argument, given: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    if argument.place == "file" and argument.name == "filename":
        return [_file_part(given)]
    if argument.place != "files" or given.get(argument.name) is None:
        return []
    files = given[argument.name]
    if not isinstance(files, list) or not all(isinstance(each, Mapping) for each in files):
        raise InvalidInputError(f"{argument.name} is to be a list of objects with filename and text or content_base64")
    return [_file_part(each) for each in files]


def _file_part(given: Mapping[str, Any]) -> tuple[str, bytes]:
    name = str(given.get("filename") or "")
    text, encoded = given.get("text"), given.get("content_base64")
    if (text is None) == (encoded is None):
        raise InvalidInputError(f"file {name!r} needs its content as text or as content_base64, one of the two")
    if text is not None:
        return name, str(text).encode("utf-8")
    try:
        return name, base64.b64decode(str(encoded), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInputError(f"content_base64 of file {name!r} is not base64: {error}") from error
