"""Databases between stores in the running system: Chroma, and a double of a Qdrant server that speaks its HTTP."""

from pathlib import Path
from typing import Any

import yaml

from tests.e2e.system import System, lf
from tests.fixtures import qdrant
from tests.fixtures.qdrant import QdrantDouble

qdrant_double = qdrant.qdrant_double
FACT = "Marmots whistle when an eagle comes, file ZX-4471-Q."
QUESTIONS = ("What do marmots do?", "ZX-4471-Q", "eagle")


def test_a_database_goes_to_qdrant_and_back(system: System, qdrant_double: QdrantDouble, tmp_path: Path) -> None:
    project = system.project("alps", "animals")
    project.create_dataset("notes")
    project.upload("notes", "marmots.md", FACT.encode())
    project.upload("notes", "ibex.md", b"Ibexes climb steep rocks and lick salt from dams.")
    assert project.process("notes")["state"] == "SUCCESS"
    name = "main_database"
    before = {question: found(project, question) for question in QUESTIONS}

    def run(*arguments: str) -> str:
        return lf(system.data_dir, *arguments, "--namespace", "alps", "--project", "animals").stdout

    options = ("--config", f"url={qdrant_double.url}", "--config", "api_key=a-key", "--config", "shard_number=2")
    assert "QdrantStore" in run("db", "migrate", name, "--to", "QdrantStore", *options)
    assert (entry := configured(system))["type"] == "QdrantStore"
    assert [each["type"] for each in entry["moved_from"]] == ["ChromaStore"]
    assert {question: found(project, question) for question in QUESTIONS} == before
    assert {headers.get("api-key") for _, _, headers, _ in qdrant_double.requests} == {"a-key"}
    assert "healthy" in run("rag", "health", "--database", name)
    assert "a-key" not in run("projects", "list") + run("config", "show")

    assert outcome(project.process("notes")) == {"skipped_files": 2, "failed_files": 0}
    project.upload("notes", "lynx.md", b"Lynxes have tufts on their ears.")
    assert outcome(project.process("notes")) == {"skipped_files": 2, "failed_files": 0}
    assert found(project, "tufts on ears") == "lynx.md"
    run("db", "rebuild", name)
    assert found(project, "tufts on ears") == "lynx.md"

    run("db", "migrate", name, "--to", "ChromaStore", "--drop-source")
    assert configured(system)["type"] == "ChromaStore"
    assert {question: found(project, question) for question in QUESTIONS} == before
    assert found(project, "tufts on ears") == "lynx.md"
    assert qdrant_double.bodies("DELETE", "/collections/.*")


def test_a_rebuilt_database_answers_as_before(system: System) -> None:
    project = system.project("alps", "birds")
    project.create_dataset("notes")
    project.upload("notes", "marmots.md", FACT.encode())
    assert project.process("notes")["state"] == "SUCCESS"
    done = lf(system.data_dir, "db", "rebuild", "--namespace", "alps", "--project", "birds")
    assert "main_database" in done.stdout
    assert found(project, "What do marmots do?") == "marmots.md"
    assert "1" in lf(system.data_dir, "db", "stats", "--namespace", "alps", "--project", "birds").stdout


def found(project: Any, question: str) -> str:
    return str(project.query(question, top_k=1)[0]["metadata"]["filename"])


def outcome(task: dict[str, Any]) -> dict[str, int]:
    return {key: task["result"][key] for key in ("skipped_files", "failed_files")}


def configured(system: System) -> dict[str, Any]:
    path = next((system.data_dir / "projects" / "alps" / "animals").glob("llamafarm.y*ml"))
    raw = yaml.safe_load(path.read_text())
    return dict(next(each for each in raw["rag"]["databases"] if each["name"] == "main_database"))
