"""Loads the corpus of a BEIR folder into a dataset: one text file per document, called as its id."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from cli.client.api import Api
from cli.client.caller import Caller
from cli.client.datasets import create_dataset, dataset_path
from cli.client.output import counted
from cli.client.project_file import ProjectName
from cli.client.upload import Outcome, Uploader
from cli.client.watch import failures, watch
from cli.errors import CliError, HadFailuresError, UsageError
from rag.errors import RagError
from rag.evaluation.datasets import read_corpus

JOBS = 4


def ingest_corpus(lf: Caller, folder: Path, dataset: str, database: str | None) -> str:
    """The database that the documents are in afterwards. Documents that are there already are not sent again.

    Raises:
        UsageError: the corpus cannot be read, or the dataset belongs to another database.
        HadFailuresError: a document was not uploaded or not processed.
    """
    project = lf.project()
    with lf.api() as api:
        found = _database_of(api, project, dataset)
    if found is None:
        made = create_dataset(lf, dataset, None, database)
        found = str((made.get("dataset") or {}).get("database") or database)
    if database is not None and found != database:
        raise UsageError(
            f"dataset {dataset!r} belongs to database {found!r}, not to {database!r}: name another dataset"
        )
    with lf.api() as api, TemporaryDirectory(prefix="lf-eval-") as temporary:
        paths = _written(folder, Path(temporary))
        lf.out.note(f"uploading {counted(len(paths), 'document')} to dataset {dataset!r}")
        uploader = Uploader(api, dataset_path(project, dataset), params={"auto_process": "false"}, form={})
        outcomes = list(uploader.upload_bulk(paths, concurrency=JOBS, on_progress=lambda _count: None))
        _refuse_failed(outcomes)
        started = api.post(f"{dataset_path(project, dataset)}/actions", {"action_type": "process"})
        task = watch(lf, api, project, str(started["task_id"]))
    lost = failures(task)
    if lost or task.get("state") != "SUCCESS":
        name, why = lost[0] if lost else (dataset, str(task.get("error")))
        raise HadFailuresError(f"{counted(len(lost), 'document')} of the corpus were not processed, as {name}: {why}")
    return found


def _database_of(api: Api, project: ProjectName, dataset: str) -> str | None:
    listed = api.get(f"{project.path}/datasets/").get("datasets") or []
    return next((str(each["database"]) for each in listed if each.get("name") == dataset), None)


def _written(folder: Path, target: Path) -> list[Path]:
    try:
        return list(_files(folder, target))
    except RagError as error:
        raise UsageError(error.message) from error
    except OSError as error:
        raise CliError(f"the corpus cannot be written to {target}: {error.strerror}") from error


def _files(folder: Path, target: Path) -> Iterator[Path]:
    for document in read_corpus(folder):
        path = target / document.name
        path.write_text(document.text, encoding="utf-8", errors="replace")
        yield path


def _refuse_failed(outcomes: list[Outcome]) -> None:
    failed = [each for each in outcomes if each.status == "failed"]
    if failed:
        raise HadFailuresError(
            f"{counted(len(failed), 'document')} not uploaded, as {Path(failed[0].path).name}: {failed[0].error}"
        )
