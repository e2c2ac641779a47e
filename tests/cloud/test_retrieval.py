"""Retrieval from an index: weights, filters, thresholds, offsets and pages."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rag.retrievers.base import Query
from state.cloud.ids import DEFAULT_PROJECT_ID
from state.cloud.members import Collection, Member, Members
from state.cloud.objects import CloudObjects
from state.cloud.projects import CloudProjects
from tests.cloud.conftest import CloudWorld
from tests.cloud.filled import FilledIndex, files_of, filled_index
from tests.fixtures.fake_reranker import FakeReranker, fake_reranker
from tests.fixtures.make_pdfs import compound, report

OTHER_PROJECT = "11111111-2222-4333-8444-555555555555"
BIRDS = "Herons hunt fish at dawn. Herons nest in tall trees. Cranes dance in the marsh."
PRICES = "# Prices\n\nThe price of apples is 4 euros per kilo.\n\n# Codes\n\nThe part is called ZX4471Q here."


@pytest.fixture
def index(cloud: CloudWorld) -> FilledIndex:
    return filled_index(cloud, {"birds.txt": BIRDS, "prices.md": PRICES})


def test_each_result_is_exactly_what_reading_its_offsets_gives(index: FilledIndex) -> None:
    index.put("wide.txt", "Äpfel 🍎 kosten viel. " * 40 + "Zuletzt: Überschuss 🐦.")
    results = index.ask("Äpfel und Überschuss", top_k=50)
    assert "wide.txt" in files_of(results)
    for each in results:
        place = each["static_fields"]
        length = place["chunk_end_char"] - place["chunk_start_char"]
        read = index.tool(
            "read", file_id=place["parsed_directory_file_id"], offset=place["chunk_start_char"], max_length=length
        )
        assert read["content"] == each["content"]
        assert place["chunk_token_count"] > 0


def test_chunks_of_a_file_are_numbered_from_zero_without_gaps(index: FilledIndex) -> None:
    index.put("long.txt", "Otters swim in the river every day. " * 60)
    numbers = [
        each["static_fields"]["chunk_index"]
        for each in index.ask("otters", top_k=500)
        if each["static_fields"]["file_name"] == "long.txt"
    ]
    assert len(numbers) > 5
    assert sorted(numbers) == list(range(len(numbers)))


def test_words_alone_find_a_rare_code_and_nothing_that_lacks_every_word(index: FilledIndex) -> None:
    found = index.ask("ZX4471Q", vector_pipeline_weight=0, full_text_pipeline_weight=1)
    assert [each["static_fields"]["file_name"] for each in found] == ["prices.md"]
    assert "ZX4471Q" in found[0]["content"]


@pytest.mark.parametrize("query", ["well-known", "well known", "Well-Known"])
def test_a_compound_that_a_line_end_divides_is_found_in_either_spelling(
    index: FilledIndex, tmp_path: Path, query: str
) -> None:
    index.put("lamp.pdf", compound(tmp_path / "lamp.pdf").read_bytes())
    found = index.ask(query, vector_pipeline_weight=0, full_text_pipeline_weight=1)
    assert [each["static_fields"]["file_name"] for each in found] == ["lamp.pdf"]
    assert "is well-known to every pilot" in found[0]["content"]


def test_meaning_alone_ranks_by_the_embedding(index: FilledIndex) -> None:
    cloud = index.cloud
    found = index.ask("herons fish", vector_pipeline_weight=1, full_text_pipeline_weight=0, top_k=50)
    config = CloudProjects(cloud.projects).load(DEFAULT_PROJECT_ID)
    database = config.database(index.collection.database)
    vector = cloud.assembly.embedder(database).embed_query("herons fish")
    store = cloud.assembly.store("llamacloud", DEFAULT_PROJECT_ID, database)
    hits = store.search_vector(vector, limit=50, where=Query("").where)
    assert [each["content"] for each in found] == [hit.text for hit in hits]
    assert [each["score"] for each in found] == pytest.approx([hit.score for hit in hits])


def test_the_weights_move_the_order(cloud: CloudWorld) -> None:
    texts = [f"{'zebra ' * count}{'apples and pears and plums ' * (7 * count % 5)}" for count in range(1, 6)]
    index = filled_index(cloud, {f"{number}.txt": text for number, text in enumerate(texts)})

    def scores(weight: float) -> dict[str, float]:
        weights = {"vector_pipeline_weight": weight, "full_text_pipeline_weight": 1 - weight}
        results = index.ask("zebra plums", top_k=50, **weights)
        return {each["static_fields"]["file_name"]: each["score"] for each in results}

    words, meaning = scores(0.1), scores(0.9)
    assert words.keys() == meaning.keys()
    assert list(words) != list(meaning)


@pytest.mark.parametrize(
    "weights",
    [
        {"vector_pipeline_weight": 0, "full_text_pipeline_weight": 0},
        {"vector_pipeline_weight": 1.1},
        {"full_text_pipeline_weight": -0.1},
    ],
    ids=["both-zero", "above-one", "below-zero"],
)
def test_weights_that_cannot_be_are_refused(index: FilledIndex, weights: dict[str, float]) -> None:
    answer = index.cloud.http.post(
        "/api/v1/retrieval/retrieve", json={"index_id": index.id, "query": "herons", **weights}
    )
    assert answer.status_code == 422
    assert answer.json()["detail"]


@pytest.mark.parametrize("body", [{"top_k": 0}, {"query": "  "}, {"num_candidates": 0}, {"rerank": {"top_n": 0}}])
def test_numbers_and_questions_that_cannot_be_are_refused(index: FilledIndex, body: dict[str, Any]) -> None:
    asked = {"index_id": index.id, "query": "herons", **body}
    assert index.cloud.http.post("/api/v1/retrieval/retrieve", json=asked).status_code == 422


def test_top_k_and_top_n_bound_the_results(index: FilledIndex) -> None:
    assert len(index.ask("herons price", top_k=1)) == 1
    assert len(index.ask("herons price", top_k=5, rerank={"enabled": True, "top_n": 1})) == 1
    assert len(index.ask("herons price", top_k=5, rerank={"enabled": False, "top_n": 1})) > 1
    assert index.ask("herons price", top_k=10_000)


def test_scores_below_the_threshold_are_left_out(index: FilledIndex) -> None:
    everything = index.ask("price of apples", top_k=50)
    middle = sorted(each["score"] for each in everything)[1]
    kept = index.ask("price of apples", top_k=50, score_threshold=middle)
    assert kept == [each for each in everything if each["score"] >= middle]
    assert len(kept) < len(everything)
    assert index.ask("price of apples", score_threshold=2) == []


def test_candidates_bound_what_is_fused(index: FilledIndex) -> None:
    index.put_all({f"more{number}.txt": f"Herons of kind {number} live at lake {number}." for number in range(8)})
    few = index.ask("herons at the lake", top_k=2, num_candidates=2)
    many = index.ask("herons at the lake", top_k=2, num_candidates=500)
    assert len(few) == len(many) == 2
    assert [each["score"] for each in few] != [each["score"] for each in many]


def test_without_a_reranker_nothing_claims_a_rerank_score(index: FilledIndex) -> None:
    assert all(each["rerank_score"] is None for each in index.ask("herons", rerank={"enabled": True}))


@pytest.fixture
def reranker(cloud: CloudWorld) -> Iterator[FakeReranker]:
    """A server that the project's strategy reranks with."""
    with fake_reranker() as server:

        def change(raw: dict[str, Any]) -> None:
            raw["runtime"]["models"].append(
                {"name": "order", "provider": "openai", "model": "m", "base_url": f"{server.url}/v1"}
            )
            strategy = raw["rag"]["components"]["retrieval_strategies"][0]
            strategy["config"]["reranker"] = {"type": "remote", "model_name": "order"}

        projects = CloudProjects(cloud.projects)
        projects.ensure(DEFAULT_PROJECT_ID)
        projects.store.edit("llamacloud", DEFAULT_PROJECT_ID, change)
        yield server


