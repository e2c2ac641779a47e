"""`lf eval`: what it sends, what it shows, and how it ends."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rag.evaluation.questions import Question, Target
from rag.evaluation.report import configuration
from rag.evaluation.run import Cutting, Miss, Outcome, measures
from tests.unit.cli.client_run import Lf, P
from tests.unit.cli.fake_api import Reply

TASK = "t-1"
QUESTION = {"question": "who", "expected_files": ["a.md"]}


def outcome(name: str, value: float, chunking: str = "current") -> Outcome:
    cutting = Cutting(chunking, 12, 300.0, chunking != "current")
    values = {each: [value] * 4 for each in measures([1, 10])}
    miss = Miss(Question("1", "who", (Target("a.md"),)), 0.0, ())
    return Outcome(name, cutting, values, [3.0] * 4, [900] * 4, misses=[miss])


def report(*outcomes: Outcome, advice: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "message": "4 questions",
        "namespace": "acme",
        "project": "bakery",
        "database": "main",
        "question_count": 4,
        "question_source": "given",
        "primary": "ndcg@10",
        "measures": measures([1, 10]),
        "configurations": [configuration(each, outcomes[0]) for each in outcomes],
        "recommendation": advice,
        "warnings": ["4 questions tell little"],
    }


KEEP = {
    "strategy": "hybrid",
    "chunking": "current",
    "is_change": False,
    "reason": "nothing scored higher",
    "yaml": "x: 1\n",
}
CHANGE = {
    **KEEP,
    "strategy": "keyword",
    "chunking": "headings:400",
    "is_change": True,
    "yaml": "rag:\n  databases: []\n",
}


def serve(lf: Lf, result: dict[str, Any] | None = None, **task: Any) -> None:
    started = {"task_id": TASK, "task_uri": "", "question_count": 1, "configuration_count": 2}
    lf.api.on("POST", f"{P}/rag/evaluate", Reply(started, 202))
    lf.api.on("GET", f"{P}/tasks/{TASK}", {"task_id": TASK, "state": "SUCCESS", "result": result, **task})


@pytest.fixture
def questions(lf: Lf) -> Path:
    path = lf.folder / "questions.jsonl"
    path.write_text("".join(json.dumps({**QUESTION, "id": str(at)}) + "\n" for at in range(9)))
    return path


def sent(lf: Lf) -> dict[str, Any]:
    (request,) = lf.api.requests("POST", f"{P}/rag/evaluate")
    return dict(request.json)


def test_questions_and_options_are_sent_and_the_best_comes_first(lf: Lf, questions: Path) -> None:
    serve(lf, report(outcome("hybrid", 0.5), outcome("keyword", 0.7), advice=KEEP))
    shown = lf(
        "eval", str(questions), "-r", "keyword,mmr", "-r", "hybrid", "-c", "headings:400", "-k", "1", "-b", "main"
    )
    body = sent(lf)
    assert (body["strategies"], body["chunkings"], body["k"]) == (["keyword", "mmr", "hybrid"], ["headings:400"], [1])
    assert (body["database"], len(body["questions"]), "synthetic" in body) == ("main", 9, False)
    assert shown.stdout.index("keyword") < shown.stdout.index("→")
    assert "0.700" in shown.stdout
    assert "Keep 'hybrid': nothing scored higher." in shown.stdout
    assert "x: 1" not in shown.stdout, "there is nothing to paste"
    assert "4 questions tell little" in shown.stderr


def test_a_change_is_printed_as_yaml_to_paste(lf: Lf, questions: Path) -> None:
    serve(lf, report(outcome("hybrid", 0.5), outcome("keyword", 0.7, "headings:400"), advice=CHANGE))
    shown = lf("eval", str(questions)).stdout
    assert "Change to 'keyword' over chunks of 'headings:400'" in shown
    assert "rag:\n  databases: []\n" in shown
    assert "lf rag reindex" in shown


def test_limit_asks_some_of_the_questions_in_their_order(lf: Lf, questions: Path) -> None:
    serve(lf, report(outcome("hybrid", 0.5), advice=KEEP))
    lf("eval", str(questions), "--limit", "4", "--seed", "1")
    asked = [int(each["id"]) for each in sent(lf)["questions"]]
    assert len(asked) == 4
    assert asked == sorted(asked)


def test_synthetic_questions_are_made_by_the_server(lf: Lf) -> None:
    serve(lf, report(outcome("hybrid", 0.5), advice=KEEP))
    lf("eval", "--synthetic", "50", "--with-model", "llama", "--seed", "3")
    assert sent(lf)["synthetic"] == {"count": 50, "seed": 3, "model": "llama"}
    assert "questions" not in sent(lf)


def test_pictures_and_the_page_are_written(lf: Lf, questions: Path) -> None:
    serve(lf, report(outcome("hybrid", 0.5), outcome("keyword", 0.7), advice=CHANGE))
    names = [lf.folder / f"out.{suffix}" for suffix in ("png", "svg", "html")]
    lf("eval", str(questions), *(part for name in names for part in ("--plot", str(name))))
    assert Image.open(names[0]).format == "PNG"
    assert names[1].read_text().startswith("<svg")
    assert "<table>" in names[2].read_text()


def test_json_is_the_task_with_its_report(lf: Lf, questions: Path) -> None:
    serve(lf, report(outcome("hybrid", 0.5), advice=KEEP))
    assert lf.json("eval", str(questions))["result"]["recommendation"]["strategy"] == "hybrid"


def test_a_former_evaluation_is_shown_without_a_new_one(lf: Lf) -> None:
    serve(lf, report(outcome("hybrid", 0.5), advice=KEEP))
    assert "Keep 'hybrid'" in lf("eval", "--task", TASK).stdout
    assert lf.api.requests("POST", f"{P}/rag/evaluate") == []


def test_a_configuration_that_failed_is_shown_and_ends_with_4(lf: Lf, questions: Path) -> None:
    broken = Outcome("broken", Cutting("current", 12, 300.0, False), error="no such model")
    serve(lf, report(outcome("hybrid", 0.5), broken, advice=KEEP))
    shown = lf("eval", str(questions), code=4)
    assert "no such model" in shown.stdout
    assert "1 of 2 could not be measured: 'broken' over 'current'" in shown.stderr


def test_a_task_that_failed_ends_with_1_and_its_reason(lf: Lf, questions: Path) -> None:
    serve(lf, None, state="FAILURE", error="LF_EVAL_MAX_CHUNKS passed")
    assert "LF_EVAL_MAX_CHUNKS passed" in lf.error("eval", str(questions))["error"]


def test_a_cancelled_task_ends_with_4(lf: Lf, questions: Path) -> None:
    serve(lf, None, state="FAILURE", cancelled=True)
    lf("eval", str(questions), code=4)


def test_a_task_of_another_kind_is_told(lf: Lf) -> None:
    serve(lf, {"details": []})
    assert "is no evaluation" in lf.error("eval", "--task", TASK)["error"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "give one of"),
        (["q.jsonl", "--synthetic", "3"], "give one of"),
        (["q.jsonl", "--with-model", "m"], "--with-model writes the questions"),
        (["none.jsonl"], "cannot be read"),
        (["q.jsonl"], "line 2: question is to be text"),
        (["."], "is no BEIR folder"),
        (["q.jsonl", "--ingest", "docs"], "--ingest goes with a BEIR folder"),
        (["good.jsonl", "--plot", "a.pdf"], "is to end in .png"),
        (["good.jsonl", "--plot", "nowhere/a.png"], "there is no folder nowhere"),
    ],
)  # fmt: skip
def test_wrong_options_end_with_2_before_anything_is_sent(lf: Lf, arguments: list[str], told: str) -> None:
    (lf.folder / "q.jsonl").write_text('{"question": "a", "expected_files": ["x"]}\n{"question": ""}\n')
    (lf.folder / "good.jsonl").write_text(json.dumps(QUESTION))
    assert told in lf.error("eval", *arguments, code=2)["error"]
    assert lf.api.seen == []


def beir(folder: Path) -> Path:
    (folder / "qrels").mkdir(parents=True)
    documents = [
        {"_id": "d/1", "title": "T", "text": "one"},
        {"_id": "d2", "text": "two"},
        {"_id": "d3", "text": "two"},
    ]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(each) + "\n" for each in documents))
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q1", "text": "first?"}) + "\n")
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td3\t2\n")
    return folder


def test_a_beir_folder_is_loaded_and_its_queries_asked(lf: Lf) -> None:
    serve(lf, report(outcome("hybrid", 0.5), advice=KEEP))
    lf.api.on("GET", f"{P}/datasets/", {"datasets": []})
    lf.api.on("GET", f"{P}/datasets/strategies", {"data_processing_strategies": ["plain"], "databases": ["main"]})
    lf.api.on("POST", f"{P}/datasets/", {"dataset": {"name": "bench", "database": "main"}})
    lf.api.on("POST", f"{P}/datasets/bench/data/bulk", {"files": [{"status": "uploaded"}] * 2})
    lf.api.on("POST", f"{P}/datasets/bench/actions", {"task_id": "t-0"})
    done = {"processed_files": 2, "skipped_files": 0, "failed_files": 0, "details": []}
    lf.api.on("GET", f"{P}/tasks/t-0", {"task_id": "t-0", "state": "SUCCESS", "result": done})
    lf("eval", str(beir(lf.folder / "set")), "--ingest", "bench")
    (upload,) = lf.api.requests("POST", f"{P}/datasets/bench/data/bulk")
    assert b'filename="d%2F1.txt"' in upload.body
    assert b"T\n\none" in upload.body
    assert upload.body.count(b"filename=") == 2, "the same text is one file"
    assert sent(lf)["questions"] == [{"id": "q1", "question": "first?", "expected_files": {"d2.txt": 2.0}}]
    assert sent(lf)["database"] == "main"


def test_a_corpus_whose_files_failed_is_not_evaluated(lf: Lf) -> None:
    lf.api.on("GET", f"{P}/datasets/", {"datasets": [{"name": "bench", "database": "main"}]})
    lf.api.on("POST", f"{P}/datasets/bench/data/bulk", {"files": [{"status": "uploaded"}] * 2})
    lf.api.on("POST", f"{P}/datasets/bench/actions", {"task_id": "t-0"})
    failed = [[False, {"filename": "d2.txt", "status": "failed", "error": "bad"}]]
    lf.api.on("GET", f"{P}/tasks/t-0", {"task_id": "t-0", "state": "FAILURE", "result": {"details": failed}})
    error = lf.error("eval", str(beir(lf.folder / "set")), "--ingest", "bench", code=4)["error"]
    assert "d2.txt: bad" in error
    assert lf.api.requests("POST", f"{P}/rag/evaluate") == []


def test_a_set_that_is_too_large_is_told_with_the_way_out(lf: Lf, questions: Path) -> None:
    refused = {"detail": "9 questions; at most 5 are asked at once (LF_EVAL_MAX_QUESTIONS)"}
    lf.api.on("POST", f"{P}/rag/evaluate", Reply(refused, 413))
    assert "--limit chooses some of them" in lf.error("eval", str(questions))["error"]
