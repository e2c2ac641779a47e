"""`lf eval`: which way to search and to cut finds most."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.client.options import Database, command

if TYPE_CHECKING:
    from cli.client.caller import Caller

Source = Annotated[
    Path | None,
    typer.Argument(show_default=False, help="Questions: a file of JSON Lines, or a folder in the form of BEIR."),
]
Synthetic = Annotated[
    int | None,
    typer.Option("--synthetic", min=1, show_default=False, help="Instead: make so many questions from the chunks."),
]
Model = Annotated[
    str | None,
    typer.Option("--with-model", show_default=False, help="A model of the project that writes them, at most 100."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of what is chosen by chance.")]
Limit = Annotated[
    int | None, typer.Option("--limit", "-l", min=1, show_default=False, help="Ask only so many, chosen by chance.")
]
Strategies = Annotated[
    list[str] | None,
    typer.Option(
        "--strategies",
        "-r",
        show_default=False,
        help="Retrieval strategies, with commas between or repeated; default: those of the database and semantic, "
        "keyword, hybrid, mmr. What is in use is always measured.",
    ),
]
Chunkings = Annotated[
    list[str] | None,
    typer.Option(
        "--chunking",
        "-c",
        show_default=False,
        help="Other ways to cut the files, with commas between or repeated: a processing strategy, or "
        "CHUNKER:SIZE:OVERLAP such as headings:800.",
    ),
]
Depths = Annotated[
    list[int] | None, typer.Option("-k", show_default=False, help="Depths of recall and hit rate; default 1 3 5 10.")
]
Plots = Annotated[
    list[Path] | None,
    typer.Option("--plot", "-p", show_default=False, help="Draw it: a .png, .svg or .html file; repeatable."),
]
Ingest = Annotated[
    str | None,
    typer.Option(
        "--ingest",
        show_default=False,
        help="Of a BEIR folder: load its corpus into this dataset first, which is made when it does not exist.",
    ),
]
TaskId = Annotated[
    str | None, typer.Option("--task", show_default=False, help="Show an evaluation that was started before.")
]


def register(app: typer.Typer) -> None:
    command(app, "eval")(evaluate)


def evaluate(
    lf: "Caller",
    source: Source = None,
    synthetic: Synthetic = None,
    with_model: Model = None,
    seed: Seed = 0,
    limit: Limit = None,
    database: Database = None,
    strategies: Strategies = None,
    chunking: Chunkings = None,
    k: Depths = None,
    plot: Plots = None,
    ingest: Ingest = None,
    task: TaskId = None,
) -> None:
    """Measure which way to search and to cut finds most, and recommend one.

    Asks questions whose answers are known and prints nDCG@10, recall, MRR and latency of every strategy over every
    chunking; what differs by no more than chance is not recommended. Nothing that is stored is changed. Ctrl-C cancels.
    Exit code 4: a strategy could not be measured.
    """
    from cli.client.evaluation import Wanted, evaluate_database

    wanted = Wanted(
        source=source,
        synthetic=synthetic,
        model=with_model,
        seed=seed,
        limit=limit,
        database=database,
        strategies=strategies or [],
        chunkings=chunking or [],
        ks=k or [],
        plots=plot or [],
        ingest=ingest,
        task=task,
    )
    evaluate_database(lf, wanted)