def test_a_configured_reranker_orders_and_says_so_unless_switched_off(
    reranker: FakeReranker, index: FilledIndex
) -> None:
    plain = index.ask("price of apples", top_k=50, rerank={"enabled": False})
    assert not reranker.requests
    assert all(each["rerank_score"] is None for each in plain)
    reranked = index.ask("price of apples", top_k=50)
    scores = [each["rerank_score"] for each in reranked]
    assert len(reranker.requests) == 1
    assert None not in scores
    assert scores == sorted(scores, reverse=True)
    by_content = {each["content"]: each["score"] for each in plain}
    assert {each["content"]: each["score"] for each in reranked} == pytest.approx(by_content)
    assert scores != [each["score"] for each in reranked]


def test_a_reranker_that_fails_is_left_out(reranker: FakeReranker, index: FilledIndex) -> None:
    reranker.answer = (500, {"detail": "out of memory"})
    results = index.ask("price of apples")
    assert results
    assert all(each["rerank_score"] is None for each in results)


def test_pages_are_told_from_one_on(cloud: CloudWorld, tmp_path: Path) -> None:
    index = filled_index(cloud)
    index.put("report.pdf", report(tmp_path / "report.pdf", page_count=3).read_bytes())
    found = index.ask("order that came in to the harbour", top_k=50)
    pages = {(each["static_fields"]["page_range_start"], each["static_fields"]["page_range_end"]) for each in found}
    assert min(pages)[0] == 1
    assert max(pages)[1] == 3
    for each in found:
        place = each["static_fields"]
        assert 1 <= place["page_range_start"] <= place["page_range_end"] <= 3
        if "ZX-4484-Q" in each["content"]:
            assert place["page_range_start"] <= 2 <= place["page_range_end"]


