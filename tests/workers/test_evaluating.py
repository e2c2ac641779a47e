"""An evaluation from its task to its report: real stages, stores and texts; what is interrupted is seen in the end."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from config.project import ProjectConfig
from rag.errors import OverloadedError, UpstreamError
from state.tables import EvaluationRow, TaskRow
from tests.workers.world import PLACE, Crash, World, assert_invariants, project_yaml

MakeWorld = Callable[[], World]

GARDEN = "# Garden\n\nTomatoes need sun and water every morning.\n\n# Pests\n\nSlugs are kept away by copper tape.\n"
KITCHEN = "# Oven\n\nThe deck oven is lit at four.\n\n# Dough\n\nSourdough rests for eighteen hours in the cold.\n"
LONG = "The old garden committee decides every spring which benches are painted green and where people sit down."
QUESTIONS = [
    {"question": "how long does sourdough rest", "expected_files": ["kitchen.md"], "expected_passages": [
        "Sourdough rests for eighteen hours"]},
    {"question": "copper tape slugs", "expected_files": ["garden.md"]},
]  # fmt: skip


def start(world: World, **request: Any) -> str:
    wanted = {"questions": QUESTIONS, "synthetic": None, "strategies": [], "chunkings": [], "k": [1, 3], **request}
    return world.dispatcher.start_evaluation(
        namespace=PLACE[0], project=PLACE[1], database="main", config=world.config, request=wanted
    )


def evaluate(world: World, **request: Any) -> dict[str, Any]:
    task_id = start(world, **request)
    world.settle()
    return world.status(task_id)


@pytest.fixture
def garden(make_world: MakeWorld) -> World:
    world = make_world()
    world.upload("garden.md", GARDEN)
    world.upload("kitchen.md", KITCHEN)
    world.process()
    return world


def test_every_strategy_is_measured_and_one_is_recommended(garden: World) -> None:
    done = evaluate(garden)
    assert (done["state"], done["error"]) == ("SUCCESS", None)
    report = done["result"]
    assert [each["strategy"] for each in report["configurations"]] == ["semantic", "keyword", "hybrid", "mmr"]
    keyword = report["configurations"][1]
    assert keyword["metrics"]["hit@1"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
    assert keyword["chunking"] == "current"
    assert keyword["latency_ms"]["p95"] >= keyword["latency_ms"]["p50"] > 0
    assert report["recommendation"]["is_change"] is False, "two questions prove nothing"
    assert any("2 questions tell little" in each for each in report["warnings"])
    assert_invariants(garden)


def test_chunkings_are_compared_without_a_trace_in_the_database(garden: World) -> None:
    before = garden.stored()
    report = evaluate(garden, strategies=["keyword"], chunkings=["sentences:60:0", "headings:400"])["result"]
    counts = {each["chunking"]: each["chunk_count"] for each in report["configurations"]}
    assert set(counts) == {"current", "sentences:60:0", "headings:400"}
    assert counts["sentences:60:0"] > counts["headings:400"]
    assert {each["chunking"] for each in report["configurations"] if each["is_temporary"]} == set(counts) - {"current"}
    assert all(
        each["metrics"]["hit@1"]["mean"] == 1.0 for each in report["configurations"] if each["strategy"] == "keyword"
    )
    assert garden.stored() == before
    assert_invariants(garden)


@pytest.mark.parametrize("cut", ["semantic:200", "parent_child", "rows", "code:80", "tokens:40:5", "pages", "auto:120"])
def test_every_kind_of_chunker_can_be_tried(garden: World, cut: str) -> None:
    report = evaluate(garden, strategies=["keyword"], chunkings=[cut])["result"]
    anew = [each for each in report["configurations"] if each["chunking"] == cut]
    assert [each["error"] for each in anew] == [None, None]
    assert anew[0]["chunk_count"] >= 2
    assert anew[1]["metrics"]["recall@3"]["mean"] == 1.0


def test_chunks_that_are_there_already_are_not_embedded_again(garden: World) -> None:
    texts = garden.count_embedded()
    evaluate(garden, strategies=["keyword"], chunkings=["plain"])
    assert set(texts) == {each["question"] for each in QUESTIONS}, "only what is asked"


def test_sentences_of_the_files_make_questions_without_a_model(make_world: MakeWorld) -> None:
    world = make_world()
    for name in ("alpha", "bravo", "carol"):
        text = f"The {name} committee decides every spring which garden benches are painted green and where they stand."
        world.upload(
            f"{name}.txt", f"{text} Visitors of {name} leave their muddy boots beside the wooden entrance door."
        )
    world.process()
    report = evaluate(world, questions=None, synthetic={"count": 4, "seed": 1, "model": None})["result"]
    assert (report["question_source"], report["question_count"]) == ("sentences", 4)
    assert any("flatter searching by words" in each for each in report["warnings"])
    assert report["recommendation"]["strategy"] != "keyword"


def test_a_model_of_the_project_writes_the_questions(garden: World) -> None:
    asked: list[str] = []

    def ask(_: Any, name: str, instruction: str, question: str, *, timeout_s: float) -> str:
        asked.append(name)
        return f"What is said in text number {len(asked)}?"

    garden.upload("long.txt", f"{LONG} {LONG.replace('garden', 'kitchen')}")
    garden.process()
    garden.patches.setattr("config.models.ProjectModels.ask", ask)
    report = evaluate(garden, questions=None, synthetic={"count": 2, "seed": 0, "model": "default"})["result"]
    assert (report["question_source"], report["question_count"]) == ("model", 2)
    assert set(asked) == {"default"}


def test_a_model_that_stays_away_ends_the_evaluation_with_its_reason(garden: World) -> None:
    def ask(*_: Any, **__: Any) -> str:
        raise UpstreamError("connection refused")

    garden.upload(
        "long.txt", "\n\n".join(LONG.replace("garden", word) for word in ("wooden", "iron", "stone", "glass"))
    )
    garden.process()
    garden.patches.setattr("config.models.ProjectModels.ask", ask)
    status = evaluate(garden, questions=None, synthetic={"count": 4, "seed": 0, "model": "default"})
    assert status["state"] == "FAILURE"
    assert status["error"] == "model 'default' could not write the questions: connection refused"


def test_files_without_sentences_give_a_reason_instead_of_a_report(make_world: MakeWorld) -> None:
    world = make_world()
    world.upload("prices.csv", "name,price\nRoll,1\nLoaf,4\n")
    world.process()
    status = evaluate(world, questions=None, synthetic={"count": 4, "seed": 0, "model": None})
    assert "holds no sentence that a question could be made of" in status["error"]


def test_a_strategy_with_other_parsers_cuts_the_text_that_is_there(garden: World) -> None:
    raw = project_yaml()
    other = {"name": "other", "parsers": [{"type": "MarkdownParser", "config": {"chunk_size": 50, "chunk_overlap": 0}}]}
    raw["rag"]["data_processing_strategies"].append(other)
    garden.configure(raw)
    report = evaluate(garden, strategies=["keyword"], chunkings=["other"])["result"]
    counts = {each["chunking"]: each["chunk_count"] for each in report["configurations"]}
    assert counts["other"] > counts["current"]
    assert any(
        "from text that the present parsers read: 'garden.md', 'kitchen.md'" in each for each in report["warnings"]
    )


def test_a_file_whose_text_is_gone_is_missing_and_named(garden: World) -> None:
    kept = sorted(garden.paths().text_dir.glob("*.text.json"))
    kept[0].write_bytes(b"{damaged")
    report = evaluate(garden, strategies=["keyword"], chunkings=["headings:100"])["result"]
    assert any("1 file(s) have no parsed text here" in each for each in report["warnings"])


def test_questions_about_files_that_are_not_there_are_named(garden: World) -> None:
    questions = [*QUESTIONS, {"question": "what else", "expected_files": ["lost.pdf"]}]
    report = evaluate(garden, questions=questions)["result"]
    assert any("'lost.pdf'" in each for each in report["warnings"])
    assert not any("stand in no file" in each for each in report["warnings"])
    worst = report["configurations"][0]["worst"][0]
    assert worst["question"] == "what else"
    assert worst["found"], "what was found instead is shown"


def test_a_strategy_that_cannot_be_asked_says_so_and_others_go_on(garden: World) -> None:
    raw = project_yaml()
    broken = {"name": "broken", "type": "HybridRetriever", "config": {"candidates": 3}}
    raw["rag"]["databases"][0]["retrieval_strategies"] = [
        {"name": "plain", "type": "BasicSimilarityStrategy", "default": True}, broken,
    ]  # fmt: skip
    garden.configure(raw)
    report = evaluate(garden)["result"]
    errors = {each["strategy"]: each["error"] or each["notes"] for each in report["configurations"]}
    assert "candidates" in str(errors["broken"])
    assert errors["plain"] == []
    assert errors["keyword"] == []


def test_a_cancelled_evaluation_ends_and_says_so(garden: World) -> None:
    task_id = start(garden)
    assert garden.status(task_id)["state"] == "PENDING"
    assert garden.cancel(task_id)["cancelled"] is True
    garden.settle()
    status = garden.status(task_id)
    assert (status["state"], status["error"], status["result"]) == ("FAILURE", "Task cancelled", None)
    assert_invariants(garden)


def test_an_evaluation_that_is_cancelled_while_it_runs_stops_at_its_next_look(garden: World) -> None:
    task_id = start(garden)
    store = garden.store()
    original = store.search_text

    def cancelling(*args: Any, **kwargs: Any) -> Any:
        garden.cancel(task_id)
        return original(*args, **kwargs)

    garden.patches.setattr(store, "search_text", cancelling)
    garden.patches.setattr("workers.evaluate_stage.REPORT_INTERVAL_S", 0.0)
    garden.settle()
    assert garden.status(task_id)["cancelled"] is True
    assert garden.status(task_id)["result"] is None
    assert_invariants(garden)


def test_an_evaluation_whose_worker_died_is_begun_again_elsewhere(garden: World) -> None:
    task_id = start(garden)
    garden.crash(garden.store(), "search_text", when="before")
    garden.settle()
    assert garden.status(task_id)["state"] == "SUCCESS"
    assert_invariants(garden)


def test_an_evaluation_that_ends_every_worker_is_given_up(garden: World) -> None:
    task_id = start(garden)

    def die(*_: Any, **__: Any) -> Any:
        raise Crash

    garden.patches.setattr(garden.store(), "search_text", die)
    garden.settle()
    status = garden.status(task_id)
    assert status["state"] == "FAILURE"
    assert "ended 2 worker processes" in status["error"]


def test_a_store_that_is_away_for_a_moment_costs_only_time(garden: World) -> None:
    garden.fail(garden.store(), "search_vector", UpstreamError("the store is away"), times=1)
    garden.fail(garden.store(), "search_text", UpstreamError("the store is away"), times=1)
    assert evaluate(garden)["state"] == "SUCCESS"


def test_more_chunks_than_the_limit_is_a_failure_with_its_name(garden: World) -> None:
    garden.runtime = garden.worker("small")
    object.__setattr__(garden.runtime, "settings", garden.settings.model_copy(update={"eval_max_chunks": 3}))
    status = evaluate(garden, chunkings=["sentences:20:0"])
    assert status["state"] == "FAILURE"
    assert "LF_EVAL_MAX_CHUNKS" in status["error"]


def test_a_third_evaluation_has_to_wait(garden: World) -> None:
    start(garden)
    start(garden)
    with pytest.raises(OverloadedError, match="under way"):
        start(garden)
    garden.settle()
    start(garden)


def test_evaluations_stand_in_the_list_of_tasks_without_their_report(garden: World) -> None:
    task_id = start(garden)
    garden.settle()
    listed = garden.dispatcher.task_list(*PLACE, states=["SUCCESS"], limit=10, offset=0)["tasks"]
    (found,) = [each for each in listed if each["task_id"] == task_id]
    assert (found["meta"]["kind"], found["meta"]["progress"], found["result"]) == ("evaluate", 100, None)


def test_a_forgotten_task_takes_its_report_with_it(garden: World) -> None:
    start(garden)
    garden.settle()
    garden.clock.now += 100
    garden.process("docs", force=True)
    garden.clock.now += 100
    assert garden.tasks.forget_ended(10.0) > 0
    assert "evaluate" not in {task.kind for task in garden.rows(TaskRow)}
    assert garden.rows(EvaluationRow) == []


def test_an_evaluation_keeps_nobody_from_clearing_the_database(garden: World) -> None:
    from state.contents import DatabaseContents

    start(garden)
    assert DatabaseContents(garden.database).tasks_at_work(*PLACE, "main") == []


def test_what_is_recommended_can_be_pasted(garden: World) -> None:
    raw = project_yaml()
    raw["rag"]["databases"][0]["retrieval_strategies"] = [
        {"name": "never", "type": "BasicSimilarityStrategy", "default": True, "config": {"score_threshold": 1.0}}
    ]
    garden.configure(raw)
    questions = [{**QUESTIONS[at % 2], "id": str(at)} for at in range(30)]
    advice = evaluate(garden, questions=questions, strategies=["keyword"], chunkings=["headings:300"])["result"][
        "recommendation"
    ]
    assert advice["is_change"] is True
    assert (advice["strategy"], advice["chunking"]) == ("keyword", "current"), "what costs less, of equals"
    assert advice["p_value"] < 0.05
    pasted = merged(raw, yaml.safe_load(advice["yaml"]))
    database = ProjectConfig.parse(pasted).database("main")
    assert database.retrieval_strategy_in_use().type == "BM25Retriever"
    assert database.embedding_strategies, "what it does not name stays"


def merged(raw: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """As a person pastes it: keys of entries with the same name are replaced."""
    whole = copy.deepcopy(raw)
    for key, entries in change["rag"].items():
        for entry in entries:
            next(each for each in whole["rag"][key] if each["name"] == entry["name"]).update(entry)
    return whole


def test_passages_that_stand_in_no_file_are_named(garden: World) -> None:
    questions = [
        *QUESTIONS,
        {"id": "rye", "question": "how long does rye rest", "expected_files": ["kitchen.md"], "expected_passages": [
            "Rye bread rests for three whole days"]},
        {"id": "elsewhere", "question": "copper tape", "expected_files": ["kitchen.md"], "expected_passages": [
            "Slugs are kept away by copper tape"]},
        {"id": "unfound", "question": "copper tape slugs", "expected_passages": ["The deck oven is lit at four"]},
    ]  # fmt: skip
    report = evaluate(garden, questions=questions, strategies=["keyword"], k=[1])["result"]
    assert all(each["metrics"]["recall@1"]["mean"] <= 0.4 for each in report["configurations"]), "the last neither"
    (told,) = (each for each in report["warnings"] if "stand in no file" in each)
    assert "'Rye bread rests for three whole days' of 'kitchen.md' (question rye)" in told
    assert "(question elsewhere)" in told
    assert "(question unfound)" not in told
    assert "sourdough" not in told.lower()
