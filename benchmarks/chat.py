"""Time to the first token through Paddock, minus the same request straight to the (fake) Ollama.

    python -m benchmarks.chat [--requests 100] [--streams 64]

The fake answers at once, so the difference is Paddock's own share: without retrieval, and with it over a small database.
Then 64 streams at the same time, each token 20 ms after the one before: the longest gap between two tokens of a stream.
"""

import argparse
import json
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks.report import print_header, spread
from tests.e2e.system import ProjectClient, running_system
from tests.fixtures.fake_ollama import FakeOllama

MESSAGES = [{"role": "user", "content": "Which pump exceeds the inlet pressure?"}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--streams", type=int, default=64)
    options = parser.parse_args()
    print_header("chat")
    with (
        FakeOllama() as ollama,
        tempfile.TemporaryDirectory() as folder,
        running_system(Path(folder), OLLAMA_HOST=ollama.url) as system,
        httpx.Client(base_url=ollama.url, timeout=60) as direct,
    ):
        project = system.project("bench", "chat")
        project.create_dataset("docs")
        project.upload("docs", "a.txt", b"The pump P-7 exceeds the inlet pressure during start-up. " * 40)
        assert project.process("docs")["state"] == "SUCCESS"
        for has_rag in (False, True):
            compare(direct, project, has_rag, options.requests)
        ollama.behave(delay_token_s=0.02)
        gaps = concurrent_gaps(system.url, project.path, options.streams)
        print(f"{options.streams} streams at once: {len(gaps)} finished, longest gap {max(gaps) * 1000:.0f} ms")


def compare(direct: httpx.Client, project: ProjectClient, has_rag: bool, count: int) -> None:
    """Alternates the two, so that both meet the same noise."""
    there, here = [], []
    for number in range(count + 10):
        messages = [{"role": "user", "content": f"{MESSAGES[0]['content']} ({number})"}]
        first = first_token(direct, "/api/chat", {"model": "llama3.2:3b", "messages": messages, "stream": True})
        body = {"model": "ollama", "messages": messages, "stream": True, "rag_enabled": has_rag}
        second = first_token(project.client, f"{project.path}/chat/completions", body)
        if number >= 10:
            there.append(first * 1000)
            here.append(second * 1000)
    added = [ours - theirs for ours, theirs in zip(here, there, strict=True)]
    print(
        f"{'with' if has_rag else 'without'} retrieval: first token {spread(here, 'ms')}; direct {spread(there, 'ms')}; "
    )
    print(f"  added: median {statistics.median(added):.1f} ms")


def first_token(client: httpx.Client, path: str, body: dict[str, Any]) -> float:
    started = time.perf_counter()
    with client.stream("POST", path, json=body, headers={"X-No-Session": "1"}) as response:
        assert response.status_code == 200, response.read()
        elapsed = 0.0
        for line in response.iter_lines():  # to its end, so that the next request finds an idle server
            if not elapsed and has_content(line):
                elapsed = time.perf_counter() - started
    return elapsed


def has_content(line: str) -> bool:
    line = line.removeprefix("data: ")
    if not line.startswith("{"):
        return False
    raw = json.loads(line)
    if "message" in raw:
        return bool(raw["message"].get("content"))
    return any(choice["delta"].get("content") for choice in raw.get("choices", []))


def concurrent_gaps(url: str, path: str, streams: int) -> list[float]:
    gaps: list[float] = []

    def read() -> None:
        body = {"model": "ollama", "messages": MESSAGES, "stream": True, "rag_enabled": False}
        longest, last = 0.0, None
        with httpx.stream(
            "POST", f"{url}{path}/chat/completions", json=body, headers={"X-No-Session": "1"}, timeout=60
        ) as response:
            for line in response.iter_lines():
                if has_content(line):
                    now = time.perf_counter()
                    longest, last = max(longest, now - last if last else 0.0), now
        gaps.append(longest)

    threads = [threading.Thread(target=read) for _ in range(streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(gaps) == streams
    return gaps


if __name__ == "__main__":
    main()