# -- filters ------------------------------------------------------------------------------------------------


@pytest.fixture
def tagged(cloud: CloudWorld) -> FilledIndex:
    index = filled_index(cloud)
    text = "Herons hunt fish. Note {}."
    index.put("a.txt", text.format("a"), {"year": 2023, "tags": ["wet", "big"], "code": "1", "ok": True})
    index.put("b.txt", text.format("b"), {"year": 2024, "tags": ["dry"], "code": 1})
    index.put("c.txt", text.format("c"), {"year": 2025.5, "lang": "de"})
    index.put("d.txt", text.format("d"), {})
    return index


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"year": {"operator": "eq", "value": 2024}}, "b"),
        ({"year": {"operator": "ne", "value": 2024}}, "acd"),
        ({"year": {"operator": "gte", "value": 2024}}, "bc"),
        ({"year": {"operator": "gt", "value": "2024"}}, ""),
        ({"year": [{"operator": "gt", "value": 2023}, {"operator": "lt", "value": 2025}]}, "b"),
        ({"tags": {"operator": "eq", "value": "wet"}}, "a"),
        ({"tags": {"operator": "in", "value": ["dry", "big"]}}, "ab"),
        ({"tags": {"operator": "nin", "value": ["dry"]}}, "acd"),
        ({"code": {"operator": "eq", "value": "1"}}, "a"),
        ({"code": {"operator": "eq", "value": 1}}, "b"),
        ({"ok": {"operator": "eq", "value": True}}, "a"),
        ({"ok": {"operator": "eq", "value": 1}}, ""),
        ({"lang": {"operator": "nin", "value": ["de"]}}, "abd"),
        ({"lang": None}, "abcd"),
        ({"lang": {"operator": "eq", "value": "de"}, "year": {"operator": "gt", "value": 2025}}, "c"),
        ({"nothing": {"operator": "lte", "value": 5}}, ""),
    ],
)
def test_custom_filters_are_about_the_metadata_of_files(
    tagged: FilledIndex, filters: dict[str, Any], expected: str
) -> None:
    found = tagged.ask("herons", top_k=50, custom_filters=filters)
    assert sorted(name[0] for name in files_of(found)) == list(expected)


def test_filters_are_applied_before_top_k(tagged: FilledIndex) -> None:
    better = {f"n{number}.txt": f"Herons herons herons hunt fish {number}." for number in range(30)}
    tagged.put_all(better, {"year": 1990})
    found = tagged.ask("herons", top_k=2, custom_filters={"year": {"operator": "eq", "value": 2025.5}})
    assert files_of(found) == ["c.txt"]


