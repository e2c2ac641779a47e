"""How long agents' documents take: inserting, searching with a filter and an order, grouping, deleting.

    python -m benchmarks.agent_data [--items 100000] [--runs 200] [--state sqlite:///… or postgresql+psycopg://…]

`http` times are of the whole route, through the app in this process; the others are of the store alone.
"""

import argparse
import contextlib
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from benchmarks.report import percentile, print_header, spread
from config.settings import Settings
from server.app import create_app
from state.cloud.agent_data import AgentDataStore, Place
from state.cloud.ids import DEFAULT_PROJECT_ID
from state.database import StateDatabase

URL = "/api/v1/beta/agent-data"
PLACE = Place(DEFAULT_PROJECT_ID, "bench", "default")
BATCH = 1_000
STATES = ("open", "in progress", "done", "rejected")
TEAMS = 40
SEARCHES: dict[str, dict[str, Any]] = {
    "a quarter meets it, by a number": {"filter": {"status": {"eq": "done"}}, "order_by": "data.score desc"},
    "a range and a text, by a number": {
        "filter": {"status": {"eq": "open"}, "score": {"gt": 50}},
        "order_by": "data.score",
    },
    "1 in 40, by a time": {"filter": {"owner.team": {"eq": "team 7"}}, "order_by": "data.due"},
    "1 in 5,000, by a text": {"filter": {"reference": {"eq": "R-123"}}, "order_by": "data.title"},
    "a tag of a list, newest first": {"filter": {"tags": {"includes": ["tag 3"]}}, "order_by": "created_at desc"},
    "no filter, by a text": {"order_by": "data.title"},
    "half of them, by two fields": {"filter": {"done": {"eq": True}}, "order_by": "data.status, data.score desc"},
    "with the total": {"filter": {"status": {"eq": "done"}}, "order_by": "data.score", "include_total": True},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--state", help="URL of the state's database; default: SQLite in a temporary folder")
    options = parser.parse_args()
    print_header("agent data")
    with tempfile.TemporaryDirectory() as folder, server(Path(folder), options.state) as (client, settings):
        insert(settings, options.items)
        measure("http: insert one", lambda: post(client, "", data=document(0)), options.runs)
        for title, body in SEARCHES.items():
            measure(f"http: search, {title}", lambda body=body: post(client, "/:search", **body), options.runs)
        groups = {"group_by": ["status"], "count": True, "first": True}
        measure("http: groups by one field", lambda: post(client, "/:aggregate", **groups), max(3, options.runs // 20))
        started = time.perf_counter()
        deleted = post(client, "/:delete", filter={"status": {"eq": "rejected"}})["deleted_count"]
        print(f"http: delete by query: {deleted} in {time.perf_counter() - started:.2f} s")


@contextlib.contextmanager
def server(folder: Path, state_url: str | None) -> Iterator[tuple[TestClient, Settings]]:
    values: dict[str, Any] = {"data_dir": folder, "log_level": "ERROR", "warm_model": "", "seed_project": False}
    if state_url:
        values["database_url"] = state_url
    settings = Settings(_env_file=None, chroma_url="http://127.0.0.1:1", redis_url="redis://127.0.0.1:1/0", **values)
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        yield client, settings


def insert(settings: Settings, count: int) -> None:
    store = AgentDataStore(StateDatabase(settings.state_url))
    started = time.perf_counter()
    for start in range(0, count, BATCH):
        store.create_all(PLACE, [document(number) for number in range(start, min(start + BATCH, count))])
    took = time.perf_counter() - started
    print(f"insert in batches of {BATCH}: {count / took:,.0f} documents/s")


def document(number: int) -> dict[str, Any]:
    """The same for the same number."""
    chance = random.Random(number)
    return {
        "title": f"Ticket {chance.randrange(10**6)} about {chance.choice(('prices', 'delivery', 'returns'))}",
        "status": chance.choice(STATES),
        "score": round(chance.uniform(0, 100), 3),
        "done": chance.random() < 0.5,
        "due": f"2025-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}T12:00:00Z",
        "reference": f"R-{chance.randrange(5_000)}",
        "owner": {"team": f"team {chance.randrange(TEAMS)}", "name": f"person {chance.randrange(2_000)}"},
        "tags": [f"tag {chance.randrange(30)}" for _ in range(3)],
    }


def post(client: TestClient, path: str, **body: Any) -> Any:
    answer = client.post(f"{URL}{path}", json={"deployment_name": PLACE.deployment, **body})
    answer.raise_for_status()
    return answer.json()


def measure(title: str, work: Callable[[], Any], runs: int) -> None:
    work()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    print(f"{title}: {spread(times, 'ms')}; p95 {percentile(times, 0.95):.2f} ms")


if __name__ == "__main__":
    main()
