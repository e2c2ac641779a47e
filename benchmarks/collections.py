"""Small test collections made of what every installation has: questions, documents, and which answer which.

They guard against fitting to one public collection. Nothing is downloaded; the same Python and the same packages give
the same collections.

Source of the idea (a text's own summary, or a sentence taken out of it, as the question):
    Lee, Chang and Toutanova, "Latent Retrieval for Weakly Supervised Open Domain Question Answering", ACL 2019.
"""

import ast
import importlib.metadata
import json
import math
import pydoc_data.topics
import random
import re
import sysconfig
from collections import defaultdict
from collections.abc import Callable, Iterator
from csv import DictReader
from dataclasses import dataclass
from pathlib import Path

TOPICS = ("wing flutter", "heat shield", "fuel pump", "landing gear", "cabin door", "radar mast", "hydraulic seal")
PEOPLE = ("Maire Flynn", "Anders Holm", "Ruth Okafor", "Jun Sato", "Elena Petrova", "Paul Lindqvist", "Grace Mbeki")


@dataclass(frozen=True, slots=True)
class Collection:
    """Texts by name, questions by key, and the names of the texts that answer each question."""

    name: str
    documents: dict[str, str]
    queries: dict[str, str]
    judged: dict[str, set[str]]


def beir(folder: Path) -> Collection:
    """A folder in the layout of BEIR; judgements above 0 count."""
    documents = {}
    for row in _json_lines(folder / "corpus.jsonl"):
        text = f"{row.get('title', '')}\n\n{row['text']}".strip()
        if text:
            documents[row["_id"]] = text
    judged: dict[str, set[str]] = defaultdict(set)
    with (folder / "qrels" / "test.tsv").open(encoding="utf-8") as file:
        for row in DictReader(file, delimiter="\t"):
            if int(row["score"]) > 0:
                judged[row["query-id"]].add(row["corpus-id"])
    queries = {row["_id"]: row["text"] for row in _json_lines(folder / "queries.jsonl") if row["_id"] in judged}
    return Collection(folder.name, documents, queries, dict(judged))


def docstrings(document_count: int = 600, query_count: int = 200) -> Collection:
    """Which function does this? The first line of a docstring of the standard library asks for the rest of it."""
    found: dict[str, tuple[str, str]] = {}
    seen: set[str] = set()
    for name, summary, body in _documented(Path(sysconfig.get_paths()["stdlib"])):
        if name not in found and summary not in seen:
            seen.add(summary)
            found[name] = summary, body
    names = random.Random(3).sample(sorted(found), min(document_count, len(found)))
    asked = names[:query_count]
    return Collection(
        "docstrings",
        {name: found[name][1] for name in names},
        {name: found[name][0] for name in asked},
        {name: {name} for name in asked},
    )


def packages() -> Collection:
    """Which package is this? The one-line summary of each installed package asks for its long description."""
    documents, queries = {}, {}
    for each in importlib.metadata.distributions():
        name, summary = each.metadata["Name"], each.metadata["Summary"] or ""
        text = str(each.metadata.get_payload() or each.metadata.get("Description") or "").replace(summary, "")
        if len(text) > 600 and len(summary.split()) >= 4:
            documents[name], queries[name] = text[:20_000], summary
    return Collection("packages", documents, queries, {name: {name} for name in queries})


def sentences(per_document: int = 3) -> Collection:
    """Where does this sentence belong? Taken out of the pages of Python's language reference."""
    source = random.Random(4)
    documents, queries, judged = {}, {}, {}
    for name, page in sorted(pydoc_data.topics.topics.items()):
        prose = [" ".join(each.split()) for each in page.split("\n\n") if not each.startswith("    ")]
        kept = "\n\n".join(prose)
        known = [each for part in prose for each in re.split(r"(?<=[.!?])\s+", part) if 8 <= len(each.split()) <= 30]
        for number, sentence in enumerate(source.sample(known, min(per_document, len(known)))):
            queries[f"{name}-{number}"], judged[f"{name}-{number}"] = sentence, {name}
            kept = kept.replace(sentence, "")
        documents[name] = kept
    for key, sentence in queries.items():
        judged[key] |= {name for name, text in documents.items() if sentence in text}
    return Collection("sentences", documents, queries, judged)


def forms(count: int = 80) -> Collection:
    """Codes, numbers, names, addresses and phrases that only their exact form tells apart: a pile of like reports."""
    documents, queries, judged = {}, {}, {}
    for number in range(count):
        topic, person = TOPICS[number % len(TOPICS)], f"{PEOPLE[number % len(PEOPLE)]}{'abcdefghijkl'[number // 7]}"
        facts = {
            "code": f"ZX-{4400 + 7 * number}-{'QRST'[number % 4]}",
            "order": str(761_000 + 13 * number),
            "amount": f"{1000 + 37 * number:,}.{10 + number % 89}",
            "mail": f"{person.split()[1].lower()}{number}@example.org",
            "phrase": f"{topic} of batch {_word(number)}",
        }
        name = f"report-{number:03d}"
        documents[name] = (
            f"Inspection report\n\nSubject: {facts['phrase']}. The part {facts['code']} was inspected by {person} and no "
            f"defect was found that would keep it from service. Order {facts['order']} was billed at {facts['amount']} "
            f"EUR. The part is stored in the main hall until it is called for. Questions go to {facts['mail']}."
        )
        for kind, question in _asked(facts, person).items():
            queries[f"{number}-{kind}"], judged[f"{number}-{kind}"] = question, {name}
    return Collection("forms", documents, queries, judged)


OWN: tuple[Callable[[], Collection], ...] = (docstrings, packages, sentences, forms)


def ndcg(ranked: list[str], relevant: set[str], cut: int = 10) -> float:
    """Binary gains. Source: Järvelin and Kekäläinen, ACM TOIS 2002."""
    gain = sum(1 / math.log2(rank + 2) for rank, key in enumerate(ranked[:cut]) if key in relevant)
    ideal = sum(1 / math.log2(rank + 2) for rank in range(min(cut, len(relevant))))
    return gain / ideal if ideal else 0.0


def _asked(facts: dict[str, str], person: str) -> dict[str, str]:
    code, amount = facts["code"], facts["amount"]
    return {
        "code": code,
        "code in a sentence": f"please tell me what was found out about {code} in the inspection",
        "code in small letters": code.lower(),
        "code with spaces": code.replace("-", " "),
        "code in one": code.replace("-", "").lower(),
        "order": f"who was order {facts['order']} billed to?",
        "amount in another country": amount.replace(",", ";").replace(".", ",").replace(";", "."),
        "person": f"what did {person} inspect?",
        "mail": facts["mail"],
        "phrase": f'which report is on "{facts["phrase"]}"',
        "phrase in curly quotes": f"“{facts['phrase']}”",
    }


def _word(number: int) -> str:
    """A word that stands for a number and holds no digit."""
    return "".join("bdfgklmnpr"[int(digit)] + "aeiouaeiou"[int(digit)] for digit in f"{number:03d}")


def _documented(folder: Path) -> Iterator[tuple[str, str, str]]:
    """(name, first line, rest) of functions and classes with a docstring of two paragraphs and more."""
    for path in sorted(folder.glob("*.py")):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
                summary, _, body = (ast.get_docstring(node) or "").partition("\n\n")
                if 5 <= len(summary.split()) <= 25 and len(body.split()) >= 30:
                    yield f"{path.stem}.{node.name}", " ".join(summary.split()), body.strip()


def _json_lines(path: Path) -> Iterator[dict[str, str]]:
    return map(json.loads, path.read_text(encoding="utf-8").splitlines())
