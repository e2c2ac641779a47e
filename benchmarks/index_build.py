"""Building a LlamaCloud index against processing the same files as a LlamaFarm dataset, in one run.

    python -m benchmarks.index_build [--corpus BEIR_FOLDER] [--files 60] [--runs 5]

Both go through the HTTP API of one system, with the same parser, chunker, embedder and store, in projects of their own,
one after the other in turns. The cache of vectors is off, as every run embeds the same text. Uploads are not counted: the
dataset's clock runs from the process request to the end of the task, the index's from its creation, which includes putting
the bytes into its dataset, to `last_exported_at`.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.corpus import read_texts
from benchmarks.report import print_header, spread
from config.loader import ProjectStore
from config.settings import Settings
from state.cloud.ids import NAMESPACE
from state.cloud.projects import CloudProjects
from tests.e2e.system import ProjectClient, System, running_system

CHUNKS_PER_FILE = 10
POLL_S = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, help="BEIR folder whose text is used; default: made-up sentences")
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print_header("index build")
    files = make_files(read_texts(options.corpus, options.files * CHUNKS_PER_FILE), options.files)
    dataset: list[float] = []
    index: list[float] = []
    with tempfile.TemporaryDirectory() as folder, running_system(Path(folder), LF_EMBEDDING_CACHE_MB="0") as system:
        for run in range(options.runs + 1):
            sides: list[tuple[list[float], Callable[[], float]]] = [
                (dataset, lambda each=run: process_dataset(system, f"dataset-{each}", files)),  # type: ignore[misc]
                (index, lambda each=run: build_index(system, f"index-{each}", files)),  # type: ignore[misc]
            ]
            for found, measure in sides if run % 2 else reversed(sides):  # what comes second may be warmer
                seconds = measure()
                if run:  # the first warms the model up
                    found.append(seconds)
    print(f"{options.files} files; dataset: {spread(dataset, 's')}; index: {spread(index, 's')}")
    print(f"index / dataset = {statistics.median(index) / statistics.median(dataset):.3f}")


def make_files(texts: list[str], count: int) -> dict[str, bytes]:
    size = len(texts) // count
    bodies = ["\n\n".join(texts[number * size : (number + 1) * size]) for number in range(count)]
    return {f"{number}.txt": body.encode() for number, body in enumerate(bodies)}


def process_dataset(system: System, name: str, files: dict[str, bytes]) -> float:
    """Seconds from the process request to the end of the task."""
    projects = CloudProjects(ProjectStore(Settings(data_dir=system.data_dir)))
    projects.add_database(name, "docs")
    project = ProjectClient(system.client, f"/v1/projects/{NAMESPACE}/{name}")
    for file_name, content in files.items():
        project.upload("docs", file_name, content)
    started = time.perf_counter()
    task_id = project.start("docs")
    while (task := project.task(task_id))["state"] not in ("SUCCESS", "FAILURE"):
        time.sleep(POLL_S)
    seconds = time.perf_counter() - started
    assert task["state"] == "SUCCESS", task["error"]
    return seconds


def build_index(system: System, name: str, files: dict[str, bytes]) -> float:
    """Seconds from the index's creation to `last_exported_at`."""
    query = {"project_id": name}

    def post(path: str, **options: object) -> str:
        answer = system.client.post(f"/api/v1/{path}", params=query, **options)  # type: ignore[arg-type]
        assert answer.status_code < 300, answer.text
        return str(answer.json()["id"])

    directory = post("beta/directories", json={"name": "docs"})
    for file_name, content in files.items():
        file_id = post("beta/files", files={"file": (file_name, content)}, data={"purpose": "user_data"})
        post(f"beta/directories/{directory}/files", json={"file_id": file_id})
    started = time.perf_counter()
    index = post("indexes", json={"source_directory_id": directory})
    while not (found := system.client.get(f"/api/v1/indexes/{index}", params=query).json())["last_exported_at"]:
        time.sleep(POLL_S)
    seconds = time.perf_counter() - started
    assert found["metadata"]["files_completed"] == len(files), found["metadata"]
    return seconds


if __name__ == "__main__":
    main()
