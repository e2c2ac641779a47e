"""Options that every command of a client takes, before the command's name or after it."""

import copy
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.errors import CliError, UsageError

PANEL = "Options of every command"

SERVER_URL = typer.Option(
    "--server-url",
    show_default=False,
    rich_help_panel=PANEL,
    help="Address of the server (LF_SERVER_URL); default: the one that runs on this data directory, else LF_HOST "
    "and LF_PORT.",
)
API_KEY = typer.Option(
    "--api-key",
    show_default=False,
    rich_help_panel=PANEL,
    help="Key of the server (LF_API_KEY). The variable is safer: other users of the machine can see options.",
)
ServerUrl = Annotated[str | None, SERVER_URL]
ApiKey = Annotated[str | None, API_KEY]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", show_default=False, rich_help_panel=PANEL, help="Default: that of ./llamafarm.yaml."),
]
Project = Annotated[
    str | None,
    typer.Option("--project", show_default=False, rich_help_panel=PANEL, help="Default: `name` of ./llamafarm.yaml."),
]
Cwd = Annotated[
    Path | None,
    typer.Option("--cwd", show_default=False, rich_help_panel=PANEL, help="Acts as if called in this folder."),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", rich_help_panel=PANEL, help="One JSON document on stdout; errors as JSON on stderr."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", rich_help_panel=PANEL, help="No progress and no remarks.")]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        min=0.1,
        show_default=False,
        rich_help_panel=PANEL,
        help="Seconds to wait for an answer; default 60, and 600 between two pieces of a stream or an upload.",
    ),
]

Yes = Annotated[bool, typer.Option("--yes", "-y", "--force", "-f", help="Do not ask.")]
Database = Annotated[
    str | None, typer.Option("--database", "-b", show_default=False, help="Default: that of the project.")
]


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """None and False: not given."""

    server_url: str | None = None
    api_key: str | None = None
    namespace: str | None = None
    project: str | None = None
    cwd: Path | None = None
    as_json: bool = False
    quiet: bool = False
    timeout_s: float | None = None

    def under(self, nearer: "GlobalOptions") -> "GlobalOptions":
        """What stands after the command's name goes before what stands in front of it."""
        merged = {each.name: getattr(nearer, each.name) or getattr(self, each.name) for each in fields(self)}
        return GlobalOptions(**merged)


ANNOTATIONS: dict[str, Any] = {
    "server_url": ServerUrl,
    "api_key": ApiKey,
    "namespace": Namespace,
    "project": Project,
    "cwd": Cwd,
    "as_json": AsJson,
    "quiet": Quiet,
    "timeout_s": Timeout,
}


def command(group: typer.Typer, name: str | None = None, **settings: Any) -> Callable[[Callable[..., None]], Any]:
    """As `group.command(name)`, for a function that takes a `Caller` first: the options of every command are added.

    A `CliError` of the function is told, as JSON where that was asked for, and ends the process with its exit code.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        def run(ctx: typer.Context, **values: Any) -> None:
            nearer = GlobalOptions(**{key: values.pop(key) for key in ANNOTATIONS})
            run_with(function, (ctx.obj or GlobalOptions()).under(nearer), values)

        _take_signature(run, function)
        group.command(name, **settings)(run)
        return function

    return register


def run_with(function: Callable[..., None], options: GlobalOptions, values: dict[str, Any]) -> None:
    from cli.client.caller import Caller
    from cli.client.output import Output

    output = Output(as_json=options.as_json, is_quiet=options.quiet)
    try:
        _enter(options.cwd)
        caller: Caller = Caller(options, output)
        function(caller, **values)
    except CliError as error:
        output.failure(error)
        raise typer.Exit(error.exit_code) from error


def _enter(folder: Path | None) -> None:
    if folder is None:
        return
    try:
        os.chdir(folder)
    except OSError as error:
        raise UsageError(f"--cwd {folder}: {error.strerror}") from error


def _take_signature(run: Callable[..., None], function: Callable[..., None]) -> None:
    """What typer reads: the parameters of `function` but its first, then those of every command."""
    own = list(inspect.signature(function).parameters.values())[1:]
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    shared = [
        inspect.Parameter(
            key,
            inspect.Parameter.KEYWORD_ONLY,
            default=GlobalOptions.__dataclass_fields__[key].default,
            annotation=annotation,
        )
        for key, annotation in ANNOTATIONS.items()
    ]
    parameters = [context, *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own), *shared]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # functions carry one
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    run.__name__, run.__doc__, run.__module__ = function.__name__, function.__doc__, function.__module__


def root_option(option: Any, variable: str) -> Any:
    """The option in front of the command's name, which also reads the variable: there it cannot override the other."""
    found = copy.copy(option)
    found.envvar = variable
    found.show_envvar = False
    return found
