"""Finding, searching and reading the files of an index."""

import re
import threading
import time
from dataclasses import replace
from typing import Any

import anyio
import pytest
from anyio import CapacityLimiter

from rag.errors import OverloadedError, RagError, SlowPatternError
from server.llamacloud.engine import PATTERN_THREADS, CloudEngine
from server.llamacloud.services.file_tools import FileTools, GrepWanted
from tests.cloud.conftest import CloudWorld
from tests.cloud.filled import FilledIndex, filled_index

WIDE = "Zürich 🐦 hat Möwen.\nLugano hat Möwen und Reiher.\n\nBasel: 12 Reiher, 3 Möwen 🐦🐦.\n"


@pytest.fixture
def index(cloud: CloudWorld) -> FilledIndex:
    return filled_index(cloud, {"wide.txt": WIDE, "Report 2024.txt": "Herons.", "report 2023.txt": "Cranes."})


@pytest.fixture
def wide(index: FilledIndex) -> str:
    (found,) = index.tool("search", file_name="wide.txt")["files"]
    return str(found["file_id"])


def refused(index: FilledIndex, tool: str, **body: Any) -> Any:
    answer = index.cloud.http.post(f"/api/v1/retrieval/files/{tool}", json={"index_id": index.id, **body})
    assert answer.status_code == 422, answer.text
    return answer.json()["detail"]


# -- names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ["Report 2024.txt", "report 2023.txt", "wide.txt"]),
        ({"file_name": "wide.txt"}, ["wide.txt"]),
        ({"file_name": "WIDE.txt"}, []),
        ({"file_name_contains": "REPORT"}, ["Report 2024.txt", "report 2023.txt"]),
        ({"file_name": "wide.txt", "file_name_contains": "report"}, []),
        ({"limit": 2}, ["Report 2024.txt", "report 2023.txt"]),
        ({"file_name_contains": "%"}, []),
    ],
)
def test_files_are_found_by_name(index: FilledIndex, body: dict[str, Any], expected: list[str]) -> None:
    assert [each["file_name"] for each in index.tool("search", **body)["files"]] == expected
    if "limit" not in body:
        assert [each["file_name"] for each in index.tool("find", **body)["items"]] == expected


def test_find_walks_through_all_files_page_by_page(index: FilledIndex) -> None:
    names, token = [], None
    for _ in range(10):
        page = index.tool("find", page_size=1, page_token=token)
        assert page["total_size"] == 3
        names += [each["file_name"] for each in page["items"]]
        token = page["next_page_token"]
        if token is None:
            break
    assert names == ["Report 2024.txt", "report 2023.txt", "wide.txt"]


def test_a_page_token_of_another_query_is_refused(index: FilledIndex) -> None:
    token = index.tool("find", page_size=1)["next_page_token"]
    assert "page_token" in refused(index, "find", page_size=1, page_token=token, file_name_contains="r")
    assert "page_token" in refused(index, "find", page_token="nonsense")


# -- grep ---------------------------------------------------------------------------------------------------


def spans(index: FilledIndex, file_id: str, pattern: str, **body: Any) -> list[tuple[int, int]]:
    answer = index.tool("grep", file_id=file_id, pattern=pattern, **body)
    assert answer["matches"] == answer["items"]
    return [(each["start_char"], each["end_char"]) for each in answer["matches"]]


@pytest.mark.parametrize(
    "pattern",
    [
        "Möwen",
        "(?i)MÖWEN",
        "Reiher|🐦",
        r"\d+ \w+",
        "^L.*$",
        "^",
        "$",
        "x*",
        "🐦",
        "[^a-z]+",
        r"\bhat\b",
        "ü|ö",
        "",
        "a|b",
    ],
)
def test_matches_are_where_another_engine_finds_them(index: FilledIndex, wide: str, pattern: str) -> None:
    if not pattern:
        refused(index, "grep", file_id=wide, pattern=pattern)
        return
    text = index.tool("read", file_id=wide)["content"]
    found = spans(index, wide, pattern)
    # RE2 knows letters of ASCII only as \w, \d and \b.
    ascii_only = pattern.replace(r"\w", "[a-zA-Z0-9_]")
    expected = [match.span() for match in re.finditer(ascii_only, text, re.MULTILINE)]
    starts = {start for start, end in expected if start < end}
    ends = {end for start, end in expected if start < end}
    # An empty match right behind another one is none here.
    assert found == [(start, end) for start, end in expected if start < end or (start not in ends or start in starts)]


