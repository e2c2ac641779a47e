"""Runs a command of `lf` against the stand-in, from a folder that belongs to the project acme/bakery."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner, Result

from cli.main import app
from tests.unit.cli.fake_api import FakeApi

P = "/v1/projects/acme/bakery"


@dataclass
class Lf:
    api: FakeApi
    folder: Path

    def __call__(self, *arguments: str, code: int = 0, stdin: str | bytes | None = None) -> Result:
        """Raises AssertionError for another exit code, and for an exception that a person would see."""
        server = ["--server-url", self.api.url] if self.api.url else []
        result = CliRunner().invoke(app, [*server, *arguments], input=stdin)
        assert result.exit_code == code, (result.exit_code, result.stdout, result.stderr, result.exception)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def json(self, *arguments: str, code: int = 0, stdin: str | None = None) -> Any:
        """Stdout with --json: one document and nothing else."""
        result = self(*arguments, "--json", code=code, stdin=stdin)
        assert result.stderr == "" or code
        return json.loads(result.stdout)

    def error(self, *arguments: str, code: int = 1) -> Any:
        """Stderr with --json: one document and nothing else."""
        result = self(*arguments, "--json", code=code)
        return json.loads(result.stderr)


COMMAND = typer.main.get_command(app)
"""Made once: every call of the runner would make it anew."""


def make_lf(folder: Path) -> Iterator[Lf]:
    (folder / "llamafarm.yaml").write_text("version: v1\nname: bakery\nnamespace: acme\n")
    with FakeApi() as api:
        yield Lf(api, folder)
