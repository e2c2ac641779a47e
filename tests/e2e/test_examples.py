"""Each bundled example, imported over HTTP, processed by real workers, and asked; and the built-in project."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import ROOT, blocks_of
from tests.e2e.system import ProjectClient, System, wait_for
from tests.e2e.test_readme import run_requests
from tests.fixtures.fake_ollama import FakeOllama

QUESTIONS = {
    "handbook": (
        "How many days of paid parental leave does an employee get, and when must it be requested?",
        "90 days",
        "employee-handbook.pdf",
    ),
    "letters": (
        "By which date must Bellwether Dairy send the written plan that warning letter WL-2026-0417 asks for?",
        "31 March 2026",
        "warning-letter-bellwether-dairy.pdf",
    ),
    "catalogue": (
        "Which stove burns petrol and paraffin, and how much does it weigh?",
        "Kiln multifuel stove",
        "products.csv",
    ),
    "codebase": (
        "Which error is raised when a station name appears twice?",
        "DuplicateStation",
        "harmonics.py",
    ),
}


def imported(system: System, example: str) -> ProjectClient:
    """The example as a project, with every file processed."""
    body = {"namespace": "examples-e2e", "name": example}
    response = system.client.post(f"/v1/examples/{example}/import-project", json=body)
    assert response.status_code == 200, response.text
    project = ProjectClient(system.client, f"/v1/projects/examples-e2e/{example}")
    task_ids = response.json()["task_ids"]
    assert len(task_ids) == len(response.json()["datasets"])
    for task_id in task_ids:
        task = project.wait(task_id)
        assert task["state"] == "SUCCESS", task
    return project


def ask(system: System, path: str, question: str, **headers: str) -> tuple[str, list[dict[str, Any]]]:
    body = {"messages": [{"role": "user", "content": question}], "include_sources": True}
    response = system.client.post(f"{path}/chat/completions", json=body, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["content"], response.json()["sources"]


@pytest.mark.parametrize("example", QUESTIONS)
def test_an_example_answers_its_question_from_the_right_file(system: System, example: str) -> None:
    listed = {each["id"]: each for each in system.client.get("/v1/examples").json()["examples"]}
    assert set(listed) == set(QUESTIONS)
    project = imported(system, example)
    question, words, file = QUESTIONS[example]
    text, sources = ask(system, project.path, question)
    assert words in text, text
    cited = {source["metadata"]["filename"] for source in sources if f"[{source['number']}]" in text}
    assert file in cited, (text, sources)


def test_filters_choose_rows_by_category_price_weight_and_stock(system: System) -> None:
    project = imported(system, "catalogue")
    filters = {"category": "tents", "price": {"$lt": 450}, "weight_g": {"$lt": 2000}, "in_stock": {"$gt": 0}}
    found = project.query("tent", top_k=10, metadata_filters=filters)
    assert sorted(hit["metadata"]["sku"] for hit in found) == ["FT-1010", "FT-3010"]
    (part,) = project.query("jet", metadata_filters={"sku": "FP-7021"})
    assert part["metadata"]["shelf"] == "D-11"
    assert "FS-3010" not in [
        hit["metadata"]["sku"] for hit in project.query("wood stove", retrieval_strategy="in_stock", top_k=10)
    ]


def test_a_letter_is_found_by_its_reference_and_cited_by_page(system: System) -> None:
    project = imported(system, "letters")
    (best, *_) = project.query("RN-88-214")
    assert (best["metadata"]["filename"], best["metadata"]["page_number"]) == (
        "inspection-notice-quayside-smokehouse.pdf",
        1,
    )


def built_in_project(system: System) -> str:
    """Its path, once its documentation is processed: the first question begins that, and waits for a while only."""
    path = "/v1/projects/llamafarm/project_seed"
    ask(system, path, "What is a dataset?")

    def is_processed() -> bool:
        (dataset,) = system.client.get(f"{path}/datasets").json()["datasets"]
        files = dataset["details"]["files_metadata"]
        return bool(files) and all(file["chunk_count"] for file in files)

    wait_for(is_processed, 120, "the documentation is processed")
    return path


def test_the_built_in_project_answers_from_the_documentation_after_it_was_first_asked(system: System) -> None:
    (seed,) = system.client.get("/health").json()["seeds"]
    assert seed["status"] == "healthy"
    question = "What happens to an upload when the disk is full?"
    headers = {"X-Active-Project": "examples-e2e/letters"}
    text, sources = ask(system, built_in_project(system), question, **headers)
    assert sources
    assert all(source["metadata"]["filename"].endswith(".md") for source in sources)
    assert any(f"[{source['number']}]" in text for source in sources), text


def test_its_language_model_sees_the_documentation_and_the_project_that_is_worked_on(
    system: System, fake_ollama: FakeOllama
) -> None:
    imported(system, "letters")
    question = "How do I change the size of chunks?"
    body = {"model": "ollama", "messages": [{"role": "user", "content": question}]}
    response = system.client.post(
        f"{built_in_project(system)}/chat/completions",
        json=body,
        headers={"X-Active-Project": "examples-e2e/letters"},
    )
    assert response.status_code == 200, response.text
    prompts = [json.dumps(each["body"]) for each in fake_ollama.requests("/api/chat")]
    (prompt,) = [each for each in prompts if question in each]
    assert "You help people to use Paddock" in prompt
    assert "examples-e2e/letters" in prompt
    assert "dense_weight" in prompt
    assert "chunk_size" in prompt


@pytest.mark.parametrize("page", ["docs/examples.md", "examples/catalogue/README.md"])
def test_the_commands_of_the_pages_answer(system: System, tmp_path: Path, page: str) -> None:
    built_in_project(system)
    shown = [block for block in blocks_of(ROOT / page) if block.language == "bash"]
    assert {block.use for block in shown} == {"requests"}
    printed = run_requests(shown, system, tmp_path)
    if page.startswith("docs"):
        assert "9.1 milligrams of melatonin" in printed
        assert '"sku":"FT-3010"' in printed
        assert '"sku":"FT-2010"' not in printed
        assert "is then shown its configuration" in printed
    else:
        assert '"sku":"FT-1020"' in printed
        assert '"sku":"FT-2010"' not in printed
        assert "Kiln multifuel stove" in printed.rpartition('"choices"')[2]
