"""The page on datasets, run as it is printed: real workers, the real model."""

from pathlib import Path

from tests.docs.blocks import ROOT, blocks
from tests.e2e.system import System
from tests.e2e.test_readme import run_requests

PAGE = ROOT / "docs/datasets.md"


def test_the_requests_of_the_page_answer(system: System, tmp_path: Path) -> None:
    project = system.project("acme", "letters")
    project.create_dataset("inbox")
    printed = run_requests(blocks("requests", PAGE), system, tmp_path)
    assert '"uploaded":1,"skipped":1,"failed":0' in printed
    assert '"total_files":2' in printed
    streamed = printed.partition("data: [DONE]")[0]
    assert '"state":"SUCCESS"' in streamed
    assert '"processed_files":2' in streamed
    assert '"cancelled":true' in printed
    assert printed.count('"message":"Accepted"') == 1, "the others are read into variables"
