"""The page on databases, run as it is printed: a real Chroma, real workers, the real model."""

from pathlib import Path

from tests.docs.blocks import ROOT, blocks
from tests.e2e.system import System
from tests.e2e.test_readme import run_requests

PAGE = ROOT / "docs/databases.md"


def test_the_requests_of_the_page_answer(system: System, tmp_path: Path) -> None:
    project = system.project("acme", "stable")
    project.create_dataset("rules")
    project.upload("rules", "horses.md", b"# Horses\n\nHorses are fed at six in the morning and at noon.\n")
    project.upload("rules", "goats.md", b"# Goats\n\nGoats are milked at five and brought in at dusk.\n")
    assert project.process("rules")["state"] == "SUCCESS"
    printed = run_requests(blocks("requests", PAGE), system, tmp_path)
    assert '"collection_deleted":true' in printed
    assert '"document_count":2' in printed
    assert '"status":"healthy"' in printed
    assert '"total_chunks":2' in printed
    assert '"documents_processed":2' in printed
    assert '"total_to_remove":0' in printed
    assert '"removed":0' in printed
    assert '"documents_deleted":1' in printed
    assert '"documents_imported":1' in printed
    assert '"embedded":0' in printed
    assert "Horses are fed at six" in printed.rpartition('"results"')[2]
    assert '"documents_cleared":1' in printed
