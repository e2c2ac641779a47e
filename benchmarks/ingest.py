"""End-to-end ingest through the HTTP API against bare `SentenceTransformer.encode` of the same chunks, in one run.

    python -m benchmarks.ingest [--corpus BEIR_FOLDER] [--files 60] [--runs 3]

The cache of vectors is off, as every run ingests the same text. The clock runs from the process request to the end of the task; uploads are not counted. The raw side encodes the very
chunks that the server made, in this process, with the server idle: once at the server's precision, once at the
library's defaults (fp32).
"""

import argparse
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.corpus import read_texts
from benchmarks.report import print_header, spread
from config.settings import Settings
from rag.embedders.hardware import choose_precision
from rag.embedders.weights import DEFAULT_MODEL, locate
from tests.e2e.system import System, running_system

CHUNKS_PER_FILE = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, help="BEIR folder whose text is used; default: made-up sentences")
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print_header("ingest")
    texts = read_texts(options.corpus, options.files * CHUNKS_PER_FILE)
    with tempfile.TemporaryDirectory() as folder, running_system(Path(folder), LF_EMBEDDING_CACHE_MB="0") as system:
        rates, chunks = [], []
        for run in range(options.runs + 1):
            count, seconds, chunks = ingest(system, f"run{run}", texts, options.files)
            if run:  # the first warms the model up
                rates.append(count / seconds)
    print(f"chunks per run: {len(chunks)}; ingest: {spread(rates, 'chunks/s')}")
    for name, kwargs in raw_variants():
        raw = [encode_rate(chunks, kwargs) for _ in range(options.runs)]
        print(
            f"raw encode, {name}: {spread(raw, 'chunks/s')}; ingest / raw = {statistics.median(rates) / statistics.median(raw):.2f}"
        )


def ingest(system: System, name: str, texts: list[str], file_count: int) -> tuple[int, float, list[str]]:
    """(chunks, seconds, texts of the chunks) of one run in a project of its own."""
    project = system.project("bench", name)
    project.create_dataset("docs")
    size = len(texts) // file_count
    for number in range(file_count):
        body = "\n\n".join(texts[number * size : (number + 1) * size])
        project.upload("docs", f"{number}.txt", body.encode())
    started = time.perf_counter()
    task_id = project.start("docs")
    while (body_ := project.task(task_id))["state"] not in ("SUCCESS", "FAILURE"):
        time.sleep(0.05)
    seconds = time.perf_counter() - started
    assert body_["state"] == "SUCCESS", body_["error"]
    return body_["result"]["stored_count"], seconds, stored_chunks(system)


def stored_chunks(system: System) -> list[str]:
    """The texts of the last run as the server cut them, read from its store's ledger."""
    newest = max((system.data_dir / "lexical").glob("*.sqlite3"), key=lambda path: path.stat().st_mtime)
    with closing(sqlite3.connect(f"file:{newest}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute("SELECT text FROM body ORDER BY n")]


def raw_variants() -> list[tuple[str, dict[str, Any]]]:
    import torch

    precision = choose_precision(Settings().embed_precision, "cpu")
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
    return [(f"same precision ({precision})", {"model_kwargs": {"dtype": dtype}}), ("library defaults (fp32)", {})]


def encode_rate(chunks: list[str], kwargs: dict[str, Any]) -> float:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(locate(DEFAULT_MODEL).folder), device="cpu", **kwargs)
    model.encode(chunks[:32])
    started = time.perf_counter()
    model.encode(chunks)
    return len(chunks) / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
