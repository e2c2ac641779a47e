"""Sets of questions as people have them; what is wrong is told with file, line and field."""

import json
from pathlib import Path
from typing import Any

import pytest

from rag.errors import InvalidInputError, NotFoundError
from rag.evaluation.datasets import document_name, is_beir, read_beir, read_corpus, read_jsonl, read_question
from rag.evaluation.questions import Target


def lines(path: Path, *objects: Any) -> Path:
    path.write_text("\n".join(each if isinstance(each, str) else json.dumps(each) for each in objects) + "\n")
    return path


def targets(**raw: Any) -> tuple[Target, ...]:
    return read_question({"question": "?q", **raw}, "here", "1").targets


def test_files_passages_and_pages_become_what_is_looked_for() -> None:
    assert targets(expected_files=["a", "b"]) == (Target("a"), Target("b"))
    assert targets(expected_files={"a": 2}) == (Target("a", grade=2.0),)
    assert targets(expected_files=["a"], page=3) == (Target("a", pages=(3,)),)
    assert targets(expected_passages=["x y", "z"]) == (Target(None, "x y"), Target(None, "z"))
    assert targets(expected_files=["a"], expected_passages=["x"], pages=[1, 2]) == (Target("a", "x", (1, 2)),)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ("text", "a question is an object"),
        ({}, "question is to be text"),
        ({"question": " "}, "question is to be text"),
        ({"question": "q" * 3000}, "question has 3000 characters"),
        ({"question": "half \ud800"}, "question holds half a surrogate pair"),
        ({"question": "q", "expected_files": {"a\udfff": 1}}, "expected_files holds half a surrogate pair"),
        ({"question": "q"}, "expected_files or expected_passages is missing"),
        ({"question": "q", "expected_file": ["a"]}, "'expected_file' is not known"),
        ({"question": "q", "expected_files": "a"}, "expected_files is to be a list"),
        ({"question": "q", "expected_files": ["a", 3]}, "expected_files[1] is to be text"),
        ({"question": "q", "expected_files": {"a": -1}}, "expected_files.a: a grade"),
        ({"question": "q", "expected_files": {"a": True}}, "expected_files.a: a grade"),
        ({"question": "q", "expected_files": {"a": float("nan")}}, "expected_files.a: a grade"),
        ({"question": "q", "expected_files": ["a", "b"], "page": 1}, "expected_files names 2"),
        ({"question": "q", "expected_files": ["a"], "page": 0}, "a page is a whole number"),
        ({"question": "q", "expected_files": ["a", "b"], "expected_passages": ["x"]}, "not with 2"),
    ],
)
def test_what_is_wrong_with_a_question_is_told_with_its_field(raw: Any, told: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_question(raw, "set.jsonl, line 7", "1")
    assert caught.value.message.startswith("set.jsonl, line 7: ")
    assert told in caught.value.message


def test_a_file_of_questions_is_read_line_by_line(tmp_path: Path) -> None:
    good = {"question": "q", "expected_files": ["a"]}
    assert read_jsonl(lines(tmp_path / "a.jsonl", good, "", good)) == [good, good]
    with pytest.raises(InvalidInputError, match=r"b.jsonl, line 2: no JSON"):
        read_jsonl(lines(tmp_path / "b.jsonl", good, "{oops"))
    with pytest.raises(InvalidInputError, match="holds no question"):
        read_jsonl(lines(tmp_path / "c.jsonl", ""))
    with pytest.raises(NotFoundError, match="cannot be read"):
        read_jsonl(tmp_path / "none.jsonl")
    (tmp_path / "d.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInputError, match="is not UTF-8"):
        read_jsonl(tmp_path / "d.jsonl")


def beir(folder: Path, qrels: str = "query-id\tcorpus-id\tscore\nq1\td/1\t2\nq1\td2\t0\nq2\tcopy\t1\n") -> Path:
    lines(
        folder / "corpus.jsonl",
        {"_id": "d/1", "title": "Slugs", "text": "fear copper"},
        {"_id": "d2", "title": "", "text": "same"},
        {"_id": "copy", "title": "", "text": "same"},
        {"_id": "empty", "title": "", "text": ""},
    )
    lines(
        folder / "queries.jsonl", {"_id": "q1", "text": "one"}, {"_id": "q2", "text": "two"}, {"_id": "q3", "text": "x"}
    )
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text(qrels)
    return folder


def test_a_beir_folder_gives_judged_queries_and_documents_with_text(tmp_path: Path) -> None:
    folder = beir(tmp_path)
    assert is_beir(folder)
    assert read_beir(folder) == [
        {"id": "q1", "question": "one", "expected_files": {"d%2F1.txt": 2.0}},
        {"id": "q2", "question": "two", "expected_files": {"d2.txt": 1.0}},
    ]
    assert [(each.name, each.text) for each in read_corpus(folder)] == [
        ("d%2F1.txt", "Slugs\n\nfear copper"),
        ("d2.txt", "same"),
    ]


@pytest.mark.parametrize(
    ("qrels", "told"),
    [
        ("query-id\tcorpus-id\tscore\nq1 d1 2\n", "test.tsv, line 2: three columns"),
        ("query-id\tcorpus-id\tscore\nq1\td1\tmuch\n", "test.tsv, line 2: score 'much' is no number"),
        ("query-id\tcorpus-id\tscore\nq1\td1\t0\n", "no query of"),
    ],
)
def test_what_is_wrong_with_judgements_is_told(tmp_path: Path, qrels: str, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        read_beir(beir(tmp_path, qrels))


@pytest.mark.parametrize("identifier", ["a/b", "..", "x\\y", "ü:?*", "a b"])
def test_the_name_of_a_document_is_one_a_file_may_have(identifier: str) -> None:
    name = document_name(identifier)
    assert not set(name) & set('/\\:*?"<>|\0')
    assert name.endswith(".txt")
