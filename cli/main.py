"""The `lf` command. Modules are imported when a command needs them, so that `lf --help` answers at once."""

import json
import sys
from typing import Annotated

import typer

from cli.client.options import (
    API_KEY,
    SERVER_URL,
    AsJson,
    Cwd,
    GlobalOptions,
    Namespace,
    Project,
    Quiet,
    Timeout,
    root_option,
)
from cli.commands import (
    chat,
    config,
    datasets,
    db,
    evaluate,
    events,
    examples,
    init,
    keys,
    logs,
    models,
    projects,
    rag,
    services,
    start,
    tasks,
    version,
)
from cli.errors import CliError
from cli.server import server

GROUPS = {
    "server": server,
    "services": services.services,
    "projects": projects.projects,
    "datasets": datasets.datasets,
    "rag": rag.rag,
    "db": db.db,
    "models": models.models,
    "tasks": tasks.tasks,
    "events": events.events,
    "examples": examples.examples,
    "config": config.config,
    "keys": keys.keys,
}

HELP = """Paddock: a self-hosted RAG backend, from a folder of files to a cited answer.

Exit codes: 0 done; 1 failed; 2 wrong options or settings; 3 no server answers; 4 done, but not for every file;
130 ended with Ctrl-C.
"""

app = typer.Typer(
    name="lf",
    help=HELP,
    no_args_is_help=True,
)
for module in (init, start, chat, evaluate, logs, version):
    module.register(app)
for name, group in GROUPS.items():
    app.add_typer(group, name=name)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        typer.echo(f"paddock {version('paddock')}")
        raise typer.Exit


@app.callback()
def lf(
    ctx: typer.Context,
    server_url: Annotated[str | None, root_option(SERVER_URL, "LF_SERVER_URL")] = None,
    api_key: Annotated[str | None, root_option(API_KEY, "LF_API_KEY")] = None,
    namespace: Namespace = None,
    project: Project = None,
    cwd: Cwd = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    timeout_s: Timeout = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    options = GlobalOptions(server_url, api_key or None, namespace, project, cwd, as_json, quiet, timeout_s)
    ctx.obj = options
    given = any(str(ctx.get_parameter_source(name)).endswith("COMMANDLINE") for name in ctx.params)
    if ctx.invoked_subcommand == "server" and given:
        raise typer.BadParameter("`lf server` works on this machine and has options of its own: give them after it")


def main() -> None:
    """Entry point; what a command cannot do is one sentence on stderr, and its exit code."""
    try:
        if "--json" in sys.argv:
            sys.exit(_run_for_programs())
        app()
    except CliError as error:
        from cli.client.output import Output

        Output(as_json="--json" in sys.argv).failure(error)
        sys.exit(error.exit_code)


def _run_for_programs() -> int:
    """As `app()`, but wrong options are told as JSON too."""
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        sys.stderr.write(json.dumps({"error": error.format_message(), "exit_code": error.exit_code}) + "\n")
        return error.exit_code
    except typer.Abort:
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    main()
