"""nDCG@10 and recall@100 of each retrieval strategy through the HTTP API, on a collection in the layout of BEIR.

    python -m benchmarks.quality --corpus BEIR_FOLDER [--strategies semantic keyword hybrid]

Every document is uploaded as a text file of its own; a document's rank is that of its best chunk.
"""

import argparse
import csv
import json
import math
import tempfile
from collections import defaultdict
from pathlib import Path

from benchmarks.report import print_header
from tests.e2e.system import ProjectClient, running_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--strategies", nargs="+", default=["semantic", "keyword", "hybrid"])
    options = parser.parse_args()
    print_header(f"quality on {options.corpus.name}")
    queries, judged = read_judgements(options.corpus)
    with tempfile.TemporaryDirectory() as folder, running_system(Path(folder)) as system:
        project = system.project("bench", "quality")
        project.create_dataset("docs")
        upload(project, options.corpus)
        body = project.wait(project.start("docs"), timeout_s=3600)
        print(
            f"{body['result']['processed_files']} documents, {body['result']['stored_count']} chunks, {body['result']['failed_files']} failed"
        )
        for strategy in options.strategies:
            runs = {key: ranked_documents(project, text, strategy) for key, text in queries.items() if key in judged}
            scores = [ndcg(runs[key], judged[key]) for key in runs]
            found = [len(judged[key] & set(runs[key][:100])) / len(judged[key]) for key in runs]
            print(
                f"{strategy}: nDCG@10 {sum(scores) / len(scores):.3f}, recall@100 {sum(found) / len(found):.3f} ({len(runs)} queries)"
            )


def read_judgements(corpus: Path) -> tuple[dict[str, str], dict[str, set[str]]]:
    lines = (corpus / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    queries = {row["_id"]: row["text"] for row in map(json.loads, lines)}
    judged: dict[str, set[str]] = defaultdict(set)
    with (corpus / "qrels" / "test.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if int(row["score"]) > 0:
                judged[row["query-id"]].add(row["corpus-id"])
    return queries, judged


def upload(project: ProjectClient, corpus: Path) -> None:
    for line in (corpus / "corpus.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        text = f"{row.get('title', '')}\n\n{row['text']}".strip()
        if text:
            project.upload("docs", f"{row['_id']}.txt", text.encode())


def ranked_documents(project: ProjectClient, query: str, strategy: str) -> list[str]:
    hits = project.query(query, top_k=100, retrieval_strategy=strategy)
    return list(dict.fromkeys(hit["metadata"]["filename"].removesuffix(".txt") for hit in hits))


def ndcg(ranked: list[str], relevant: set[str], cut: int = 10) -> float:
    """Binary gains. Source: Järvelin and Kekäläinen, ACM TOIS 2002."""
    gain = sum(1 / math.log2(rank + 2) for rank, key in enumerate(ranked[:cut]) if key in relevant)
    ideal = sum(1 / math.log2(rank + 2) for rank in range(min(cut, len(relevant))))
    return gain / ideal if ideal else 0.0


if __name__ == "__main__":
    main()
