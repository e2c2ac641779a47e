"""What every flow begins and ends with: `python FLOW.py URL FOLDER PROJECT`; its findings are printed as JSON."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

URL, FOLDER, PROJECT = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
KEY = "any"
WAIT_S = 150


def client() -> Any:
    """Of the generated packages. What a request without a retry would show as a failure must not be hidden."""
    from llama_cloud import LlamaCloud

    return LlamaCloud(api_key=KEY, base_url=URL, max_retries=0)


def resource(cloud: Any, name: str) -> Any:
    """Newer packages have at the top what older ones have under `beta`."""
    return getattr(cloud, name) if hasattr(cloud, name) else getattr(cloud.beta, name)


def upload(cloud: Any, name: str) -> str:
    made = cloud.files.create(file=FOLDER / name, purpose="user_data", project_id=PROJECT)
    return str(made.id)


def wait(what: str, found: Callable[[], Any]) -> Any:
    """The first true value."""
    deadline = time.monotonic() + WAIT_S
    while not (value := found()):
        if time.monotonic() > deadline:
            sys.exit(f"not within {WAIT_S} s: {what}")
        time.sleep(0.3)
    return value


def fetch(url: str) -> bytes:
    """As a browser would: without any header of ours."""
    import httpx

    response = httpx.get(url)
    response.raise_for_status()
    return response.content


def report(**findings: Any) -> None:
    print(json.dumps(findings, default=str))