def test_metadata_comes_back_as_it_was_given(tagged: FilledIndex) -> None:
    (found,) = tagged.ask("herons", custom_filters={"ok": {"operator": "eq", "value": True}})
    assert found["metadata"] == {"year": 2023, "tags": ["wet", "big"], "code": "1", "ok": True}


def test_changed_metadata_counts_at_once(tagged: FilledIndex) -> None:
    wanted = {"custom_filters": {"lang": {"operator": "eq", "value": "fr"}}}
    assert tagged.ask("herons", **wanted) == []
    member = next(each for each in tagged.members.all(tagged.collection) if each.name == "d.txt")
    tagged.members.update(tagged.collection, [replace(member, metadata={"lang": "fr"})])
    assert files_of(tagged.ask("herons", **wanted)) == ["d.txt"]


def test_static_filters_are_about_the_file(tagged: FilledIndex) -> None:
    ids = {each["file_name"]: each["file_id"] for each in tagged.tool("search")["files"]}

    def names(operator: str, value: Any) -> list[str]:
        condition = {"parsed_directory_file_id": {"operator": operator, "value": value}}
        return sorted(files_of(tagged.ask("herons", top_k=50, static_filters=condition)))

    assert names("eq", ids["b.txt"]) == ["b.txt"]
    assert names("in", [ids["a.txt"], ids["c.txt"]]) == ["a.txt", "c.txt"]
    assert names("ne", ids["b.txt"]) == ["a.txt", "c.txt", "d.txt"]
    assert names("eq", "dfl-unknown") == []


@pytest.mark.parametrize(
    "filters",
    [
        {"year": {"operator": "in", "value": 2024}},
        {"year": {"operator": "eq", "value": [2024]}},
        {"year": {"operator": "like", "value": 2024}},
        {"year": {"value": 2024}},
        {"year": [{"operator": "eq", "value": "2024"}]},
        {"year": {"operator": "gt", "value": True}},
        {"year": {"operator": "eq", "value": {"a": 1}}},
        "year",
    ],
)
def test_filters_that_say_nothing_are_refused(tagged: FilledIndex, filters: Any) -> None:
    body = {"index_id": tagged.id, "query": "herons", "custom_filters": filters}
    answer = tagged.cloud.http.post("/api/v1/retrieval/retrieve", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"static_filters": {"file_id": {"operator": "eq", "value": "x"}}}, "Known: parsed_directory_file_id"),
        ({"filters": {"year": {"operator": "eq", "value": 2026}}}, "filters are sent as custom_filters"),
        ({"custom_filters": {"year": 2026}}, "custom_filters.year: expected {'operator': 'eq', 'value': 2026}"),
    ],
    ids=["unknown static field", "other name", "bare value"],
)
def test_a_filter_that_is_written_otherwise_is_refused_with_the_right_way(
    tagged: FilledIndex, body: dict[str, Any], said: str
) -> None:
    request = {"index_id": tagged.id, "query": "herons", **body}
    answer = tagged.cloud.http.post("/api/v1/retrieval/retrieve", json=request)
    assert answer.status_code == 422
    assert said in answer.json()["message"]


def test_numbers_above_the_limits_are_brought_down(tagged: FilledIndex) -> None:
    assert tagged.ask("herons", top_k=501, num_candidates=10**9) == tagged.ask("herons", top_k=500, num_candidates=5000)


def test_a_content_that_several_files_share_is_told_once_for_the_oldest_that_passes(cloud: CloudWorld) -> None:
    index = filled_index(cloud)
    first = index.put("one.txt", BIRDS, {"team": "red"})
    second = index.put("two.txt", BIRDS, {"team": "blue"})

    def ids(**body: Any) -> set[str]:
        results = index.ask("herons", top_k=50, **body)
        assert len({each["static_fields"]["chunk_index"] for each in results}) == len(results)
        return {each["static_fields"]["parsed_directory_file_id"] for each in results}

    assert ids() == {first}
    assert ids(custom_filters={"team": {"operator": "eq", "value": "blue"}}) == {second}
    assert ids(custom_filters={"team": {"operator": "in", "value": ["red", "blue"]}}) == {first}


