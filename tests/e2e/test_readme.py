"""The commands of the README and of the tutorial, run as they are printed; only the port differs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.docs.blocks import README, ROOT, Block, blocks, blocks_of
from tests.e2e.system import System, environment, free_port, wait_for

PRINTED = "http://127.0.0.1:8000"
PRELUDE = """\
set -eu
curl() { command curl --fail-with-body --max-time 120 "$@" || { echo "curl $*" >>"$FAILED"; return 22; }; }
"""
"""Makes a request that is refused a failure of the test; in a pipe, curl's own status would be lost."""


def run_requests(shown: list[Block], system: System, folder: Path) -> str:
    """Run the blocks in one shell, as a reader would; returns everything they printed."""
    failed = folder / "failed"
    script = (PRELUDE + "".join(block.text for block in shown)).replace(PRINTED, system.url)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        env={**os.environ, "FAILED": str(failed)},
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not failed.exists(), failed.read_text() + done.stdout + done.stderr
    return done.stdout


def test_the_requests_and_the_client_of_the_readme_answer(system: System, tmp_path: Path) -> None:
    requests = blocks("requests", README)
    assert all(PRINTED in block.text for block in requests)
    printed = run_requests(requests, system, tmp_path)
    assert '"state":"SUCCESS"' in printed
    assert '"page_start":3' in printed
    assert "90 days of paid parental leave" in printed.rpartition('"choices"')[2]
    assert '"sources":[{"number":1' in printed

    (client,) = blocks("client", README)
    assert PRINTED in client.text
    program = client.text.replace(PRINTED, system.url)
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout
    assert "90 days of paid parental leave" in answer


def test_the_tutorial_leads_to_answers(system: System, tmp_path: Path) -> None:
    page = ROOT / "docs/tutorial.md"
    shown = blocks_of(page)
    assert {block.use for block in shown} == {"requests"}
    printed = run_requests(shown, system, tmp_path)
    assert '"processed_files":10' in printed
    assert "90 days of paid parental leave" in printed
    assert "data: [DONE]" in printed
    assert "Ilse Marrow" in printed
    assert '"deleted_chunks":' in printed
    assert system.client.get("/v1/projects/my-team/knowledge").status_code == 404


def test_make_run_prints_a_cited_answer_and_ends_with_an_interrupt(tmp_path: Path) -> None:
    """With an empty home. `make` is told where the programs are, so that it need not install them again."""
    (block,) = blocks("make run", README)
    data_dir = tmp_path / "data"
    env = {key: value for key, value in environment(data_dir).items() if not key.startswith(("MAKE", "MFLAGS"))}
    command = [*block.text.split(), "--old-file=.venv/.installed", f"BIN={Path(sys.executable).parent}"]
    output = tmp_path / "output"
    with output.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**env, "LF_PORT": str(free_port())}, stdout=stream, stderr=subprocess.STDOUT
        )
        try:
            wait_for(
                lambda: process.poll() is not None or "answered in" in output.read_text(), 240, "an answer is printed"
            )
            assert process.poll() is None, output.read_text()
            interrupt_server(process.pid)
            assert process.wait(30) == 0, output.read_text()
        finally:
            end(process)
    printed = output.read_text()
    answer, _, sources = printed.partition("\n> ")[2].partition("Sources")
    assert "90 days of paid parental leave" in answer
    assert sources.splitlines()[1].strip().startswith("[1] employee-handbook.pdf, page 3 ")


def interrupt_server(make_pid: int) -> None:
    """To `lf` alone: `make` itself would end with the signal, whatever its child says."""
    servers = [child for child in psutil.Process(make_pid).children(recursive=True) if "start" in child.cmdline()]
    servers[0].send_signal(signal.SIGINT)


def end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        try:
            interrupt_server(process.pid)
            process.wait(30)
        finally:
            process.kill()


@pytest.mark.parametrize("use", ["make run", "requests", "client"])
def test_the_readme_has_what_is_run_here(use: str) -> None:
    assert use in {block.use for block in blocks_of(README)}
