"""Questions made from chunks."""

import pytest

from rag.errors import UpstreamError
from rag.evaluation.synthetic import Passage, held_out_questions, written_questions

TEXTS = [
    Passage(
        "a.md", "The gardener plants tall tomatoes beside the southern wall every April before the rain begins. Short."
    ),
    Passage(
        "a.md",
        "Heavy clay soil around the southern wall keeps the rain away from young tomatoes 42 days long. # X | Y |",
    ),
    Passage("b.md", "Bakers rest the sourdough overnight because cold dough tastes better and keeps its shape longer."),
]


def test_a_question_is_some_words_of_a_sentence_and_the_sentence_its_answer() -> None:
    questions = held_out_questions(TEXTS, 10, seed=3)
    assert len(questions) == 3
    for each in questions:
        (target,) = each.targets
        assert target.passage is not None
        words = each.text.split()
        assert 4 <= len(words) <= 7
        assert all(word in target.passage.casefold() for word in words)
        assert len(words) < len(target.passage.split()) / 2
        assert not {"the", "and", "42"} & set(words)
    assert {target.file for each in questions for target in each.targets} == {"a.md", "b.md"}


def test_the_same_seed_gives_the_same_questions_and_the_files_take_turns() -> None:
    assert held_out_questions(TEXTS, 3, seed=1) == held_out_questions(TEXTS, 3, seed=1)
    assert held_out_questions(TEXTS, 3, seed=1) != held_out_questions(TEXTS, 3, seed=2)
    assert len({each.targets[0].file for each in held_out_questions(TEXTS, 2, seed=1)}) == 2


def test_text_without_sentences_gives_none() -> None:
    assert held_out_questions([Passage("t.csv", "a | b | c\n1 | 2 | 3"), Passage("e", "")], 5, seed=0) == []


def test_a_model_is_shown_the_passage_and_what_it_writes_is_the_question() -> None:
    seen: list[str] = []

    def ask(instruction: str, text: str) -> str:
        seen.append(text)
        return 'Sure!\n1. "When should vegetables be put outside?"'

    questions = written_questions(TEXTS, 2, 0, ask)
    assert [each.text for each in questions] == ["When should vegetables be put outside?"] * 2
    assert all("Sentence:\n" + str(each.targets[0].passage) in text for each, text in zip(questions, seen, strict=True))


@pytest.mark.parametrize("answer", ["", "No idea.", "Why?", "? " * 80])
def test_what_is_no_question_is_left_out(answer: str) -> None:
    assert written_questions(TEXTS, 2, 0, lambda *_: answer) == []


def test_a_copy_of_the_sentence_is_left_out() -> None:
    assert written_questions(TEXTS, 3, 0, lambda _, text: text.rpartition("Sentence:\n")[2][:-1] + "?") == []


def test_a_model_that_fails_once_costs_one_question_and_one_that_stays_away_ends_it() -> None:
    answers = iter([UpstreamError("away"), "What is kept in the cold overnight?", "What grows near the wall outside?"])

    def ask(*_: str) -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    assert len(written_questions(TEXTS, 3, 0, ask)) == 2

    def away(*_: str) -> str:
        raise UpstreamError("away")

    with pytest.raises(UpstreamError):
        written_questions(TEXTS, 3, 0, away)
