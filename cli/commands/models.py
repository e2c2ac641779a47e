"""`lf models`: those of a project, and those on the server's disk."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.client.options import Yes, command

if TYPE_CHECKING:
    from cli.client.caller import Caller

models = typer.Typer(help="Models of a project, and models on the server's disk.", no_args_is_help=True)

MaybeProject = Annotated[
    str | None, typer.Argument(metavar="[NAMESPACE/PROJECT]", show_default=False, help="Default: this folder's.")
]
Cached = Annotated[bool, typer.Option("--cached", help="What lies on the server's disk instead.")]
Provider = Annotated[
    str, typer.Option(help="universal: the Hugging Face cache of the server; ollama: the models of Ollama.")
]
ModelId = Annotated[str, typer.Argument(help="Such as org/model, org/model:Q4_K_M, or llama3.2:3b of Ollama.")]


@command(models, "list")
def list_models(
    lf: "Caller", of: MaybeProject = None, cached: Cached = False, provider: Provider = "universal"
) -> None:
    """List the models that a chat may name."""
    from cli.client.models import print_cached, print_models

    if cached:
        print_cached(lf, provider)
    else:
        print_models(lf, lf.project(of))


@command(models)
def pull(lf: "Caller", model: ModelId, provider: Provider = "universal") -> None:
    """Download a model to the server, showing the progress."""
    from cli.client.models import pull_model

    pull_model(lf, model, provider)


@command(models)
def status(lf: "Caller", model: ModelId, provider: Provider = "universal") -> None:
    """Say whether a model is on the server's disk. Exit code 1: it is not."""
    from cli.client.models import find_cached
    from cli.errors import CliError

    found = find_cached(lf, model, provider)
    if found is None:
        raise CliError(f"{model} is not cached on the server: `lf models pull {model}`")
    document: dict[str, Any] = {"model": model, "cached": True, **found}
    lf.out.result(document, lambda: lf.out.text(f"{model} is cached"))


@command(models)
def delete(lf: "Caller", model: ModelId, provider: Provider = "universal", yes: Yes = False) -> None:
    """Delete a model from the server's disk."""
    from urllib.parse import quote

    from cli.client.output import human_size

    lf.out.confirm(f"Delete {model} from the server's disk?", is_sure=yes)
    with lf.api() as api:
        answer = api.delete(f"/v1/models/{quote(model)}", provider=provider)
    freed = human_size(answer.get("size_freed"))
    lf.out.result(answer, lambda: lf.out.text(f"deleted {model}" + (f", {freed} freed" if freed else "")))
