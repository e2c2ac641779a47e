"""`lf datasets`: sets of files, filled and processed."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.client.options import Yes, command

if TYPE_CHECKING:
    from cli.client.caller import Caller

datasets = typer.Typer(help="Make datasets, upload files, process them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the dataset.")]
Files = Annotated[list[str], typer.Argument(help="Files, folders, or patterns such as 'docs/**/*.md' in quotes.")]
MaybeFiles = Annotated[list[str] | None, typer.Argument(help="Files to upload at once.", show_default=False)]
Strategy = Annotated[
    str | None,
    typer.Option(
        "--data-processing-strategy", "-s", show_default=False, help="May be left out where the project has one only."
    ),
]
DatasetDatabase = Annotated[
    str | None, typer.Option("--database", "-b", show_default=False, help="Default: that of the project.")
]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Folders with everything below them.")]
Hidden = Annotated[bool, typer.Option("--hidden", help="Also names that begin with a dot.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, max=32, help="Uploads at the same time.")]
Bulk = Annotated[bool, typer.Option("--bulk", help="Up to 100 files per request: faster for many small ones.")]
Process = Annotated[
    bool | None,
    typer.Option("--process/--no-process", help="Process afterwards; unset: the dataset's own `auto_process`."),
]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the end, showing the progress.")]
Cancels = Annotated[bool, typer.Option("--cancel-on-interrupt", help="Ctrl-C cancels the task, too.")]
ChunkSize = Annotated[
    int | None, typer.Option(min=1, max=100_000, show_default=False, help="Characters per chunk, for these files.")
]
ChunkOverlap = Annotated[
    int | None, typer.Option(min=0, show_default=False, help="Characters shared by neighbouring chunks.")
]
FileHash = Annotated[str, typer.Argument(help="SHA-256 of the file, as `lf datasets files` shows it.")]
FailedOnly = Annotated[bool, typer.Option("--failed-only", help="Only files whose last processing failed.")]
OneFile = Annotated[str | None, typer.Option("--file-hash", show_default=False, help="Only this file.")]


@command(datasets, "list")
def list_datasets(lf: "Caller") -> None:
    """List the datasets of a project."""
    from cli.client.datasets import print_list

    print_list(lf)


@command(datasets)
def files(lf: "Caller", name: Name) -> None:
    """List the files of a dataset with their hashes and chunks."""
    from cli.client.datasets import print_files

    print_files(lf, name)


@command(datasets)
def strategies(lf: "Caller") -> None:
    """List what a dataset may be made with."""
    with lf.api() as api:
        found = api.get(f"{lf.project().path}/datasets/strategies")
    lf.out.result(found, lambda: _print_strategies(lf, found))


@command(datasets)
def create(
    lf: "Caller",
    name: Name,
    files: MaybeFiles = None,
    strategy: Strategy = None,
    database: DatasetDatabase = None,
    recursive: Recursive = False,
    hidden: Hidden = False,
    jobs: Jobs = 4,
    process: Process = None,
    wait: Wait = True,
) -> None:
    """Make a dataset; with files, upload them too."""
    from cli.client.datasets import create_dataset
    from cli.client.uploads import Plan, upload_files

    created = create_dataset(lf, name, strategy, database)
    if files:
        upload_files(
            lf, Plan(name, files, is_recursive=recursive, with_hidden=hidden, jobs=jobs, process=process, waits=wait)
        )
    else:
        dataset = created["dataset"]
        lf.out.result(created, lambda: lf.out.text(f"created dataset {dataset['name']!r}"))


@command(datasets)
def upload(
    lf: "Caller",
    name: Name,
    files: Files,
    recursive: Recursive = False,
    hidden: Hidden = False,
    jobs: Jobs = 4,
    bulk: Bulk = False,
    process: Process = None,
    wait: Wait = True,
    chunk_size: ChunkSize = None,
    chunk_overlap: ChunkOverlap = None,
) -> None:
    """Upload files. What the dataset has already is skipped; what fails is told at the end, with exit code 4."""
    from cli.client.uploads import Plan, upload_files

    plan = Plan(
        name,
        files,
        is_recursive=recursive,
        with_hidden=hidden,
        jobs=jobs,
        is_bulk=bulk,
        process=process,
        waits=wait,
        chunk_size=chunk_size,
        chunk_overlap=chunk_overlap,
    )
    upload_files(lf, plan)


@command(datasets, "process")
def process_dataset(lf: "Caller", name: Name, wait: Wait = True, cancel_on_interrupt: Cancels = False) -> None:
    """Parse, chunk and embed the files that are new or changed. Exit code 4: some failed."""
    from cli.client.datasets import start_action

    start_action(lf, name, {"action_type": "process"}, waits=wait, cancels=cancel_on_interrupt)


@command(datasets)
def reprocess(
    lf: "Caller",
    name: Name,
    file_hash: OneFile = None,
    failed_only: FailedOnly = False,
    wait: Wait = True,
    cancel_on_interrupt: Cancels = False,
) -> None:
    """Process files again, also unchanged ones; the old chunks answer until the new ones are ready."""
    from cli.client.datasets import start_action

    body: dict[str, Any] = {"action_type": "reprocess"}
    if file_hash is not None:
        body["file_hash"] = file_hash
    if failed_only:
        body["failed_only"] = True
    start_action(lf, name, body, waits=wait, cancels=cancel_on_interrupt)


@command(datasets)
def delete(lf: "Caller", name: Name, yes: Yes = False) -> None:
    """Delete a dataset with its files and chunks."""
    from cli.client.datasets import delete_dataset

    delete_dataset(lf, name, is_sure=yes)


@command(datasets)
def remove(lf: "Caller", name: Name, file_hash: FileHash, yes: Yes = False) -> None:
    """Remove one file with its chunks from a dataset and from the disk."""
    from cli.client.datasets import remove_file

    remove_file(lf, name, file_hash, is_sure=yes)


@command(datasets)
def cleanup(lf: "Caller", name: Name, file_hash: FileHash, yes: Yes = False) -> None:
    """Delete the chunks of one file and keep the file."""
    from cli.client.datasets import clean_up_file

    clean_up_file(lf, name, file_hash, is_sure=yes)


def _print_strategies(lf: "Caller", found: dict[str, Any]) -> None:
    lf.out.fields(
        [
            ("processing strategies", ", ".join(found.get("data_processing_strategies") or []) or "none"),
            ("databases", ", ".join(found.get("databases") or []) or "none"),
        ]
    )
