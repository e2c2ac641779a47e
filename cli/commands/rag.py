"""`lf rag`: search a database, look at it, look after it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.client.options import Database, Yes, command

if TYPE_CHECKING:
    from cli.client.caller import Caller

rag = typer.Typer(help="Search a database, look at it, look after it.", no_args_is_help=True)

MAINTENANCE = "Maintenance"

Query = Annotated[str, typer.Argument(help="What to look for.")]
DataStrategy = Annotated[
    str | None,
    typer.Option(
        "--data-processing-strategy",
        "--data-strategy",
        "-s",
        show_default=False,
        help="Has no effect on a query, as the answer says.",
    ),
]
RetrievalStrategy = Annotated[
    str | None,
    typer.Option(
        "--retrieval-strategy", "-r", show_default=False, help="How to search; default: that of the database."
    ),
]
TopK = Annotated[int, typer.Option("--top-k", "-k", min=1, help="Results.")]
Threshold = Annotated[float, typer.Option("--score-threshold", min=0, help="Leave out results with a lower score.")]
Filters = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        "-f",
        show_default=False,
        help="key:value, more than once or with commas; a value is read as JSON where it is some.",
    ),
]
Metric = Annotated[
    str | None, typer.Option("--distance-metric", show_default=False, help="Must be the one of the database.")
]
Alpha = Annotated[
    float | None,
    typer.Option("--hybrid-alpha", min=0, max=1, show_default=False, help="Weight of meaning against words."),
]
RerankModel = Annotated[
    str | None, typer.Option("--rerank-model", show_default=False, help="Model that puts the results in order.")
]
QueryTransform = Annotated[
    list[str] | None,
    typer.Option(
        "--query-transform",
        show_default=False,
        help="multi_query, hyde, decomposition, conversational or expansion; repeatable, in this order; none: none.",
    ),
]
Reranker = Annotated[
    str | None,
    typer.Option(
        "--reranker", show_default=False, help="cross_encoder, late_interaction or llm; none: not the strategy's own."
    ),
]
Expand = Annotated[
    str | None,
    typer.Option(
        "--expand", show_default=False, help="neighbours or parent: more of the text around each result; none: not."
    ),
]
Explain = Annotated[bool, typer.Option("--explain", help="Show what each stage of the search did, and how long.")]
Expansion = Annotated[bool, typer.Option("--query-expansion", help="Search with rewordings of the question, too.")]
MaxTokens = Annotated[int, typer.Option("--max-tokens", min=0, help="Cut each result's text; 0: not.")]
WithMetadata = Annotated[bool, typer.Option("--include-metadata", help="Show the metadata of each result.")]
WithScore = Annotated[bool, typer.Option("--include-score/--no-score", help="Show the score of each result.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="With the metadata.")]
Limit = Annotated[int, typer.Option("--limit", "-l", min=1, max=1000, help="At most so many.")]
Offset = Annotated[int, typer.Option("--offset", min=0, help="Leave out so many.")]
Ids = Annotated[list[str] | None, typer.Option("--id", show_default=False, help="By document id; repeatable.")]
FileNames = Annotated[
    list[str] | None, typer.Option("--filename", show_default=False, help="By name of the file; repeatable.")
]
Metadata = Annotated[
    list[str] | None, typer.Option("--metadata", show_default=False, help="By key:value; all given must hold.")
]
MetadataOnly = Annotated[bool, typer.Option("--metadata-only", help="Without embeddings.")]
Target = Annotated[Path | None, typer.Argument(show_default=False, help="File to write; stdout if absent.")]
Source = Annotated[Path | None, typer.Argument(show_default=False, help="An exported file; stdin if absent.")]
ImportStrategy = Annotated[
    str | None, typer.Option("--strategy", "-s", show_default=False, help="Processing strategy to record.")
]
ReindexStrategy = Annotated[
    str | None, typer.Option("--strategy", "-s", show_default=False, help="Process with this strategy instead.")
]


@command(rag)
def query(
    lf: "Caller",
    text: Query,
    database: Database = None,
    data_strategy: DataStrategy = None,
    retrieval_strategy: RetrievalStrategy = None,
    top_k: TopK = 5,
    score_threshold: Threshold = 0.0,
    filters: Filters = None,
    distance_metric: Metric = None,
    hybrid_alpha: Alpha = None,
    rerank_model: RerankModel = None,
    query_expansion: Expansion = False,
    max_tokens: MaxTokens = 0,
    query_transform: QueryTransform = None,
    reranker: Reranker = None,
    expand: Expand = None,
    explain: Explain = False,
    include_metadata: WithMetadata = False,
    include_score: WithScore = True,
) -> None:
    """Search a database and print what is found."""
    from cli.client.rag import parse_filters, print_results, stage

    body = {
        "query": text,
        "top_k": top_k,
        "database": database,
        "data_processing_strategy": data_strategy,
        "retrieval_strategy": retrieval_strategy,
        "score_threshold": score_threshold or None,
        "metadata_filters": parse_filters(filters) or None,
        "distance_metric": distance_metric,
        "hybrid_alpha": hybrid_alpha,
        "rerank_model": rerank_model,
        "query_expansion": query_expansion or None,
        "max_tokens": max_tokens or None,
        "query_transform": False if query_transform == ["none"] else query_transform or None,
        "reranker": stage(reranker),
        "expand": stage(expand),
        "explain": explain or None,
    }
    print_results(lf, body, with_metadata=include_metadata, with_score=include_score)


@command(rag)
def health(lf: "Caller", database: Database = None) -> None:
    """Say whether a database can be searched. Exit code 1: it cannot, or not well."""
    from cli.client.rag import print_health

    print_health(lf, database)


@command(rag)
def stats(lf: "Caller", database: Database = None, verbose: Verbose = False) -> None:
    """Print the size of a database."""
    from cli.client.rag import print_stats

    print_stats(lf, database, is_verbose=verbose)


@command(rag, "list")
def list_documents(
    lf: "Caller", database: Database = None, limit: Limit = 50, offset: Offset = 0, filters: Filters = None
) -> None:
    """List the documents of a database."""
    from cli.client.rag import print_documents

    print_documents(lf, database, limit, offset, filters or [])


@command(rag)
def databases(lf: "Caller") -> None:
    """List the databases of a project with their strategies."""
    from cli.client.rag import print_databases

    print_databases(lf)


@command(rag, rich_help_panel=MAINTENANCE)
def compact(lf: "Caller", database: Database = None) -> None:
    """Give back the space of what was deleted or replaced."""
    from cli.client.maintenance import maintain

    maintain(lf, "compact", database)


@command(rag, rich_help_panel=MAINTENANCE)
def reindex(lf: "Caller", database: Database = None, strategy: ReindexStrategy = None) -> None:
    """Process all documents of a database anew."""
    from cli.client.maintenance import maintain

    maintain(lf, "reindex", database, strategy=strategy)


@command(rag, rich_help_panel=MAINTENANCE)
def clear(lf: "Caller", database: Database = None, yes: Yes = False) -> None:
    """Delete every chunk of a database; files stay."""
    from cli.client.maintenance import maintain

    name = f"database {database!r}" if database else "the default database"
    lf.out.confirm(f"Delete all chunks of {name} of {lf.project()}?", is_sure=yes)
    maintain(lf, "clear", database)


@command(rag, rich_help_panel=MAINTENANCE)
def delete(
    lf: "Caller",
    database: Database = None,
    ids: Ids = None,
    filenames: FileNames = None,
    metadata: Metadata = None,
    yes: Yes = False,
) -> None:
    """Delete documents by id, name of file, or metadata; says first how many."""
    from cli.client.maintenance import delete_documents

    delete_documents(lf, database, ids or [], filenames or [], metadata or [], is_sure=yes)


@command(rag, rich_help_panel=MAINTENANCE)
def prune(lf: "Caller", database: Database = None, yes: Yes = False) -> None:
    """Remove duplicate, orphaned and damaged chunks; says first how many."""
    from cli.client.maintenance import prune_database

    prune_database(lf, database, is_sure=yes)


@command(rag, "export", rich_help_panel=MAINTENANCE)
def export_database(
    lf: "Caller", file: Target = None, database: Database = None, metadata_only: MetadataOnly = False
) -> None:
    """Write a database as one JSON document. With --json, FILE is needed."""
    from cli.client.maintenance import export_database

    export_database(lf, file, database, metadata_only=metadata_only)


@command(rag, "import", rich_help_panel=MAINTENANCE)
def import_database(
    lf: "Caller", file: Source = None, database: Database = None, strategy: ImportStrategy = None
) -> None:
    """Put an exported document into a database."""
    from cli.client.maintenance import import_database

    import_database(lf, file, database, strategy)
