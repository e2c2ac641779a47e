import time

import pytest

from rag.llms.extractive import CLOSEST, NOTHING_FOUND, QUOTING, answer_parts, best_sentences, terms
from rag.types import Hit

HERONS = "The heron is a wading bird. It nests in tall trees near water. Herons feed on fish and frogs at dusk."
MILLS = "The mill stands by the weir. It was rebuilt in 1843 after the flood. The part number is AX-204."


def hit(text: str, score: float = 0.5) -> Hit:
    return Hit("id", text, score, "docs/abc", "g")


@pytest.mark.parametrize(
    ("question", "sentence", "number"),
    [
        ("When was the mill rebuilt?", "It was rebuilt in 1843 after the flood.", 2),
        ("What do herons eat? Do they feed on fish?", "Herons feed on fish and frogs at dusk.", 1),
        ("Which part is AX-204?", "The part number is AX-204.", 2),
        ("What happened in 1843?", "It was rebuilt in 1843 after the flood.", 2),
        ("Where does a heron nest?", "It nests in tall trees near water.", 1),
    ],
)
def test_the_sentence_that_answers_comes_first(question: str, sentence: str, number: int) -> None:
    best = best_sentences(question, [hit(HERONS), hit(MILLS)], 3)[0]
    assert (best.text, best.number) == (sentence, number)


def test_quotes_are_verbatim_and_cited_and_say_that_they_are_quotes() -> None:
    opening, quote = answer_parts("When was the mill rebuilt?", [hit(MILLS)], 1)

    assert opening == QUOTING
    assert quote == "\n\n“It was rebuilt in 1843 after the flood.” [1]"


def test_no_hits_are_told_and_nothing_is_made_up() -> None:
    assert answer_parts("When?", []) == [NOTHING_FOUND]


def test_without_a_shared_word_the_closest_passage_is_shown_as_such() -> None:
    parts = answer_parts("Vacation policy?", [hit(HERONS, 0.2), hit(MILLS, 0.4)])

    assert CLOSEST in parts[0]
    assert parts[1].endswith("[2]")


def test_the_same_sentence_is_quoted_once() -> None:
    quotes = best_sentences("mill weir", [hit(MILLS), hit(MILLS, 0.4)], 5)
    assert len({quote.text for quote in quotes}) == len(quotes)


def test_brackets_in_a_quote_cannot_pose_as_a_source() -> None:
    (_, quote) = answer_parts("mill", [hit("The mill burned [7].")], 1)
    assert quote == "\n\n“The mill burned (7].” [1]"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The herons nested", ["heron", "nest"]),
        ("AX-204 and x_y", ["ax-204", "x_y"]),
        ("水車小屋", ["水車", "車小", "小屋"]),
        ("", []),
    ],
)
def test_terms_are_words_without_endings(text: str, found: list[str]) -> None:
    assert terms(text) == found


def test_ten_chunks_take_few_milliseconds() -> None:
    hits = [hit((HERONS + " " + MILLS) * 7, index / 10) for index in range(10)]
    answer_parts("When was the mill rebuilt?", hits)
    durations = []
    for _ in range(5):
        started_at = time.thread_time()
        answer_parts("When was the mill rebuilt after the flood?", hits)
        durations.append(time.thread_time() - started_at)
    print(f"extractive: {min(durations) * 1000:.2f} ms")
    assert min(durations) < 0.02
