"""`lf eval` on the bundled example and on a BEIR folder, through the whole system, as docs/evaluation.md prints it."""

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from tests.e2e.system import LF, TASK_TIMEOUT_S, CompletedText, ProjectClient, System, environment, wait_for

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "evaluation.md"
PICTURE = ROOT / "docs" / "images" / "evaluation.png"


def commands() -> list[list[str]]:
    """The indented `lf eval` lines of the page."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.startswith("    lf eval")]


@pytest.fixture(scope="module")
def handbook(system: System) -> ProjectClient:
    response = system.client.post(
        "/v1/examples/handbook/import-project", json={"namespace": "eval", "name": "handbook"}
    )
    assert response.status_code == 200, response.text
    project = ProjectClient(system.client, "/v1/projects/eval/handbook")

    def has_ended() -> bool:
        tasks = system.client.get(f"{project.path}/tasks").json()["tasks"]
        return bool(tasks) and all(task["state"] in ("SUCCESS", "FAILURE") for task in tasks)

    wait_for(has_ended, TASK_TIMEOUT_S, "the example is processed")
    return project


def lf(system: System, folder: Path, *arguments: str, code: int = 0) -> CompletedText:
    done = subprocess.run(
        [LF, *arguments],
        cwd=folder,
        env=environment(system.data_dir),
        capture_output=True,
        check=False,
        text=True,
        timeout=240,
    )
    assert done.returncode == code, (arguments, done.stdout, done.stderr)
    return done


def in_handbook(system: System, folder: Path, *arguments: str) -> CompletedText:
    return lf(system, folder, *arguments, "--namespace", "eval", "--project", "handbook")


def test_the_commands_of_the_page_measure_and_recommend(
    system: System, handbook: ProjectClient, tmp_path: Path
) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    runnable = [each for each in commands() if "examples/handbook/questions.jsonl" in each or "--synthetic" in each]
    assert len(runnable) >= 3
    for command in runnable:
        if "--with-model" in command:
            continue  # needs a model that writes; tests/unit/evaluation/test_synthetic.py has one
        shown = in_handbook(system, tmp_path, *command[1:]).stdout
        assert "NDCG@10" in shown
        assert "hybrid" in shown
        assert "Keep '" in shown or "Change to '" in shown
    pictures = [Path(part) for each in commands() for part in each if part.endswith((".png", ".html"))]
    assert pictures
    for name in pictures:
        drawn = tmp_path / name
        if name.suffix == ".png":
            assert Image.open(drawn).size == Image.open(PICTURE).size, (
                "the picture of the page is what the command draws"
            )
        else:
            assert "<svg" in drawn.read_text(encoding="utf-8")
    assert PICTURE.stat().st_size < 150_000


def test_the_questions_of_the_example_find_what_they_expect(
    system: System, handbook: ProjectClient, tmp_path: Path
) -> None:
    questions = ROOT / "examples/handbook/questions.jsonl"
    done = json.loads(in_handbook(system, tmp_path, "eval", str(questions), "--json").stdout)
    report = done["result"]
    assert report["question_count"] == 38
    assert not [each for each in report["warnings"] if "does not hold" in each]
    hybrid = next(each for each in report["configurations"] if each["strategy"] == "hybrid")
    assert hybrid["metrics"]["recall@10"]["mean"] >= 0.9
    assert hybrid["metrics"]["ndcg@10"]["mean"] >= 0.75


def test_the_recommended_yaml_is_a_configuration_that_the_server_takes(
    system: System, handbook: ProjectClient, tmp_path: Path
) -> None:
    questions = ROOT / "examples/handbook/questions.jsonl"
    done = json.loads(in_handbook(system, tmp_path, "eval", str(questions), "-c", "headings:400:0", "--json").stdout)
    change = yaml.safe_load(done["result"]["recommendation"]["yaml"])
    config: dict[str, Any] = system.client.get(handbook.path).json()["project"]["config"]
    for key, entries in change["rag"].items():
        for entry in entries:
            next(each for each in config["rag"][key] if each["name"] == entry["name"]).update(entry)
    answer = system.client.put(handbook.path, json={"config": config})
    assert answer.status_code == 200, answer.text
    strategy = done["result"]["recommendation"]["strategy"]
    found = system.client.post(f"{handbook.path}/rag/query", json={"query": "parental leave"}).json()
    assert found["retrieval_strategy_used"] == strategy


def test_a_beir_folder_is_loaded_and_measured_with_one_command(system: System, tmp_path: Path) -> None:
    system.project("eval", "beir")
    folder = tmp_path / "birds"
    (folder / "qrels").mkdir(parents=True)
    birds = {"a/1": "The puffin nests in burrows on sea cliffs.", "b": "The swift sleeps while it flies.",
             "c": "Owls turn their heads by 270 degrees.", "d": "The swift sleeps while it flies."}  # fmt: skip
    documents = [json.dumps({"_id": key, "title": "", "text": text}) for key, text in birds.items()]
    (folder / "corpus.jsonl").write_text("\n".join(documents))
    queries = {"1": "Where do puffins breed?", "2": "bird that sleeps in the air", "3": "neck of an owl"}
    (folder / "queries.jsonl").write_text("\n".join(json.dumps({"_id": k, "text": v}) for k, v in queries.items()))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\ta/1\t2\n2\td\t1\n3\tc\t1\n")
    place = ("--namespace", "eval", "--project", "beir")
    done = json.loads(lf(system, tmp_path, "eval", "birds", "--ingest", "birds", "--json", *place).stdout)
    report = done["result"]
    assert report["question_count"] == 3
    semantic = next(each for each in report["configurations"] if each["strategy"] != "keyword")
    assert semantic["metrics"]["ndcg@10"]["mean"] > 0.9
    again = lf(system, tmp_path, "eval", "birds", "--ingest", "birds", "--limit", "2", *place)
    assert "NDCG@10" in again.stdout
