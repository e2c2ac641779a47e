"""`docs/cli.md` says what the commands say."""

import re
from typing import Any

import pytest
import typer

from cli.main import app
from cli.reference import PAGE, render


def leaves(command: Any, path: str) -> list[tuple[str, Any]]:
    if hasattr(command, "commands"):
        return [leaf for name, each in command.commands.items() for leaf in leaves(each, f"{path} {name}")]
    return [(path, command)]


COMMANDS = leaves(typer.main.get_command(app), "lf")


def test_the_page_is_as_it_would_be_generated() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == render(page), "run `python -m cli.reference`"


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[path for path, _ in COMMANDS])
def test_every_command_and_option_is_explained(path: str, command: Any) -> None:
    assert f"### `{path}`\n" in PAGE.read_text(encoding="utf-8")
    context = command.make_context(path, [], resilient_parsing=True)
    shown = [each for each in command.get_params(context) if not getattr(each, "hidden", False)]
    unexplained = [each.name for each in shown if not getattr(each, "help", None)]
    assert command.help
    assert unexplained == []


def test_commands_of_the_how_to_exist() -> None:
    by_hand = PAGE.read_text(encoding="utf-8").partition("<!-- Generated")[0]
    known = [path for path, _ in COMMANDS] + ["lf rag", "lf server", "lf services", "lf COMMAND"]
    shown = set(re.findall(r"^    (lf [a-z]+(?: [a-z]+)?)|`(lf [a-z]+(?: [a-z]+)?)", by_hand, re.MULTILINE))
    written = {first or second for first, second in shown}
    assert written
    assert [each for each in written if each not in known and each.rpartition(" ")[0] not in known] == []
