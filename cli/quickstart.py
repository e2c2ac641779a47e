"""`lf server start --example NAME`: from a folder of files to a cited answer, over HTTP like any client."""

import hashlib
import time
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cli.api_client import ApiClient
from cli.client.rag import place
from cli.errors import CliError
from cli.example import NAMESPACE, Example, read_example
from config.examples import ExampleDataset
from config.settings import Settings

SHOWN_SOURCES = 5


def report_example(console: Console, settings: Settings, url: str, name: str) -> None:
    """As `run_example`, for a thread beside the server: a failure is told and the server goes on."""
    try:
        run_example(console, settings, url, name)
    except CliError as error:
        console.print(f"[red]example {escape(name)}: {escape(str(error))}[/red]", highlight=False, soft_wrap=True)


def run_example(console: Console, settings: Settings, url: str, name: str) -> None:
    """Import what the server does not have yet, then ask the example's question.

    Raises:
        QuickstartError: the example cannot be read, or the server refused something.
    """
    example = read_example(settings, name)
    with ApiClient(settings, url, NAMESPACE, name) as client:
        _import_project(client, example)
        for dataset in example.datasets:
            _import_dataset(console, client, dataset)
        if example.question:
            _ask(console, client, example.question)
    _print_next_steps(console, settings, url, example)


def _import_project(client: ApiClient, example: Example) -> None:
    """A project that is there keeps its configuration, unless an earlier import ended before it was complete."""
    config = client.project_config()
    if config is None:
        client.create_project()
        config = {}
    present = {entry.get("name") for entry in config.get("datasets") or []}
    if not {dataset.name for dataset in example.datasets} <= present:
        client.put_config(example.config)


def _import_dataset(console: Console, client: ApiClient, dataset: ExampleDataset) -> None:
    present = client.dataset_files(dataset.name)
    paths = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in dataset.files}
    new = [path for file_hash, path in paths.items() if file_hash not in present]
    own_names = {path.name for path in dataset.files}
    for file_hash, stored in present.items():
        if file_hash not in paths and stored.name in own_names:
            client.remove(dataset.name, file_hash)  # an earlier version of a file of the example
    for path in new:
        client.upload(dataset.name, path)
    if new or not all(stored.chunk_count for stored in present.values()):
        _process(console, client, dataset.name)


def _process(console: Console, client: ApiClient, dataset: str) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("files"))
    task: dict[str, Any] = {}
    with Progress(*columns, TextColumn("{task.fields[chunks]} chunks"), TimeElapsedColumn(), console=console) as bar:
        shown = bar.add_task(f"reading {dataset}", total=None, chunks=0)
        for task in client.process(dataset):
            meta = task.get("meta") or {}
            bar.update(
                shown, completed=meta.get("current", 0), total=meta.get("total"), chunks=meta.get("stored_count", 0)
            )
    for file in (task.get("meta") or {}).get("files") or []:
        if file.get("state") == "failure":
            _say(console, f"  {file.get('filename')}: {file.get('error')}", style="red")


def _ask(console: Console, client: ApiClient, question: str) -> None:
    begun = time.monotonic()
    answer = client.ask(question)
    took_s = time.monotonic() - begun
    _say(console, f"\n> {question}", style="bold")
    _say(console, answer["choices"][0]["message"]["content"])
    sources = answer.get("sources") or []
    if sources:
        _say(console, "\nSources", style="bold")
    for number, source in enumerate(sources[:SHOWN_SOURCES], start=1):
        _say(console, f"  [{number}] {place(source)}  ({source.get('score', 0):.2f})")
    _say(console, f"\nanswered in {took_s:.1f} s by {answer.get('model')}", style="dim")


def _print_next_steps(console: Console, settings: Settings, url: str, example: Example) -> None:
    endpoint = f"{url}/v1/projects/{NAMESPACE}/{example.name}"
    question = (example.question or "What is in these files?").replace('"', "'").replace("'", "’")
    has_key = settings.api_key is not None
    header = ' -H "Authorization: Bearer $LF_API_KEY"' if has_key else ""
    key = 'os.environ["LF_API_KEY"]' if has_key else '"none"'
    body = f'{{"messages": [{{"role": "user", "content": "{question}"}}]}}'
    _say(console, "\nGo on with curl", style="bold")
    _say(console, f"  curl {endpoint}/chat/completions{header} -H 'Content-Type: application/json' -d '{body}'")
    _say(console, "\nor with the OpenAI SDK", style="bold")
    imports = ["import os"] if has_key else []
    lines = (
        *imports,
        "from openai import OpenAI",
        f'client = OpenAI(base_url="{endpoint}", api_key={key})',
        f'messages = [{{"role": "user", "content": "{question}"}}]',
        f'answer = client.chat.completions.create(model="{example.model}", messages=messages)',
        "print(answer.choices[0].message.content)",
    )
    for line in lines:
        _say(console, f"  {line}")
    _say(console, "")


def _say(console: Console, text: str, *, style: str | None = None) -> None:
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