def test_content_is_the_match_with_its_context_clipped_to_the_text(index: FilledIndex, wide: str) -> None:
    text = index.tool("read", file_id=wide)["content"]
    for context in (0, 5, 10_000):
        for each in index.tool("grep", file_id=wide, pattern="Reiher", context_chars=context)["matches"]:
            start, end = each["start_char"], each["end_char"]
            assert text[start:end] == "Reiher"
            assert each["content"] == text[max(0, start - context) : end + context]


@pytest.mark.parametrize("pattern", [r"\w", "a*", "^|Möwen"])
def test_matches_are_told_page_by_page(index: FilledIndex, wide: str, pattern: str) -> None:
    everything = spans(index, wide, pattern)
    found, token, totals = [], None, []
    for _ in range(100):
        page = index.tool("grep", file_id=wide, pattern=pattern, page_size=3, page_token=token)
        found += [(each["start_char"], each["end_char"]) for each in page["items"]]
        totals.append(page["total_size"])
        token = page["next_page_token"]
        if token is None:
            break
    assert found == everything
    assert totals[-1] == len(everything)
    assert set(totals[:-1]) <= {None}
    assert len(totals) == -(-len(everything) // 3)


def test_the_limit_is_kept(index: FilledIndex, wide: str) -> None:
    assert spans(index, wide, "Möwen", limit=1) == spans(index, wide, "Möwen")[:1]
    assert len(index.tool("grep", file_id=wide, pattern="Möwen", limit=1, page_size=3)["matches"]) == 1


@pytest.mark.parametrize(
    "pattern", ["(", "a{2,1}", "(?P<x", r"(a)\1", "(?=a)", "[z-a]", "a" * 1001, "((a{900}){900}){900}"]
)
def test_what_is_no_pattern_of_this_engine_is_refused(index: FilledIndex, wide: str, pattern: str) -> None:
    assert "pattern" in refused(index, "grep", file_id=wide, pattern=pattern)


@pytest.mark.parametrize("body", [{"context_chars": -1}, {"context_chars": 10_001}, {"limit": 0}, {"page_size": 0}])
def test_numbers_that_cannot_be_are_refused(index: FilledIndex, wide: str, body: dict[str, Any]) -> None:
    refused(index, "grep", file_id=wide, pattern="a", **body)


def test_a_catastrophic_pattern_is_answered_at_once(cloud: CloudWorld) -> None:
    index = filled_index(cloud)
    file_id = index.put("a.txt", "a" * 200_000 + " end. " * 20)
    started = time.perf_counter()
    assert spans(index, file_id, "(a+)+$") == []
    assert spans(index, file_id, "(a|a)*b") == []
    assert time.perf_counter() - started < 5


SLOW = {"pattern": "(([ab]{0,30}){0,30}){0,1}!", "limit": 1}


def test_a_pattern_that_takes_too_long_says_so_and_is_not_to_be_tried_again(
    cloud: CloudWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    from server.llamacloud.services import file_tools

    monkeypatch.setattr(file_tools, "PATTERN_SHARE", 0.001)
    index = filled_index(cloud)
    file_id = index.put("a.txt", "a" * 60_000)
    body = {"index_id": index.id, "file_id": file_id, **SLOW}
    answer = cloud.http.post("/api/v1/retrieval/files/grep", json=body)
    assert answer.status_code == 422, answer.text
    assert "takes too long on this file" in answer.json()["detail"]
    assert answer.headers["x-should-retry"] == "false"


def test_patterns_that_nobody_waits_for_keep_their_own_few_threads_and_give_them_back(
    cloud: CloudWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = filled_index(cloud, {"a.txt": "Herons at the lake."})
    (found,) = index.tool("search")["files"]
    hurried = cloud.settings.model_copy(update={"query_deadline_s": 0.3})
    monkeypatch.setattr("server.llamacloud.engine.CloudEngine.settings", hurried)
    engine: CloudEngine = cloud.http.app.state.cloud  # type: ignore[attr-defined]
    service = FileTools(replace(engine, pattern_slots=CapacityLimiter(PATTERN_THREADS)))
    wanted = GrepWanted(found["file_id"], "lake")
    begun, resume = [], threading.Event()
    ordinary = FileTools._grepped

    def stall(*given: Any) -> Any:
        begun.append(1)
        resume.wait(20)
        return ordinary(*given)

    async def scenario() -> int:
        errors: list[type[RagError]] = []

        async def ask() -> None:
            with pytest.raises(RagError) as caught:
                await service.grep(index.collection, wanted)
            errors.append(caught.type)

        async with anyio.create_task_group() as group:
            for _ in range(60):
                group.start_soon(ask)
        assert errors.count(SlowPatternError) == len(begun) == PATTERN_THREADS
        assert errors.count(OverloadedError) == 60 - PATTERN_THREADS
        resume.set()
        await anyio.sleep(0.1)
        return len((await service.grep(index.collection, wanted)).items)

    monkeypatch.setattr(FileTools, "_grepped", stall)
    try:
        assert anyio.run(scenario) == 1
    finally:
        resume.set()


def test_a_forged_page_token_is_refused(index: FilledIndex, wide: str) -> None:
    from state.cloud.paging import make_token

    token = index.tool("grep", file_id=wide, pattern=r"\w", page_size=1)["next_page_token"]
    refused(index, "grep", file_id=wide, pattern="other", page_token=token)
    refused(index, "grep", file_id=wide, pattern=r"\w", context_chars=3, page_token=token)
    refused(index, "grep", file_id=wide, pattern=r"\w", page_token=make_token((2, 1, False), {}))


# -- read ---------------------------------------------------------------------------------------------------


def test_a_text_is_read_whole_or_in_part(index: FilledIndex, wide: str) -> None:
    whole = index.tool("read", file_id=wide)["content"]
    assert whole.strip() == WIDE.strip()
    assert index.tool("read", file_id=wide, offset=7, max_length=1)["content"] == "🐦"
    assert index.tool("read", file_id=wide, offset=len(whole) - 3)["content"] == whole[-3:]
    assert index.tool("read", file_id=wide, offset=10**9)["content"] == ""
    assert index.tool("read", file_id=wide, max_length=0)["content"] == ""


@pytest.mark.parametrize("body", [{"offset": -1}, {"max_length": -1}])
def test_negative_numbers_are_refused(index: FilledIndex, wide: str, body: dict[str, Any]) -> None:
    refused(index, "read", file_id=wide, **body)


def test_a_file_is_known_by_the_uploaded_file_behind_it_too(index: FilledIndex, wide: str) -> None:
    from dataclasses import replace

    member = next(each for each in index.members.all(index.collection) if each.id == wide)
    index.members.update(index.collection, [replace(member, file_id="the-upload")])
    by_file = index.tool("read", file_id="the-upload")
    assert by_file == index.tool("read", file_id=wide)


@pytest.mark.parametrize("tool", ["read", "grep"])
def test_a_file_of_another_index_is_not_found(index: FilledIndex, wide: str, tool: str) -> None:
    other = filled_index(index.cloud)
    for index_id, file_id in ((other.id, wide), (index.id, "dfl-unknown")):
        body = {"index_id": index_id, "file_id": file_id, "pattern": "a"}
        answer = index.cloud.http.post(f"/api/v1/retrieval/files/{tool}", json=body)
        assert answer.status_code == 404
        assert file_id in answer.json()["detail"]


def test_a_file_that_could_not_be_read_says_so(index: FilledIndex) -> None:
    file_id = index.put("empty.pdf", b"%PDF-1.4 nothing in here")
    body = {"index_id": index.id, "file_id": file_id}
    answer = index.cloud.http.post("/api/v1/retrieval/files/read", json=body)
    assert answer.status_code == 404
    assert "no parsed text" in answer.json()["detail"]
