"""Latency of the LlamaCloud side's retrieval at 20,000 chunks beside plain `rag/query` in one run, and grep on 10 MB.

    python -m benchmarks.cloud_retrieve [--chunks 20000] [--corpus BEIR_FOLDER] [--queries 600]

The chunks are written straight into the store behind an index, as `benchmarks.query` does; each file is a member of the
index with metadata. Both sides search the same store with the same strategy. A parsed text of 10 MB is put beside the
files for grep, once of ASCII and once of letters that take two bytes.
"""

import argparse
import http.client
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from benchmarks.corpus import read_queries, read_texts
from benchmarks.report import percentile, print_header
from config.assemble import Assembly
from config.layout import ProjectPaths
from config.loader import ProjectStore
from config.project import ProjectConfig
from config.settings import Settings
from rag.types import Document, Record
from state.cloud.ids import DEFAULT_PROJECT_ID, NAMESPACE, new_id
from state.cloud.members import Collection, Member, Members
from state.cloud.objects import CloudObjects
from state.cloud.projects import CloudProjects
from state.database import StateDatabase
from state.generations import GenerationStore
from state.tables import FileRow
from tests.e2e.system import System, running_system
from workers.checkpoints import Checkpoints

SEED_TEXTS = 600
CHUNKS_OF_A_FILE = 20
WARM_UP = 40
GREP_CHARS = 10_000_000
PATTERNS = ("needle [0-9]+", "(?i)NEEDLE", "[a-z]+ing zebra", "nothing like this")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--chunks", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=600)
    options = parser.parse_args()
    print_header(f"LlamaCloud retrieval at {options.chunks:,} chunks")
    queries = read_queries(options.corpus, options.queries * 4)
    with tempfile.TemporaryDirectory() as folder, running_system(Path(folder)) as system:
        index = Collection(new_id("index"), "index", DEFAULT_PROJECT_ID)
        fill(system, index, options)
        time.sleep(5)  # let the store's own indexing settle
        compare(system, index, queries, options.queries)
        for name, letter in (("ASCII", "x"), ("two-byte letters", "ü")):
            grep(system, index, name, letter)


def fill(system: System, index: Collection, options: argparse.Namespace) -> None:
    settings = Settings(data_dir=system.data_dir, chroma_url=f"http://127.0.0.1:{system.parts()['chroma']['port']}")
    state = StateDatabase(settings.state_url)
    projects = CloudProjects(ProjectStore(settings))
    config = projects.add_database(index.project_id, index.database)
    CloudObjects(state).insert("index", index.id, project_id=index.project_id, name="bench", body={})
    write_chunks(Assembly(settings, GenerationStore(state).live_check), config, index, options)
    file_count = options.chunks // CHUNKS_OF_A_FILE
    with state.write() as session:
        session.add_all(
            FileRow(
                namespace=NAMESPACE, project=index.project_id, dataset=index.dataset, file_hash=f"{number:064x}",
                filename=f"{number}.txt", database=index.database, live_generation="g", chunk_count=CHUNKS_OF_A_FILE,
                updated_at=time.time(),
            )
            for number in range(file_count)
        )  # fmt: skip
    members = [
        Member(new_id("directory_file"), f"{number:064x}", f"{number}.txt", metadata={"year": 2000 + number % 25})
        for number in range(file_count)
    ]
    Members(CloudObjects(state)).update(index, members)


def write_chunks(assembly: Assembly, config: ProjectConfig, index: Collection, options: argparse.Namespace) -> None:
    database = config.database(index.database)
    texts = read_texts(options.corpus, options.chunks)
    seeds = assembly.embedder(database).embed_documents([text[:600] for text in texts[:SEED_TEXTS]])
    noise = np.random.default_rng(3)
    store = assembly.raw_store(NAMESPACE, index.project_id, database)
    for start in range(0, options.chunks, 500):
        numbers = range(start, min(start + 500, options.chunks))
        store.upsert([record(index, number, texts[number], seeds, noise) for number in numbers])


