"""The example that a start imports, as the command line needs it."""

from dataclasses import dataclass
from typing import Any

from cli.errors import QuickstartError
from config.examples import BrokenExampleError, ExampleDataset, UnknownExampleError, examples_root, list_examples
from config.examples import read_example as find_example
from config.settings import Settings

NAMESPACE = "examples"


@dataclass(frozen=True, slots=True)
class Example:
    """`config` is the content of llamafarm.yaml under the example's own name and namespace."""

    name: str
    config: dict[str, Any]
    question: str | None
    datasets: tuple[ExampleDataset, ...]
    model: str


def read_example(settings: Settings, name: str) -> Example:
    """Raises QuickstartError: no such example (names those there are), or one of its files cannot be read."""
    try:
        found = find_example(settings, name)
        config = found.config_for(NAMESPACE, name)
    except UnknownExampleError as error:
        known = ", ".join(example.id for example in list_examples(settings)) or "none"
        raise QuickstartError(f"no example {name!r} in {examples_root(settings)}: there are {known}") from error
    except BrokenExampleError as error:
        raise QuickstartError(str(error)) from error
    datasets = tuple(dataset for dataset in found.datasets if dataset.files)
    return Example(name, config, found.question, datasets, found.model)
