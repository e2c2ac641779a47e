"""Examples: small projects with files that come with the server."""

from server.deps import ExampleServiceDep, RequestIdDep
from server.routing import Router
from server.schemas.errors import CONFLICT_RESPONSES, ERROR_RESPONSES, TOO_LARGE_RESPONSES
from server.schemas.examples import (
    ExampleDatasetList,
    ExampleList,
    ImportData,
    ImportDataset,
    Imported,
    ImportedDataset,
    ImportProject,
)

router = Router(prefix="/v1/examples", tags=["examples"], responses=ERROR_RESPONSES)

IMPORT_ERRORS = {**TOO_LARGE_RESPONSES, **CONFLICT_RESPONSES}


@router.get("", operation_id="examples_list")
@router.get("/", include_in_schema=False)
def list_examples(examples: ExampleServiceDep) -> ExampleList:
    """Every example with its size and what it shows."""
    """List the example projects that can be imported."""
    return examples.list()


# Before the routes with an id, which `datasets` would be taken for.
@router.get("/datasets", operation_id="examples_datasets_list")
@router.get("/datasets/", include_in_schema=False)
def list_all_datasets(examples: ExampleServiceDep) -> ExampleDatasetList:
    """The datasets of every example, with what their files are."""
    """List the datasets of all examples."""
    return examples.datasets()


@router.get("/{example_id}/datasets", operation_id="example_datasets_list")
@router.get("/{example_id}/datasets/", include_in_schema=False)
def list_datasets(example_id: str, examples: ExampleServiceDep) -> ExampleDatasetList:
    """The datasets of one example."""
    """List the datasets of one example, with their kinds and sizes."""
    return examples.datasets(example_id)


@router.post("/{example_id}/import-project", operation_id="example_import_project", responses=IMPORT_ERRORS)
def import_project(
    example_id: str, body: ImportProject, examples: ExampleServiceDep, request_id: RequestIdDep
) -> Imported:
    """Make a new project from an example: configuration, files and, with `process`, the work on them."""
    """Make a project of an example, with its files; `process` has them processed at once.

    An import that broke off is completed by doing it again.
    """
    return examples.import_project(example_id, body, request_id)


@router.post("/{example_id}/import-data", operation_id="example_import_data", responses=IMPORT_ERRORS)
def import_data(example_id: str, body: ImportData, examples: ExampleServiceDep, request_id: RequestIdDep) -> Imported:
    """Bring an example's datasets into a project that exists; what has a name already stays as it is."""
    """Add every dataset of an example to a project that exists; what the project has already wins."""
    return examples.import_data(example_id, body, request_id)


@router.post("/{example_id}/import-dataset", operation_id="example_import_dataset", responses=IMPORT_ERRORS)
def import_dataset(
    example_id: str, body: ImportDataset, examples: ExampleServiceDep, request_id: RequestIdDep
) -> ImportedDataset:
    """Bring one dataset of an example into a project that exists, under its own or another name."""
    """Add one dataset of an example to a project that exists, under another name if wanted."""
    return examples.import_dataset(example_id, body, request_id)
