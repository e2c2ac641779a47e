"""How long the listings take: a namespace of 1,000 projects, and a dataset of 10,000 files.

    python -m benchmarks.listing [--projects 1000] [--files 10000] [--runs 20]

The app runs in this process, over its real state on disk; `first` is the answer of a server that was just started.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.testclient import TestClient

from benchmarks.report import print_header, spread
from config.loader import ProjectStore
from config.settings import Settings
from server.app import create_app
from state.database import StateDatabase
from state.generations import GenerationStore

PROJECTS_URL = "/v1/projects/many"
DATASETS_URL = "/v1/projects/bench/big/datasets"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--projects", type=int, default=1_000)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    print_header("listing")
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            _env_file=None,
            data_dir=Path(folder),
            log_level="ERROR",
            warm_model="",
            chroma_url="http://127.0.0.1:1",
            redis_url="redis://127.0.0.1:1/0",
        )
        with server(settings):  # makes the state
            make_projects(settings, options.projects)
            make_files(settings, options.files)
        for title, url in (
            (f"{options.projects} projects", PROJECTS_URL),
            (f"{options.files} files", DATASETS_URL),
            (f"{options.files} files, without details", f"{DATASETS_URL}?include_extra_details=false"),
        ):
            with server(settings) as client:
                first, *later = [milliseconds(client, url) for _ in range(options.runs + 1)]
            print(f"{title}: {spread(later, 'ms')}; first {first:.0f} ms")


@contextmanager
def server(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        yield client


def milliseconds(client: TestClient, url: str) -> float:
    started = time.perf_counter()
    response = client.get(url)
    took = (time.perf_counter() - started) * 1000
    response.raise_for_status()
    return took


def make_projects(settings: Settings, count: int) -> None:
    store = ProjectStore(settings)
    content = store.create("many", "p0", "default")
    text = (settings.projects_dir / "many" / "p0" / "llamafarm.yaml").read_text()
    for number in range(1, count):
        folder = settings.projects_dir / "many" / f"p{number}"
        folder.mkdir(parents=True)
        (folder / "llamafarm.yaml").write_text(text.replace(f"name: {content.name}", f"name: p{number}", 1))


def make_files(settings: Settings, count: int) -> None:
    """Metadata and rows, as uploads leave them; the bytes are not asked for by a listing."""
    store = ProjectStore(settings)
    store.create("bench", "big", "default")
    config = store.load("bench", "big")
    entry = {
        "name": "docs",
        "database": config.databases[0].name,
        "data_processing_strategy": config.strategies[0].name,
    }
    store.edit("bench", "big", lambda raw: raw.update(datasets=[entry]))
    paths = store.paths("bench", "big").dataset("docs")
    paths.meta_dir.mkdir(parents=True)
    names = {}
    for number in range(count):
        file_hash = f"{number:064x}"
        names[file_hash] = f"file-{number}.txt"
        meta = {
            "original_file_name": names[file_hash],
            "resolved_file_name": f"file-{number}_1764892800.{number}.txt",
            "timestamp": 1764892800.0 + number,
            "size": 1000,
            "mime_type": "text/plain",
            "hash": file_hash,
        }
        paths.meta(file_hash).write_text(json.dumps(meta))
    database = StateDatabase(settings.state_url)
    GenerationStore(database).ensure("bench", "big", "docs", names)
    database.close()


if __name__ == "__main__":
    main()
