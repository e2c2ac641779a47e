"""The requests of docs/chat.md, run as they are printed; only the address differs."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import PROJECT
from tests.docs.blocks import ROOT, blocks
from tests.fixtures.fake_ollama import FakeOllama

PAGE = ROOT / "docs/chat.md"
PRINTED = "http://127.0.0.1:8000"


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page shows requests with curl")
def test_the_requests_of_the_page_are_answered(
    live_url: str, ollama: FakeOllama, tmp_path: Path, write_project: Callable[..., None]
) -> None:
    prompt = "You talk to {{customer | a guest}} of the bakery."
    config: dict[str, Any] = {
        **PROJECT,
        "namespace": "acme",
        "name": "bakery",
        "rag": None,
        "datasets": [],
        "prompts": [{"name": "greeter", "messages": [{"role": "system", "content": prompt}]}],
        "runtime": {"models": [{"name": "local", "provider": "ollama", "model": "m", "base_url": ollama.url}]},
    }
    assert prompt in PAGE.read_text(encoding="utf-8")
    folder = tmp_path / "data" / "projects" / "acme" / "bakery"
    folder.mkdir(parents=True)
    (folder / "llamafarm.yaml").write_text(json.dumps(config), encoding="utf-8")

    script = "".join(block.text for block in blocks("requests", PAGE)).replace(PRINTED, live_url)
    script = 'set -eu; curl() { command curl --fail-with-body --max-time 20 "$@"; }\n' + script
    done = subprocess.run(["bash", "-c", script], env=dict(os.environ), capture_output=True, check=False, text=True)
    systems = [entry["body"]["messages"][0]["content"] for entry in ollama.requests("/api/chat")[-4:]]

    assert done.returncode == 0, done.stdout + done.stderr
    assert "data: [DONE]" in done.stdout
    assert "Session counter-1 deleted" in done.stdout
    assert [text.split()[3] for text in systems] == ["a", "a", "Ilse", "a"]