def record(index: Collection, number: int, text: str, seeds: np.ndarray, noise: np.random.Generator) -> Record:
    vector = seeds[number % len(seeds)] + noise.normal(0, 0.03, seeds.shape[1])
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    place, file_hash = number % CHUNKS_OF_A_FILE, f"{number // CHUNKS_OF_A_FILE:064x}"
    metadata = {
        "filename": f"{number // CHUNKS_OF_A_FILE}.txt", "file_hash": file_hash, "chunk_index": place,
        "char_start": 0, "char_end": len(text), "token_count": 100, "page_number": 1, "page_start": 1, "page_end": 1,
    }  # fmt: skip
    key = f"{index.dataset}/{file_hash}"
    return Record(f"{key}/g/{place:06d}", text, vector, key, "g", metadata)


def compare(system: System, index: Collection, queries: list[str], count: int) -> None:
    """All by turns, each with questions of its own, so that what the machine does meanwhile hits all alike."""
    plain_path = f"/v1/projects/{NAMESPACE}/{index.project_id}/rag/query"
    path, base = "/api/v1/retrieval/retrieve", {"index_id": index.id, "top_k": 5}
    recent = {"year": {"operator": "gte", "value": 2020}}
    ways: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
        "rag/query, hybrid": (plain_path, lambda q: {"query": q, "top_k": 5, "database": index.database}),
        "retrieve": (path, lambda q: {**base, "query": q}),
        "retrieve, words alone": (path, lambda q: {**base, "query": q, "vector_pipeline_weight": 0}),
        "retrieve, meaning alone": (path, lambda q: {**base, "query": q, "full_text_pipeline_weight": 0}),
        "retrieve, a fifth of the files": (path, lambda q: {**base, "query": q, "custom_filters": recent}),
    }
    ask = asker(system)
    latencies: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(WARM_UP + count):
        for offset, (name, (where, body)) in enumerate(ways.items()):
            took = ask(where, body(queries[(number * len(ways) + offset) % len(queries)]))[0]
            if number >= WARM_UP:
                latencies[name].append(took)
    for name, each in latencies.items():
        print(f"{name}: p50 {percentile(each, 0.5) * 1000:.1f} ms, p99 {percentile(each, 0.99) * 1000:.1f} ms")


def grep(system: System, index: Collection, name: str, letter: str) -> None:
    """Latency of the whole request, the text being in memory after the first."""
    settings = Settings(data_dir=system.data_dir)
    config = CloudProjects(ProjectStore(settings)).load(index.project_id)
    line = f"{letter * 60} some words that go on, singing zebra\n"
    text = line * (GREP_CHARS // len(line)) + "needle 42\n"
    plan = Assembly(settings, lambda *_: lambda pairs: pairs).processing(
        config, config.dataset(index.dataset).data_processing_strategy, config.database(index.database)
    )
    paths = ProjectPaths.of(settings, NAMESPACE, index.project_id).dataset(index.dataset)
    paths.text_dir.mkdir(parents=True, exist_ok=True)
    file_hash = f"{ord(letter):064x}"
    Checkpoints(paths).save_document(file_hash, plan.parse_fingerprint, Document(text, "bench"))
    member = Member(new_id("directory_file"), file_hash, f"{name}.txt")
    Members(CloudObjects(StateDatabase(settings.state_url))).update(index, [member])
    ask = asker(system)
    for pattern in PATTERNS:
        body = {"index_id": index.id, "file_id": member.id, "pattern": pattern, "limit": 100}
        first = ask("/api/v1/retrieval/files/grep", body)[0]
        later = [ask("/api/v1/retrieval/files/grep", body)[0] for _ in range(20)]
        print(
            f"grep {pattern!r} in {len(text) / 1e6:.1f} million characters, {name}: first {first * 1000:.0f} ms, "
            f"then p50 {percentile(later, 0.5) * 1000:.1f} ms"
        )


def asker(system: System) -> Callable[[str, dict[str, Any]], tuple[float, Any]]:
    connection = http.client.HTTPConnection(urlsplit(system.url).netloc)

    def ask(path: str, body: dict[str, Any]) -> tuple[float, Any]:
        started = time.perf_counter()
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read()
        took = time.perf_counter() - started
        assert response.status == 200, content
        return took, json.loads(content)

    return ask


if __name__ == "__main__":
    main()
