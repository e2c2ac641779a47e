"""The reference of endpoints in `docs/`, made from the app's own OpenAPI document: `python -m server.reference`."""

import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from config.settings import Settings
from server.app import create_app
from server.mcp.schema import REF_PREFIX

PAGE = Path(__file__).parent.parent / "docs" / "endpoints.md"
METHODS = ("get", "post", "put", "patch", "delete")
PROJECT = "/v1/projects/{namespace}/{project}"
HEAD = """\
# Endpoints

Every operation of the HTTP API: what it takes, what it answers. Made from the server's own OpenAPI document by
`python -m server.reference`; the running server shows the same at `/docs`, with every field of every answer, and gives
the document at `/openapi.json`. `P` stands for `/v1/projects/{namespace}/{project}`.

Every failure has one body, `{"detail", "error", "message"}`, which [Errors](errors.md) tells about. Besides what is
listed, each operation may answer 401 (no or a wrong API key), 403 (a key of a part, for what concerns the whole
server), 413 (the body is too large), 421 (a foreign host name) and 507 (the disk is full)."""
GUARDS = ("401", "403", "413", "421", "507")


def document() -> dict[str, Any]:
    """Of an app with default settings; it is built and never served."""
    nowhere = Path(tempfile.gettempdir()) / "paddock-reference"
    return create_app(Settings(_env_file=None, data_dir=nowhere)).openapi()


def render(source: Mapping[str, Any]) -> str:
    sections: dict[str, list[str]] = {}
    for path, methods in source["paths"].items():
        for method in METHODS:
            if method in methods:
                operation = methods[method]
                sections.setdefault(operation["tags"][0], []).extend(_operation(method, path, operation, source))
    blocks = [HEAD]
    for tag, lines in sections.items():
        blocks += [f"## {tag.replace('-', ' ').capitalize()}", *lines]
    return "\n\n".join(blocks) + "\n"


def _operation(method: str, path: str, operation: Mapping[str, Any], source: Mapping[str, Any]) -> Iterator[str]:
    shown = re.sub(rf"^{re.escape(PROJECT)}(?=/|$)", "P", path)
    is_tool = "mcp" in operation["tags"]
    yield f"### {method.upper()} `{shown}`"
    yield f"`{operation['operationId']}`{', also an MCP tool' if is_tool else ''}. {operation.get('description', '')}"
    rows = [*_parameters(operation, source), *_body(operation, source)]
    if rows:
        yield _table(("name", "in", "type", "what it is"), rows)
    yield "Answers " + ", ".join(_answers(operation)) + "."


def _parameters(operation: Mapping[str, Any], source: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for each in operation.get("parameters", ()):
        if each["in"] != "path":
            says = each.get("description") or each["schema"].get("description", "")
            yield _row(each["name"], each["in"], each["schema"], says, source, is_required=each.get("required", False))


def _body(operation: Mapping[str, Any], source: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(content.get("schema", {}), source)
        place = "form" if kind.startswith("multipart/") else "body"
        for name, each in schema.get("properties", {}).items():
            is_required = name in schema.get("required", ())
            yield _row(name, place, each, each.get("description", ""), source, is_required=is_required)


def _row(
    name: str, place: str, schema: Mapping[str, Any], says: str, source: Mapping[str, Any], *, is_required: bool
) -> tuple[str, ...]:
    default = schema.get("default")
    told = [
        says,
        "Must be given." if is_required else "",
        f"Default `{_plain(default)}`." if default is not None else "",
    ]
    return f"`{name}`", place, _type(schema, source), " ".join(part for part in told if part)


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _type(schema: Mapping[str, Any], source: Mapping[str, Any]) -> str:
    found = _resolved(schema, source)
    if "enum" in found:
        return " or ".join(f"`{each}`" for each in found["enum"])
    if "const" in found:
        return f"`{found['const']}`"
    if choices := found.get("anyOf") or found.get("oneOf"):
        names = [_type(each, source) for each in choices if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(names))
    if found.get("type") == "array":
        return f"list of {_type(found.get('items', {}), source)}"
    if found.get("format") == "binary" or "contentMediaType" in found:
        return "file"
    return f"{found.get('type', 'any')}{_limits(found)}"


def _limits(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    if low is None and high is None:
        return ""
    if high is None:
        return f", from {low}"
    return f", up to {high}" if low is None else f", {low}–{high}"


def _answers(operation: Mapping[str, Any]) -> Iterator[str]:
    for status, response in sorted(operation["responses"].items()):
        if status in GUARDS:
            continue
        names = [_answer_name(content.get("schema", {})) for content in response.get("content", {}).values()]
        told = " or ".join(dict.fromkeys(name for name in names if name))
        kinds = " as server-sent events" if "text/event-stream" in response.get("content", {}) else ""
        yield f"{status} {told}{kinds}".strip() if status.startswith("2") else status


def _answer_name(schema: Mapping[str, Any]) -> str:
    if ref := schema.get("$ref"):
        return f"`{ref.removeprefix(REF_PREFIX)}`"
    if choices := schema.get("anyOf"):
        return " or ".join(_answer_name(each) for each in choices)
    return f"a list of {_answer_name(schema['items'])}" if "items" in schema else ""


def _resolved(schema: Mapping[str, Any], source: Mapping[str, Any]) -> Mapping[str, Any]:
    if ref := schema.get("$ref"):
        found: Mapping[str, Any] = source["components"]["schemas"][ref.removeprefix(REF_PREFIX)]
        return found
    return schema


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(each) for each in row) + " |" for row in cells)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(render(document()), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
