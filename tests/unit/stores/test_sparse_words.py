"""Sparse vectors rank as the word index does: the same words, rare ones before common ones, short texts before long."""

import math
from collections import Counter

import pytest

from rag.stores.sparse_words import SparseWords

WORDS = SparseWords()


def ranked(texts: list[str], question: str) -> list[int]:
    """As Qdrant ranks them: dot products, with the weight of each term by how many texts hold it."""
    documents = [dict(zip(each.indices, each.values, strict=True)) for each in (WORDS.document(t, "") for t in texts)]
    holding = Counter(index for document in documents for index in document)
    asked = WORDS.query(question)
    scores = []
    for number, document in enumerate(documents):
        score = 0.0
        for index, value in zip(asked.indices, asked.values, strict=True):
            idf = math.log((len(texts) - holding[index] + 0.5) / (holding[index] + 0.5) + 1)
            score += document.get(index, 0.0) * value * idf
        scores.append((score, number))
    return [number for score, number in sorted(scores, key=lambda each: -each[0]) if score > 0]


def test_words_are_found_without_case_accents_and_endings() -> None:
    assert ranked(["Layers of CAFÉ tables", "nothing"], "cafe layer table") == [0]


def test_rare_words_count_more_than_common_ones() -> None:
    texts = ["wing wing wing", "wing aileron", "wing flap", "wing slat"]
    assert ranked(texts, "wing aileron")[0] == 1


def test_short_texts_come_before_long_ones_that_say_it_once_too() -> None:
    assert ranked(["aileron " + "filler " * 300, "aileron rolls"], "aileron") == [1, 0]


def test_repeating_a_word_helps_less_each_time() -> None:
    once, often = (dict(zip(d.indices, d.values, strict=True)) for d in (
        WORDS.document("wing", ""), WORDS.document("wing " * 50, "")))  # fmt: skip
    (index,) = once
    assert once[index] < often[index] < 2.2 * once[index]


@pytest.mark.parametrize("code", ["ZX-4471-Q", "208.24(d)", "foo_bar.baz", "10.1000/182"])
def test_a_code_is_a_term_of_its_own(code: str) -> None:
    parts = " ".join(part for part in code.replace("-", " ").replace(".", " ").replace("/", " ").split()[::-1])
    assert ranked([f"{parts} " * 4, f"As said in {code}, it is so."], code)[0] == 1


def test_ideographs_are_found_by_pairs() -> None:
    assert ranked(["東京都に住む", "京都の寺"], "東京") == [0]


def test_where_a_chunk_stands_counts_half() -> None:
    text, place = (WORDS.document(*each).values for each in (("wing", ""), ("", "wing")))
    assert len(text) == len(place) == 1
    assert place[0] < text[0]


def test_a_phrase_is_asked_for_as_it_is_written() -> None:
    asked = WORDS.query('the "boundary layer" of ZX-4471-Q')
    assert ("boundari", "layer") in asked.phrases
    assert WORDS.holds("A Boundary-Layer grows", ("boundari", "layer"))
    assert not WORDS.holds("A layer at the boundary", ("boundari", "layer"))


@pytest.mark.parametrize("question", ["", "   ", '"', "💥", "\x00", "\ud83d"])
def test_nothing_to_look_for_has_no_terms(question: str) -> None:
    assert WORDS.query(question).indices == []


def test_the_same_text_gives_the_same_vector_and_no_index_twice() -> None:
    first, second = (WORDS.document("wing tail wing " * 40, "a.txt") for _ in range(2))
    assert first == second
    assert len(set(first.indices)) == len(first.indices)
    assert all(0 <= index < 2**32 for index in first.indices)
