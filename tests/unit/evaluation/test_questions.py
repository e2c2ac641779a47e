"""Whether a hit holds what a question asks for, however the files were cut."""

from typing import Any

from rag.evaluation.questions import Question, Target, missing_files, rank
from rag.types import Hit


def hit(text: str, file: str = "a.md", **metadata: Any) -> Hit:
    return Hit(text, text, 0.5, f"docs/{file}-hash", "g", {"filename": file, **metadata})


def counts(question: Question, *hits: Hit) -> tuple[int, ...]:
    return rank(question, hits).counts


def ask(*targets: Target) -> Question:
    return Question("q", "?", targets)


def test_files_are_ranked_as_files_however_many_chunks_they_give() -> None:
    question = ask(Target("a.md"), Target("b.md", grade=2))
    ranking = rank(question, [hit("1", "c.md"), hit("2", "c.md"), hit("3", "b.md"), hit("4", "b.md"), hit("5", "a.md")])
    assert ranking.gains == (0, 2, 1)


def test_a_file_is_known_by_name_last_part_or_hash() -> None:
    found = hit("text", "handbook/a.md")
    for name in ("handbook/a.md", "a.md", "handbook/a.md-hash".rpartition("/")[2]):
        assert counts(ask(Target(name)), found) == (1,)
    assert counts(ask(Target("b.md")), found) == (0,)


def test_a_passage_is_found_whatever_its_case_spaces_and_signs() -> None:
    passage = Target(passage="Every employee gets 90 days of paid leave.")
    assert counts(ask(passage), hit("… EVERY employee\ngets 90  days, of paid leave; and more")) == (1,)
    assert counts(ask(passage), hit("Every employee gets a cake")) == (0,)


def test_a_passage_counts_once_though_chunks_overlap() -> None:
    question = ask(Target(passage="slugs fear copper tape around beds"))
    assert counts(
        question, hit("slugs fear copper tape around beds"), hit("slugs fear copper tape around beds too")
    ) == (1, 0)


def test_a_passage_that_is_cut_in_two_is_found_with_its_second_piece() -> None:
    passage = "one two three four five six seven eight nine ten"
    question = ask(Target(passage=passage))
    assert counts(question, hit("zero one two three four five"), hit("five six seven eight nine")) == (0, 1)


def test_a_code_has_to_stand_there_as_a_whole() -> None:
    question = ask(Target(passage="ZX-4471-Q"))
    assert counts(question, hit("serial number ZX-4471-Q"), hit("ZX")) == (1, 0)
    assert counts(question, hit("ZX-4472-Q")) == (0,)


def test_a_passage_in_another_file_or_on_another_page_does_not_count() -> None:
    question = ask(Target("a.md", "slugs fear copper tape", pages=(3,)))
    text = "slugs fear copper tape"
    assert counts(question, hit(text, "b.md", page_start=3, page_end=3)) == (0,)
    assert counts(question, hit(text, page_start=1, page_end=2)) == (0,)
    assert counts(question, hit(text, page_start=2, page_end=4)) == (1,)


def test_one_chunk_may_hold_two_passages() -> None:
    question = ask(Target(passage="slugs fear copper tape"), Target(passage="snails do not mind it"))
    assert rank(question, [hit("Slugs fear copper tape. Snails do not mind it.")]).counts == (2,)


def test_expected_files_that_nobody_has_are_told() -> None:
    questions = [ask(Target("a.md")), ask(Target("lost.md"), Target("b.md"))]
    assert missing_files(questions, ["folder/a.md", "b.md"]) == ["lost.md"]
