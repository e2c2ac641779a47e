"""Agent data over HTTP. tests/unit/cloud/test_agent_search.py holds the rules of search against a plain reading."""

import json
from typing import Any

import pytest

from tests.cloud.conftest import CLIENT_HEADERS, CloudWorld

URL = "/api/v1/beta/agent-data"
OTHER_PROJECT = "11111111-2222-4333-8444-555555555555"


def keep(cloud: CloudWorld, data: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {"data": data, "deployment_name": "agent", **more}
    answer = cloud.http.post(URL, json=body, headers=CLIENT_HEADERS)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ask(cloud: CloudWorld, verb: str, status: int = 200, **body: Any) -> dict[str, Any]:
    answer = cloud.http.post(f"{URL}/:{verb}", json={"deployment_name": "agent", **body})
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_document_is_kept_without_loss(cloud: CloudWorld) -> None:
    data = {
        "int": 1,
        "float": 1.0,
        "large": 2**60 + 1,
        "small": 1e-300,
        "null": None,
        "yes": True,
        "text": "Füße 😀\u0000\n",
        "list": [1, "1", [None, {}], []],
        "object": {"a": {"b": {}}},
        "": "empty key",
        "a.b": "dotted",
        "z": 0,
        "b": 1,
    }
    kept = keep(cloud, data)
    answer = cloud.http.get(f"{URL}/{kept['id']}")
    assert answer.status_code == 200
    assert json.dumps(answer.json()["data"]) == json.dumps(data), "order, types and digits stay"
    assert set(kept) == {"data", "deployment_name", "id", "collection", "created_at", "project_id", "updated_at"}
    assert (kept["deployment_name"], kept["collection"]) == ("agent", "default")


def test_an_update_takes_the_place_of_the_whole_document_and_of_what_it_is_found_by(cloud: CloudWorld) -> None:
    kept = keep(cloud, {"status": "open", "note": "x"}, collection="tickets")
    answer = cloud.http.put(f"{URL}/{kept['id']}", json={"data": {"status": "done"}})
    assert answer.status_code == 200
    changed = answer.json()
    assert changed["data"] == {"status": "done"}
    assert {key: changed[key] for key in ("id", "created_at", "collection", "deployment_name")} == {
        key: kept[key] for key in ("id", "created_at", "collection", "deployment_name")
    }
    assert changed["updated_at"] > kept["updated_at"]
    assert ask(cloud, "search", collection="tickets", filter={"status": {"eq": "open"}})["items"] == []
    assert ask(cloud, "search", collection="tickets", filter={"note": {"eq": "x"}})["items"] == []
    assert ask(cloud, "search", collection="tickets", filter={"status": {"eq": "done"}})["items"] == [changed]


def test_a_deleted_document_is_gone(cloud: CloudWorld) -> None:
    kept = keep(cloud, {"x": 1})
    answer = cloud.http.delete(f"{URL}/{kept['id']}")
    assert answer.status_code == 200
    assert all(isinstance(value, str) for value in answer.json().values())
    for method in ("get", "delete"):
        assert getattr(cloud.http, method)(f"{URL}/{kept['id']}").status_code == 404
    assert cloud.http.put(f"{URL}/{kept['id']}", json={"data": {}}).status_code == 404
    assert ask(cloud, "search")["items"] == []


@pytest.mark.parametrize("path", ["/:search", "/%3Asearch"])
def test_the_colon_of_a_verb_may_be_encoded(cloud: CloudWorld, path: str) -> None:
    kept = keep(cloud, {"x": 1})
    answer = cloud.http.post(f"{URL}{path}", json={"deployment_name": "agent"})
    assert answer.status_code == 200
    assert [each["id"] for each in answer.json()["items"]] == [kept["id"]]
    assert not kept["id"].startswith(":")


def test_documents_of_another_project_are_not_found(cloud: CloudWorld) -> None:
    kept = keep(cloud, {"x": 1})
    query = {"project_id": OTHER_PROJECT}
    assert cloud.http.get(f"{URL}/{kept['id']}", params=query).status_code == 404
    assert cloud.http.put(f"{URL}/{kept['id']}", params=query, json={"data": {}}).status_code == 404
    assert cloud.http.delete(f"{URL}/{kept['id']}", params=query).status_code == 404
    for verb, found in (("search", {"items": []}), ("delete", {"deleted_count": 0})):
        answer = cloud.http.post(f"{URL}/:{verb}", params=query, json={"deployment_name": "agent"})
        assert answer.json().items() >= found.items()
    assert ask(cloud, "search")["items"] == [kept]


def test_a_search_filters_orders_and_pages(cloud: CloudWorld) -> None:
    for number in range(25):
        keep(cloud, {"name": f"n{number:02}", "age": number % 5, "tags": ["odd"] if number % 2 else ["even"]})
    body: dict[str, Any] = {
        "filter": {"age": {"gte": 1, "lt": 4}, "tags": {"includes": ["odd"]}},
        "order_by": "data.age desc, data.name",
        "page_size": 4,
    }
    first = ask(cloud, "search", **body, include_total=True)
    assert first["total_size"] == 8
    seen = first["items"]
    token = first["next_page_token"]
    while token:
        page = ask(cloud, "search", **body, page_token=token)
        assert page["total_size"] is None
        seen += page["items"]
        token = page["next_page_token"]
    ages = [(each["data"]["age"], each["data"]["name"]) for each in seen]
    assert ages == [(3, "n03"), (3, "n13"), (3, "n23"), (2, "n07"), (2, "n17"), (1, "n01"), (1, "n11"), (1, "n21")]


def test_ten_documents_make_a_page_unless_more_are_asked_for(cloud: CloudWorld) -> None:
    for number in range(12):
        keep(cloud, {"x": number})
    page = ask(cloud, "search")
    assert len(page["items"]) == 10
    assert page["next_page_token"]
    assert len(ask(cloud, "search", page_size=5_000)["items"]) == 12
    assert [each["data"]["x"] for each in ask(cloud, "search", offset=9)["items"]] == [9, 10, 11]


def test_the_times_of_an_item_can_be_filtered_and_ordered_by(cloud: CloudWorld) -> None:
    first, second = keep(cloud, {"created_at": "1999-01-01"}), keep(cloud, {})
    found = ask(cloud, "search", filter={"created_at": {"lte": first["created_at"]}})["items"]
    assert [each["id"] for each in found] == [first["id"]]
    assert [
        each["id"] for each in ask(cloud, "search", filter={"created_at": {"eq": second["created_at"]}})["items"]
    ] == [second["id"]]
    newest = ask(cloud, "search", order_by="created_at desc")["items"]
    assert [each["id"] for each in newest] == [second["id"], first["id"]]


def test_an_operation_that_is_null_is_none(cloud: CloudWorld) -> None:
    keep(cloud, {"x": 1})
    operations = {
        "eq": None,
        "ne": None,
        "gt": 0,
        "gte": None,
        "lt": None,
        "lte": None,
        "includes": None,
        "excludes": None,
    }
    assert len(ask(cloud, "search", filter={"x": operations})["items"]) == 1
    assert len(ask(cloud, "search", filter={"x": {"includes": [None]}})["items"]) == 0


def test_aggregation_counts_and_shows_the_oldest_of_each_group(cloud: CloudWorld) -> None:
    for number, team in enumerate(["a", "b", "a", None, 1, "1", "a"]):
        keep(cloud, {"n": number} if team is None else {"team": team, "n": number})
    found = ask(cloud, "aggregate", group_by=["team"], count=True, first=True, order_by="count desc, data.team")
    groups = [(each["group_key"]["team"], each["count"], each["first_item"]["n"]) for each in found["items"]]
    assert groups == [("a", 3, 0), (1, 1, 4), ("1", 1, 5), ("b", 1, 1), (None, 1, 3)]
    plain = ask(cloud, "aggregate", group_by=["team"], page_size=2)
    assert plain["items"] == [
        {"group_key": {"team": "a"}, "count": None, "first_item": None},
        {"group_key": {"team": "b"}, "count": None, "first_item": None},
    ]
    assert plain["next_page_token"]
    whole = ask(cloud, "aggregate", count=True, filter={"team": {"eq": "a"}})
    assert whole["items"] == [{"group_key": {}, "count": 3, "first_item": None}]


def test_deletion_by_query_says_how_many(cloud: CloudWorld) -> None:
    for number in range(6):
        keep(cloud, {"x": number})
    keep(cloud, {"x": 1}, collection="other")
    assert ask(cloud, "delete", filter={"x": {"lt": 2}}) == {"deleted_count": 2}
    assert ask(cloud, "delete") == {"deleted_count": 4}
    assert len(ask(cloud, "search", collection="other")["items"]) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"filter": {"n": {"equals": 1}}}, "includes, excludes"),
        ({"filters": {"n": {"eq": 1}}}, "unknown field 'filters'"),
        ({"filter": {"n": {"eq": None}}}, "filter.n restricts nothing"),
        ({"filter": {"n": {}}}, "filter.n restricts nothing"),
        ({"filter": {"n": {"eq": 1}, "m": {}}}, "filter.m restricts nothing"),
    ],
    ids=str,
)
def test_a_mistyped_filter_deletes_nothing(cloud: CloudWorld, body: dict[str, Any], said: str) -> None:
    keep(cloud, {"n": 1, "m": 2})
    assert said in json.dumps(ask(cloud, "delete", 422, **body))
    assert len(ask(cloud, "search")["items"]) == 1
    assert ask(cloud, "delete", filter={}, organization_id=None) == {"deleted_count": 1}