def test_files_that_left_the_index_do_not_take_the_place_of_others(cloud: CloudWorld) -> None:
    index = filled_index(cloud)
    gone = index.put_all({f"gone{number}.txt": f"Herons herons herons {number}." for number in range(4)})
    index.put("stays.txt", "One line on herons among many other words that dilute it.")
    index.members.update(index.collection, remove=gone)
    assert files_of(index.ask("herons", top_k=2)) == ["stays.txt"]


# -- ids ----------------------------------------------------------------------------------------------------


def test_an_index_that_nothing_was_put_in_gives_no_results(cloud: CloudWorld) -> None:
    assert filled_index(cloud).ask("herons") == []


ROUTES: list[tuple[str, dict[str, Any]]] = [
    ("retrieve", {"query": "herons"}),
    ("files/search", {}),
    ("files/find", {}),
    ("files/grep", {"file_id": "x", "pattern": "a"}),
    ("files/read", {"file_id": "x"}),
]


@pytest.mark.parametrize(("route", "body"), ROUTES)
def test_an_unknown_index_is_not_found(cloud: CloudWorld, route: str, body: dict[str, Any]) -> None:
    for index_id in ("idx-unknown", "../..", "x" * 300):
        answer = cloud.http.post(f"/api/v1/retrieval/{route}", json={"index_id": index_id, **body})
        assert answer.status_code == 404, answer.text


@pytest.mark.parametrize(("route", "body"), ROUTES)
def test_an_index_of_another_project_is_not_found(cloud: CloudWorld, route: str, body: dict[str, Any]) -> None:
    theirs = filled_index(cloud, {"birds.txt": BIRDS}, project_id=OTHER_PROJECT)
    query = {"project_id": DEFAULT_PROJECT_ID}
    answer = cloud.http.post(f"/api/v1/retrieval/{route}", params=query, json={"index_id": theirs.id, **body})
    assert answer.status_code == 404
    without = cloud.http.post(f"/api/v1/retrieval/{route}", json={"index_id": theirs.id, **body})
    assert without.status_code == (404 if "file_id" in body else 200)


def test_fields_that_are_not_known_are_ignored(index: FilledIndex) -> None:
    assert index.ask("herons", something_new={"a": 1}, custom_filters=None, rerank=None)


# -- attachments --------------------------------------------------------------------------------------------


def test_no_attachments_are_kept(cloud: CloudWorld) -> None:
    file_id = cloud.upload("birds.txt", BIRDS)
    listed = cloud.http.get("/api/v1/beta/attachments", params={"source_id": file_id})
    assert listed.status_code == 200
    assert listed.json()["items"] == []
    one = cloud.http.get("/api/v1/beta/attachments/screenshots/page_1.jpg", params={"source_id": file_id})
    assert one.status_code == 404
    assert "page_1.jpg" in one.json()["detail"]
    unknown = cloud.http.get("/api/v1/beta/attachments", params={"source_id": "nothing"})
    assert unknown.status_code == 404


def test_a_filter_sees_a_change_although_the_clock_went_back(index: FilledIndex) -> None:
    recent = {"custom_filters": {"year": {"operator": "gte", "value": 2020}}}
    assert index.ask("herons", **recent) == []
    birds = next(each for each in index.members.all(index.collection) if each.name == "birds.txt")
    late = CloudObjects(index.cloud.database, clock=lambda: birds.updated_at - 60)
    Members(late).update(index.collection, [replace(birds, metadata={"year": 2025})])
    assert set(files_of(index.ask("herons", **recent))) == {"birds.txt"}


def test_all_members_are_read_only_once_nobody_changes_them_any_more(
    index: FilledIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    every = Members.all

    def counted(members: Members, collection: Collection) -> list[Member]:
        read.append(collection.id)
        return every(members, collection)

    monkeypatch.setattr(Members, "all", counted)
    first = index.ask("price of apples", top_k=3)
    for number in range(3):
        index.members.update(index.collection, put=[Member(f"dfl-{number}", f"{number:064x}", "new.txt")])
        assert index.ask("price of apples", top_k=3) == first
    assert read == []
    assert [index.ask("price of apples", top_k=3) for _ in range(3)] == [first] * 3
    assert read == [index.collection.id]
