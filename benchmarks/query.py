"""Latency and throughput of `rag/query` over a database of 20,000 chunks.

    python -m benchmarks.query [--chunks 20000] [--corpus BEIR_FOLDER]

The chunks are written straight into the store (their vectors are those of real texts plus noise), the queries go through
HTTP, every query is different. One client: one request after the other. Sixteen clients: as many threads of a process of
its own, on the same cores as the server.
"""

import argparse
import http.client
import json
import multiprocessing
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from benchmarks.corpus import read_queries, read_texts
from benchmarks.report import percentile, print_header
from config.assemble import Assembly
from config.loader import ProjectStore
from config.settings import Settings
from rag.types import Record
from state.database import StateDatabase
from state.generations import GenerationStore
from state.tables import FileRow
from tests.e2e.system import System, running_system

SEED_TEXTS = 600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--chunks", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=600)
    options = parser.parse_args()
    print_header(f"query at {options.chunks:,} chunks")
    queries = read_queries(options.corpus, options.queries * 4)
    with tempfile.TemporaryDirectory() as folder, running_system(Path(folder)) as system:
        project = system.project("bench", "query")
        fill(system, options)
        time.sleep(5)  # let the store's own indexing settle
        for strategy in ("semantic", "keyword", "hybrid"):
            path = f"{project.path}/rag/query"
            ask_all(system.url, path, queries[:40], strategy)
            latencies = ask_all(system.url, path, queries[40 : 40 + options.queries], strategy)
            rate = concurrent_rate(system.url, path, queries[-options.queries :], strategy, clients=16)
            print(
                f"{strategy}: 1 client p50 {percentile(latencies, 0.5) * 1000:.1f} ms, "
                f"p99 {percentile(latencies, 0.99) * 1000:.1f} ms; 16 clients {rate:.0f} queries/s"
            )


def fill(system: System, options: argparse.Namespace) -> None:
    port = system.parts()["chroma"]["port"]
    settings = Settings(data_dir=system.data_dir, chroma_url=f"http://127.0.0.1:{port}")
    state = StateDatabase(settings.state_url)
    assembly = Assembly(settings, GenerationStore(state).live_check)
    database = ProjectStore(settings).load("bench", "query").database()
    texts = read_texts(options.corpus, options.chunks)
    seeds = assembly.embedder(database).embed_documents([text[:600] for text in texts[:SEED_TEXTS]])
    noise = np.random.default_rng(3)
    store = assembly.raw_store("bench", "query", database)
    started = time.perf_counter()
    for start in range(0, options.chunks, 500):
        store.upsert([record(number, texts[number], seeds, noise) for number in range(start, start + 500)])
    print(f"store: {options.chunks / (time.perf_counter() - started):.0f} chunks/s written (vectors and lexical index)")
    with state.write() as session:
        session.add_all(
            FileRow(
                namespace="bench", project="query", dataset="docs", file_hash=f"{number:064x}", filename=f"{number}.txt",
                database=database.name, live_generation="g", chunk_count=20, updated_at=time.time(),
            )
            for number in range(options.chunks // 20)
        )  # fmt: skip


def record(number: int, text: str, seeds: np.ndarray, noise: np.random.Generator) -> Record:
    vector = seeds[number % len(seeds)] + noise.normal(0, 0.03, seeds.shape[1])
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    file_hash = f"{number // 20:064x}"
    metadata = {"filename": f"{number // 20}.txt", "chunk_index": number % 20, "file_hash": file_hash, "page_number": 1}
    return Record(f"docs/{file_hash}/g/{number % 20:06d}", text, vector, f"docs/{file_hash}", "g", metadata)


def ask_all(url: str, path: str, queries: list[str], strategy: str) -> list[float]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    latencies = []
    for query in queries:
        body = json.dumps({"query": query, "top_k": 5, "retrieval_strategy": strategy})
        started = time.perf_counter()
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read()
        latencies.append(time.perf_counter() - started)
        assert response.status == 200, content
        assert json.loads(content)["results"], query
    return latencies


def concurrent_rate(url: str, path: str, queries: list[str], strategy: str, *, clients: int) -> float:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[float] = context.Queue()
    process = context.Process(target=_load, args=(url, path, queries, strategy, clients, results))
    process.start()
    rate = results.get(timeout=300)
    process.join()
    return rate


def _load(
    url: str, path: str, queries: list[str], strategy: str, clients: int, results: "multiprocessing.Queue[float]"
) -> None:
    parts = [queries[number::clients] for number in range(clients)]
    threads = [threading.Thread(target=ask_all, args=(url, path, part, strategy)) for part in parts]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put(len(queries) / (time.perf_counter() - started))


if __name__ == "__main__":
    main()
