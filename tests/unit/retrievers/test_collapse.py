"""Which hits say what a better one said already."""

import numpy as np
import pytest

from rag.retrievers.collapse import collapse
from rag.types import Hit

STARTS = ("ba", "ke", "lo", "mi", "nu", "pa", "re", "so")
ENDS = ("dan", "fel", "gor", "him", "jus", "kar", "lem", "nov")
WORDS = [f"{start}{end}" for start in STARTS for end in ENDS]
TEXT = " ".join(WORDS) + "."


def hit(key: str, text: str, file: str, *, turned: float = 0.0) -> Hit:
    return Hit(key, text, 0.5, f"docs/{file}", "g", vector=np.array([np.cos(turned), np.sin(turned)], np.float32))


def kept(*hits: Hit) -> list[str]:
    return [each.id for each in collapse(hits)]


@pytest.mark.parametrize(
    "copy",
    [TEXT, TEXT.upper(), TEXT.replace(" ", "\n  "), TEXT + " anhang", TEXT.replace("lojus", "lojust")],
    ids=["same", "capitals", "spaces", "one word more", "one word other"],
)
def test_a_near_copy_in_another_file_is_left_out(copy: str) -> None:
    assert kept(hit("a", TEXT, "a"), hit("b", copy, "b"), hit("c", "something else", "c")) == ["a", "c"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"Order 761001. {TEXT}", f"Order 761014. {TEXT}"),
        (f"Part ZX4471. {TEXT}", f"Part ZX4472. {TEXT}"),
        (f"It is allowed. {TEXT}", f"It is not allowed. {TEXT}"),
        (f"Das ist erlaubt. {TEXT}", f"Das ist nicht erlaubt. {TEXT}"),
        (TEXT, " ".join(WORDS[:50])),
        (TEXT, " ".join(reversed(WORDS))),
    ],
    ids=["number", "code", "not", "nicht", "a part of it", "turned round"],
)
def test_what_differs_in_what_matters_stays(one: str, other: str) -> None:
    assert kept(hit("a", one, "a"), hit("b", other, "b")) == ["a", "b"]


def test_pieces_of_one_file_stay_and_so_do_texts_that_mean_something_else() -> None:
    assert kept(hit("a", TEXT, "a"), hit("b", TEXT, "a")) == ["a", "b"]
    assert kept(hit("a", TEXT, "a"), hit("b", TEXT + " anhang", "b", turned=0.5)) == ["a", "b"]


def test_the_order_stays_and_nothing_gives_nothing() -> None:
    assert kept(hit("z", "one", "a"), hit("a", "two", "b"), hit("m", "three", "c")) == ["z", "a", "m"]
    assert kept() == []
    assert kept(hit("a", "…", "a"), hit("b", "?!", "b"), hit("c", "…", "c")) == ["a", "b"]
