"""docs/llamacloud.md, block by block, in one session against the running system."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from tests.clients.environments import PINS
from tests.docs.blocks import NOTEBOOK, ROOT, Block, blocks_of
from tests.e2e.system import System, wait_for
from tests.fixtures.fake_ollama import FakeOllama

PRINTED = "http://127.0.0.1:8000"
FACTS = {"parental_leave_days": 90, "safety_officer": "Ilse Marrow"}
PROJECT = "/v1/projects/llamacloud/5d0c9f5e-7a3b-4c1e-9f52-7061646f636b"
SHOWN = (
    "Default 5d0c9f5e-7a3b-4c1e-9f52-7061646f636b\n",
    "employee-handbook.pdf {'year': 2026, 'team': 'people'}\n",
    "application/pdf\n",
    "page 3, score ",
    ": 'Leave\\n\\nAnnual leave is 29 working days",
    "people 3\n",
    "employee-handbook.pdf 1078 al leave: every employee gets 90 days of paid parental leave",
    "user_input How long is parental leave?\n",
    "tool_call retrieve\n",
    "tool_result retrieve\n",
    "text_delta ",
    "“Parental leave: every employee gets 90 days of paid parental leave for each child",
    "stop \n",
    "How long is parental leave? ['user_input', 'tool_call', 'tool_result', 'text', 'stop']\n",
    "Spare parts A1:F7 table\n",
    "Suppliers A1:E4 table\n",
    "work high [1, 2]\ntime off high [3]\nwork high [4, 5]\nnotice high [6]\n",
    "employee-handbook.pdf completed\nadding-a-station.md completed\ndecisions.md completed\nmethod.md completed\n",
    "{'number': 3, 'state': 'open'}\n{'number': 1, 'state': 'open'}\n",
    "{'state': 'open'} 2\n{'state': 'paid'} 1\n3\n",
    "failed with status: FAILED | Error: the model 'quotes' only quotes files and cannot write",
    "{'parental_leave_days': 90.0, 'safety_officer': 'Ilse Marrow'}\n",
    "The shop closes at six.\n",
    '{"databases":[{"name":"idx_',
    '{"name":"pipeline_',
)
"""What the session prints, in this order."""


class Notebook:
    """A shell and an interpreter that keeps its names, both in the folder of the source."""

    def __init__(self, process: "subprocess.Popen[str]", url: str, folder: Path) -> None:
        self._process = process
        self._replaced = {PRINTED: url, "/tmp/table.parquet": str(folder / "table.parquet")}

    def run(self, block: Block) -> str:
        """What it printed. Raises AssertionError with the block's place and traceback."""
        text = block.text
        for shown, real in self._replaced.items():
            text = text.replace(shown, real)
        said, error = self._python(text) if block.language == "python" else _shell(text)
        assert not error, f"{block.id}:\n{said}\n{error}"
        return said

    def _python(self, text: str) -> tuple[str, str | None]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(text) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer["said"], answer["error"]


def _shell(text: str) -> tuple[str, str | None]:
    done = subprocess.run(
        ["bash", "-euc", text.replace("curl ", "curl --fail-with-body --silent --show-error ")],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    return done.stdout, done.stderr if done.returncode else None


@contextmanager
def notebook(python: Path, url: str, folder: Path) -> Iterator[Notebook]:
    process = subprocess.Popen(
        [str(python), "-W", "ignore", str(Path(__file__).with_name("notebook.py"))],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Notebook(process, url, folder)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def _writing_model(system: System, fake_ollama: FakeOllama) -> Iterator[None]:
    """What stands in for the reader's Ollama; the project has its own answerer again afterwards."""
    fake_ollama.behave(answer=json.dumps(FACTS))
    yield
    fake_ollama.behave()
    config = system.client.get(PROJECT).json()["project"]["config"]
    config["runtime"]["default_model"] = "quotes"
    system.client.put(PROJECT, json={"config": config})


@pytest.mark.usefixtures("_writing_model")
def test_the_tutorial_runs_block_by_block(system: System, client_pythons: dict[str, Path], tmp_path: Path) -> None:
    shown = [block for block in blocks_of(NOTEBOOK) if block.use == "notebook"]
    set_up, steps = shown[0], shown[1:]
    assert set_up.text.splitlines() == [f"pip install {PINS['v2_13'][0]}", "lf server start --detach"]
    said = ""
    with notebook(client_pythons["v2_13"], system.url, tmp_path) as session:
        for block in steps:
            said += session.run(block)
    for wanted in SHOWN:
        _, found, said = said.partition(wanted)
        assert found, f"{wanted!r} is not printed where it should be"
    table = parquet.read_table(tmp_path / "table.parquet")
    assert table.column_names == ["sku", "part", "fits", "price", "shelf", "note"]
    assert table.column("price").to_pylist() == [7.5, 11, 5, 6.5, 6.5, 8]
    wait_for(lambda: not _left(system), 30, "all is deleted")


def _left(system: System) -> list[Any]:
    """What the last block should have deleted."""
    config = system.client.get(PROJECT).json()["project"]["config"]
    lists = [system.client.get(f"/api/v1/{path}").json() for path in ("beta/directories", "indexes")]
    return [*config["datasets"], *config["rag"]["databases"], *(item for each in lists for item in each["items"])]
