"""The vendor's packages against the running system (the one of tests/conftest.py)."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tests.clients.environments import pythons
from tests.e2e.system import System, environment
from tests.fixtures.make_files import pdf_file

FLOWS = Path(__file__).parent / "flows"
FLOW_TIMEOUT_S = 300

Flow = Callable[[str, str], Any]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.clients)


@pytest.fixture(scope="session")
def client_pythons() -> dict[str, Path]:
    return pythons()


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that flows upload."""
    folder = tmp_path_factory.mktemp("papers")
    pdf_file(
        folder / "handbook.pdf",
        ["Crane manual. The crane K-12 lifts 3,200 kilograms.", "Winches. Winch W-3 needs grease each week."],
    )
    pdf_file(
        folder / "mixed.pdf",
        [
            "Invoice number 2024-17. Amount to be paid: 320 EUR. Due date: 1 May. Bank account: NL12 BANK 0001.",
            "Invoice 2024-17, continued. Amounts: 200 EUR and 120 EUR. Please pay to the bank account by the due date.",
            "Recipe. Ingredients: flour, butter, eggs. Heat the oven and bake the cake for forty minutes.",
        ],
    )
    texts = {
        "ropes.md": "# Ropes\n\nRope RX-9 is replaced every 18 months.\n",
        "anchors.md": "# Anchors\n\nThe anchor AQ-7 holds ships of 900 tonnes.\n",
        "invoice.md": "Invoice number 7. Amount to be paid: 90 EUR to the bank account, due date 3 June.\n",
        "recipe.md": "Recipe. Ingredients: flour and milk. Cook the dish in the oven.\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Prices"
    for row in (["Rope", "Metres", "Price"], ["RX-9", 40, 12.5], ["RX-10", 60, 18.0]):
        sheet.append(row)
    book.create_sheet("Other").append(["nothing of interest"])
    book.save(folder / "prices.xlsx")
    return folder


def project_of(environment_name: str, flow: str) -> str:
    """Each flow has a project of its own."""
    return f"{environment_name}-{flow}".replace("_", "-")


@pytest.fixture
def run_flow(system: System, client_pythons: dict[str, Path], papers: Path) -> Flow:
    """Runs a flow with an environment's packages, as its users would; what it printed."""

    def run(name: str, flow: str) -> Any:
        command = [
            client_pythons[name],
            "-W",
            "ignore",
            FLOWS / f"{flow}.py",
            system.url,
            papers,
            project_of(name, flow),
        ]
        done = subprocess.run(
            [str(each) for each in command],
            env={**environment(system.data_dir), "LLAMA_CLOUD_API_KEY": "any"},
            capture_output=True,
            check=False,
            text=True,
            timeout=FLOW_TIMEOUT_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.fixture
def use_writing_model(system: System) -> Callable[[str], None]:
    """Puts Ollama's model of a project's configuration in use, as the sentence of a failed extraction says."""

    def use(project_id: str) -> None:
        made = system.client.post(
            "/api/v1/beta/files",
            params={"project_id": project_id},
            files={"file": ("first.txt", b"a project begins with its first file")},
            data={"purpose": "user_data"},
        )
        assert made.status_code == 200, made.text
        path = f"/v1/projects/llamacloud/{project_id}"
        config = system.client.get(path).json()["project"]["config"]
        config["runtime"]["default_model"] = "ollama"
        assert system.client.put(path, json={"config": config}).status_code == 200

    return use
