"""What the example routes do: list, and import into new or existing projects."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from config.examples import Example, ExampleDataset, list_examples, read_example
from config.loader import ProjectStore, refuse_reserved
from config.project import DATASET_NAME, ProjectConfig
from config.public import without_file_lists
from config.reading import read_bounded
from config.settings import Settings
from rag.errors import BadRequestError, ConflictError
from server.schemas.examples import (
    ExampleDatasetList,
    ExampleDatasetView,
    ExampleList,
    ExampleView,
    ImportData,
    ImportDataset,
    Imported,
    ImportedDataset,
    ImportProject,
    Kind,
)
from server.services.example_merge import Merge
from server.services.file_import import FileImport
from server.services.sizes import human_size

_KINDS: dict[str, Kind] = {
    ".pdf": "pdf",
    ".csv": "csv",
    ".tsv": "csv",
    ".md": "markdown",
    ".markdown": "markdown",
    ".json": "json",
    ".jsonl": "json",
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".tiff"), "images"),
}


class ExampleService:
    """Every import can be repeated: what is there already is left as it is, and what is missing is added."""

    def __init__(self, settings: Settings, projects: ProjectStore, files: FileImport) -> None:
        self._settings = settings
        self._projects = projects
        self._files = files

    def list(self) -> ExampleList:
        return ExampleList(examples=[_view(example) for example in list_examples(self._settings)])

    def datasets(self, example_id: str | None = None) -> ExampleDatasetList:
        found = list_examples(self._settings) if example_id is None else [self._example(example_id)]
        return ExampleDatasetList(
            datasets=[_dataset_view(example, dataset) for example in found for dataset in example.datasets]
        )

    def import_project(self, example_id: str, wanted: ImportProject, request_id: str | None) -> Imported:
        """Make a project of the example's configuration, with its files.

        Raises:
            BadRequestError: the example has no configuration, or the namespace is reserved.
            ConflictError: there is a project of this name, and it is not what this import makes.
            UpstreamError: the queue does not answer; nothing was made.
        """
        example = self._example(example_id)
        refuse_reserved(wanted.namespace)
        config = without_file_lists(example.config_for(wanted.namespace, wanted.name))
        self._check_queue(wanted.process)
        self._create(example, wanted, config)
        pairs = [(dataset, dataset.name) for dataset in example.datasets]
        task_ids = self._fill((wanted.namespace, wanted.name), pairs, wanted.process, request_id)
        return Imported(
            project=wanted.name,
            namespace=wanted.namespace,
            datasets=[dataset.name for dataset in example.datasets],
            task_ids=[task_id for task_id in task_ids if task_id is not None],
        )

    def import_data(self, example_id: str, wanted: ImportData, request_id: str | None) -> Imported:
        """Add every dataset of the example to a project that exists."""
        example = self._example(example_id)
        pairs = [(dataset, dataset.name) for dataset in example.datasets]
        warnings, task_ids = self._add(example, wanted, pairs, request_id)
        return Imported(
            project=wanted.project,
            namespace=wanted.namespace,
            datasets=[target for _, target in pairs],
            task_ids=[task_id for task_id in task_ids if task_id is not None],
            warnings=[*warnings],
        )

    def import_dataset(self, example_id: str, wanted: ImportDataset, request_id: str | None) -> ImportedDataset:
        """Add one dataset, under another name if that is wanted."""
        example = self._example(example_id)
        dataset = example.dataset(wanted.dataset)
        target = wanted.target_dataset or dataset.name
        if not DATASET_NAME.fullmatch(target):
            raise BadRequestError(
                f"target_dataset {target[:100]!r}: accepted are 1 to 100 letters, digits, '_' and '-'"
            )
        warnings, task_ids = self._add(example, wanted, [(dataset, target)], request_id)
        return ImportedDataset(
            project=wanted.project,
            namespace=wanted.namespace,
            dataset=target,
            file_count=len(dataset.files),
            task_id=task_ids[0],
            warnings=[*warnings],
        )

    def _example(self, example_id: str) -> Example:
        return read_example(self._settings, example_id)

    def _check_queue(self, is_needed: bool) -> None:
        if is_needed:
            self._files.check_queue()

    def _create(self, example: Example, wanted: ImportProject, config: dict[str, Any]) -> None:
        """A project that is exactly what this would make is taken for an earlier import that ended half-way."""
        assert example.config_file is not None, "config_for refuses an example without one"
        content = read_bounded(example.config_file)
        try:
            self._projects.create_with(wanted.namespace, wanted.name, config, content)
        except ConflictError as error:
            if self._projects.get(wanted.namespace, wanted.name).raw == config:
                return
            raise ConflictError(
                f"Project {wanted.namespace}/{wanted.name} already exists: choose another name, or add the example's "
                "files to it (import-data)"
            ) from error

    def _add(
        self,
        example: Example,
        wanted: ImportData,
        pairs: Sequence[tuple[ExampleDataset, str]],
        request_id: str | None,
    ) -> tuple[Sequence[str], Sequence[str | None]]:
        """(warnings, task ids in the order of `pairs`)."""
        refuse_reserved(wanted.namespace)
        self._projects.load(wanted.namespace, wanted.project)  # 404 and 422 before anything is done
        self._check_queue(wanted.process)
        has_config = example.raw is not None
        own = ProjectConfig.parse(example.config_for("examples", "example")) if has_config else None
        merge = Merge(example, own, with_parts=wanted.include_strategies)
        self._projects.edit(wanted.namespace, wanted.project, _adding(merge, pairs))
        task_ids = self._fill((wanted.namespace, wanted.project), pairs, wanted.process, request_id)
        return merge.warnings, task_ids

    def _fill(
        self,
        project: tuple[str, str],
        pairs: Sequence[tuple[ExampleDataset, str]],
        is_processed: bool,
        request_id: str | None,
    ) -> Sequence[str | None]:
        """All files first: a failure among them leaves no task for a part of them."""
        places = [(*project, target) for _, target in pairs]
        taken = [self._files.take(place, dataset.files) for (dataset, _), place in zip(pairs, places, strict=True)]
        if not is_processed:
            return [None] * len(places)
        return [self._files.process(place, files, request_id) for place, files in zip(places, taken, strict=True)]


def _adding(merge: Merge, pairs: Sequence[tuple[ExampleDataset, str]]) -> Callable[[dict[str, Any]], None]:
    def change(raw: dict[str, Any]) -> None:
        for dataset, target in pairs:
            merge.add(raw, dataset, target)

    return change


def _view(example: Example) -> ExampleView:
    data, project = example.data_size_bytes, example.project_size_bytes
    return ExampleView(
        id=example.id,
        slug=example.slug,
        title=example.title,
        description=example.description,
        primaryModel=example.primary_model,
        tags=list(example.tags),
        dataset_count=len(example.datasets),
        data_size_bytes=data,
        data_size_human=human_size(data),
        project_size_bytes=project,
        project_size_human=human_size(project),
        updated_at=example.updated_at,
    )


def _dataset_view(example: Example, dataset: ExampleDataset) -> ExampleDatasetView:
    size = dataset.size_bytes
    return ExampleDatasetView(
        example_id=example.id,
        example_title=example.title,
        name=dataset.name,
        strategy=dataset.strategy,
        database=dataset.database,
        kind=_kind(dataset.files),
        ingest=list(dataset.ingest),
        size_bytes=size,
        size_human=human_size(size),
    )


def _kind(files: Sequence[Path]) -> Kind | None:
    """What more than half of the files are."""
    counts = Counter(_KINDS.get(path.suffix.lower()) for path in files)
    kind, count = counts.most_common(1)[0] if counts else (None, 0)
    return kind if 2 * count > len(files) else None
