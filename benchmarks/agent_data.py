"""How long agents' documents take: inserting, searching with a filter and an order, grouping, deleting.

    python -m benchmarks.agent_data [--items 100000] [--runs 200] [--state sqlite:///… or postgresql+psycopg://…]

Each question is asked of a server over a socket, as a client would, and by turns of the store alone in this process.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.cloud_retrieve import asker
from benchmarks.report import percentile, print_header
from config.settings import Settings
from state.cloud.agent_data import AgentDataStore, Search
from state.cloud.agent_documents import Place
from state.cloud.agent_groups import Grouping
from state.cloud.agent_orders import read_orders
from state.cloud.ids import DEFAULT_PROJECT_ID
from state.database import StateDatabase
from tests.e2e.system import running_system

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
    "1 in 400, by two conditions": {
        "filter": {"owner.team": {"eq": "team 7"}, "tags": {"includes": ["tag 3"]}},
        "order_by": "data.score",
    },
    "last changed first": {"filter": {"status": {"eq": "done"}}, "order_by": "updated_at desc"},
    "with the total": {"filter": {"status": {"eq": "done"}}, "order_by": "data.score", "include_total": True},
}

GROUPS: dict[str, dict[str, Any]] = {
    "by one field": {"group_by": ["status"]},
    "by one field, half of them": {"group_by": ["status"], "filter": {"done": {"eq": True}}},
    "by two fields": {"group_by": ["status", "owner.team"]},
}
WARM_UP = 3

Ask: TypeAlias = Callable[[str, dict[str, Any]], tuple[float, Any]]
Work: TypeAlias = Callable[[], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--state", help="URL of the state's database; default: SQLite in a temporary folder")
    options = parser.parse_args()
    print_header(f"agent data at {options.items:,} items")
    extra = {"LF_DATABASE_URL": options.state} if options.state else {}
    with tempfile.TemporaryDirectory() as folder, running_system(Path(folder), **extra) as system:
        settings = Settings(data_dir=system.data_dir, **({"database_url": options.state} if options.state else {}))
        store = AgentDataStore(StateDatabase(settings.state_url))
        post(asker(system), "", data=document(0))  # makes the project: what belongs to none is swept away
        insert(store, options.items)
        ask = asker(system)
        compare(
            "insert one", lambda: post(ask, "", data=document(0)), lambda: store.create(PLACE, document(0)), options
        )
        for title, body in SEARCHES.items():
            compare(
                f"search, {title}",
                lambda body=body: post(ask, "/:search", **body),
                lambda body=body: store.search(search_of(body)),
                options,
            )
        few = argparse.Namespace(runs=max(3, options.runs // 20))
        for title, body in GROUPS.items():
            compare(
                f"groups, {title}",
                lambda body=body: post(ask, "/:aggregate", count=True, first=True, **body),
                lambda body=body: store.aggregate(search_of(body), Grouping(body["group_by"], ())),
                few,
            )
        deleted, took = timed(lambda: post(ask, "/:delete", filter={"status": {"eq": "rejected"}})["deleted_count"])
        print(f"delete by query: {deleted} in {took:.2f} s")


def search_of(body: dict[str, Any]) -> Search:
    orders = read_orders(body.get("order_by"))
    return Search(PLACE, body.get("filter", {}), orders, with_total=body.get("include_total", False))


def insert(store: AgentDataStore, count: int) -> None:
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


def post(ask: Ask, path: str, **body: Any) -> Any:
    return ask(f"{URL}{path}", {"deployment_name": PLACE.deployment, **body})[1]


def compare(title: str, over_http: Work, alone: Work, options: argparse.Namespace) -> None:
    """By turns, so that what the machine does meanwhile hits both alike."""
    times: dict[str, list[float]] = {"http": [], "store": []}
    for number in range(options.runs + WARM_UP):
        for name, work in (("http", over_http), ("store", alone)):
            took = timed(work)[1]
            if number >= WARM_UP:
                times[name].append(took * 1000)
    for name, each in times.items():
        print(f"{title} ({name}): p50 {percentile(each, 0.5):.2f} ms, p95 {percentile(each, 0.95):.2f} ms")


def timed(work: Work) -> tuple[Any, float]:
    started = time.perf_counter()
    answer = work()
    return answer, time.perf_counter() - started


if __name__ == "__main__":
    main()
