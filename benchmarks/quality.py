"""nDCG@10 and recall@100 of each retrieval strategy through the HTTP API, on collections with judged answers.

    python -m benchmarks.quality                       # own collections, made of what is installed
    python -m benchmarks.quality --corpus BEIR_FOLDER  # one in the layout of BEIR
                                 [--strategies semantic keyword hybrid mmr] [--hits 100]

Every document is uploaded as a text file of its own; a document's rank is that of its best chunk. `--hits` chunks are
asked for, so that a document counts once and there may be fewer documents than that.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.collections import OWN, Collection, beir, ndcg
from benchmarks.report import print_header
from tests.e2e.system import ProjectClient, System, running_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--strategies", nargs="+", default=["semantic", "keyword", "hybrid"])
    parser.add_argument("--hits", type=int, default=100)
    options = parser.parse_args()
    collections = [beir(options.corpus)] if options.corpus else [make() for make in OWN]
    print_header(f"quality on {', '.join(each.name for each in collections)}")
    with tempfile.TemporaryDirectory() as folder, running_system(Path(folder)) as system:
        for collection in collections:
            project = filled(system, collection)
            for strategy in options.strategies:
                print(
                    f"{collection.name}, {strategy}: {measured(project, collection, strategy, options.hits)}",
                    flush=True,
                )


def filled(system: System, collection: Collection) -> ProjectClient:
    project = system.project("bench", f"quality-{collection.name}")
    project.create_dataset("docs")
    for name, text in collection.documents.items():
        project.upload("docs", f"{name}.txt", text.encode())
    result = project.wait(project.start("docs"), timeout_s=3600)["result"]
    counts = f"{result['processed_files']} documents, {result['stored_count']} chunks, {result['failed_files']} failed"
    print(f"{collection.name}: {counts}, {len(collection.queries)} queries")
    return project


def measured(project: ProjectClient, collection: Collection, strategy: str, hit_count: int) -> str:
    runs = {
        key: ranked_documents(project, text, strategy, hit_count)
        for key, text in collection.queries.items()
        if key in collection.judged
    }
    scores = [ndcg(ranked, collection.judged[key]) for key, ranked in runs.items()]
    found = [
        len(collection.judged[key] & set(ranked[:100])) / len(collection.judged[key]) for key, ranked in runs.items()
    ]
    first = [bool(ranked) and ranked[0] in collection.judged[key] for key, ranked in runs.items()]
    return (
        f"nDCG@10 {sum(scores) / len(scores):.3f}, recall@100 {sum(found) / len(found):.3f}, "
        f"first hit right {sum(first) / len(first):.3f}"
    )


def ranked_documents(project: ProjectClient, query: str, strategy: str, hit_count: int) -> list[str]:
    hits = project.query(query, top_k=hit_count, retrieval_strategy=strategy)
    return list(dict.fromkeys(hit["metadata"]["filename"].removesuffix(".txt") for hit in hits))


if __name__ == "__main__":
    main()