@pytest.mark.parametrize("verb", ["search", "aggregate", "delete"])
def test_an_unknown_operation_is_refused_with_the_known_ones(cloud: CloudWorld, verb: str) -> None:
    answer = ask(cloud, verb, 422, filter={"n": {"eq": 1, "equals": 1}})
    assert "no operation 'equals'. Known: eq, ne, gt, gte, lt, lte, includes, excludes" in answer["message"]


def nested(depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(depth):
        found = {"d": found}
    return found


@pytest.mark.parametrize(
    "body",
    [
        {"data": [1], "deployment_name": "agent"},
        {"data": "x", "deployment_name": "agent"},
        {"data": None, "deployment_name": "agent"},
        {"data": {}, "deployment_name": ""},
        {"data": {}, "deployment_name": "x" * 301},
        {"data": {}, "deployment_name": "a\u0000b"},
        {"data": {}},
        {"data": nested(101), "deployment_name": "agent"},
        {"data": {str(number): number for number in range(20_001)}, "deployment_name": "agent"},
        {"data": {str(number): [] for number in range(20_001)}, "deployment_name": "agent"},
    ],
    ids=["list", "text", "null", "no name", "long name", "NUL", "no deployment", "deep", "wide", "wide in lists"],
)
def test_what_cannot_be_kept_is_refused(cloud: CloudWorld, body: dict[str, Any]) -> None:
    answer = cloud.http.post(URL, json=body)
    assert answer.status_code == 422, answer.text
    assert ask(cloud, "search")["items"] == []


@pytest.mark.parametrize(
    "raw",
    [b'{"data": {"x": NaN}, "deployment_name": "agent"}', b'{"data": {"x": 1e999}, "deployment_name": "agent"}'],
    ids=["NaN", "infinity"],
)
def test_numbers_that_json_does_not_have_are_refused(cloud: CloudWorld, raw: bytes) -> None:
    answer = cloud.http.post(URL, content=raw, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500, answer.text


@pytest.mark.parametrize(
    "body",
    [
        {"filter": {"x": {"gt": True}}},
        {"filter": {"x": {"gt": "y" * 201}}},
        {"filter": {"x": {"eq": {"a": 1}}}},
        {"filter": {"x": "y"}},
        {"filter": {f"f{number}": {"eq": 1} for number in range(51)}},
        {"filter": {"x": {"includes": list(range(501))}}},
        {"filter": {"created_at": {"gt": "yesterday"}}},
        {"filter": {"created_at": {"gt": 7}}},
        {"order_by": "a,b,c,d,e,f"},
        {"page_size": 0},
        {"offset": -1},
        {"offset": 1_001},
        {"page_token": "nonsense"},
        {"page_token": "bnVsbA"},
    ],
    ids=str,
)
def test_what_cannot_be_searched_for_is_refused(cloud: CloudWorld, body: dict[str, Any]) -> None:
    keep(cloud, {"x": 1})
    ask(cloud, "search", 422, **body)


@pytest.mark.parametrize("values", [[{"a": 1}], ["text"], [10**30], [None]], ids=str)
def test_a_forged_token_is_refused(cloud: CloudWorld, values: list[Any]) -> None:
    import base64

    for number in range(3):
        keep(cloud, {"x": number})
    token = ask(cloud, "search", page_size=1)["next_page_token"]
    stamp = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))[0]
    for position in ([*values, 1], [1.0, *values]):
        forged = base64.urlsafe_b64encode(json.dumps([stamp, *position]).encode()).decode().rstrip("=")
        answer = cloud.http.post(f"{URL}/:search", json={"deployment_name": "agent", "page_token": forged})
        assert answer.status_code in (200, 422), answer.text


def test_the_order_of_groups_names_their_fields(cloud: CloudWorld) -> None:
    found = ask(cloud, "aggregate", 422, group_by=["a"], order_by="b")
    assert "'a', 'count'" in found["detail"]


@pytest.mark.parametrize("item_id", ["nonsense", ":search", "x" * 500, "%00", "11111111-2222-4333-8444-555555555555"])
def test_an_unknown_id_is_not_found(cloud: CloudWorld, item_id: str) -> None:
    assert cloud.http.get(f"{URL}/{item_id}").status_code == 404
