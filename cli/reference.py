"""Writes the reference part of `docs/cli.md` from the commands themselves: `python -m cli.reference`.

What stands above the marker is written by hand and kept. A test compares.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from cli.client.options import PANEL
from cli.main import app

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"
MARKER = "<!-- Generated from here on by `python -m cli.reference`. Do not edit. -->"


def render(page: str) -> str:
    """The page with its generated part made anew."""
    by_hand = page.partition(MARKER)[0]
    return by_hand + MARKER + "\n\n" + "\n".join(_reference()).rstrip() + "\n"


def _reference() -> Iterator[str]:
    root: Any = typer.main.get_command(app)
    context = root.make_context("lf", [], resilient_parsing=True)
    shared = [each for each in root.get_params(context) if getattr(each, "rich_help_panel", None) == PANEL]
    yield from ("## Options of every command", "")
    yield "Before the command's name or after it; `lf server` has options of its own."
    yield ""
    yield from _table(shared, context)
    for path, command in _commands(root, "lf"):
        yield from _section(path, command, context)


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every group before its commands, hidden ones left out."""
    for name, command in group.commands.items():
        if not command.hidden:
            yield f"{path} {name}", command
            if hasattr(command, "commands"):
                yield from _commands(command, f"{path} {name}")


def _section(path: str, command: Any, parent: Any) -> Iterator[str]:
    is_group = hasattr(command, "commands")
    text = " ".join((command.help or "").split("\n\n")[0].split())
    more = [" ".join(part.split()) for part in (command.help or "").split("\n\n")[1:]]
    yield from (f"## {path}" if is_group else f"### `{path}`", "", text, "")
    for paragraph in more:
        yield from (paragraph, "")
    if is_group:
        return
    context = command.make_context(path, [], parent=parent, resilient_parsing=True)
    own = [each for each in command.get_params(context) if _is_own(each)]
    usage = " ".join(command.collect_usage_pieces(context))
    yield from (f"    {path} {usage}", "")
    yield from _table(own, context)


def _is_own(parameter: Any) -> bool:
    is_shared = getattr(parameter, "rich_help_panel", None) == PANEL
    return not (is_shared or getattr(parameter, "hidden", False) or parameter.name == "help")


def _table(parameters: list[Any], context: Any) -> Iterator[str]:
    rows = [_row(each, context) for each in parameters]
    if rows:
        yield from ("| | what | default |", "|---|---|---|", *rows, "")


def _row(parameter: Any, context: Any) -> str:
    if parameter.param_type_name == "argument":
        name = f"`{(parameter.metavar or parameter.name).upper()}`"
    else:
        names = [*parameter.opts, *parameter.secondary_opts]
        name = ", ".join(f"`{each}`" for each in names)
    text = " ".join((parameter.help or "").split()).replace("|", "\\|")
    return f"| {name} | {text} | {_default(parameter, context)} |"


def _default(parameter: Any, context: Any) -> str:
    value = parameter.get_default(context)
    if value is None or value == () or value == [] or getattr(parameter, "required", False):
        return ""
    if isinstance(value, bool):
        on, off = parameter.opts[0], next(iter(parameter.secondary_opts), "")
        return f"`{on}`" if value else (f"`{off}`" if off else "")
    return f"`{value}`"


def main() -> None:
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    PAGE.write_text(render(page), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")


if __name__ == "__main__":
    main()
