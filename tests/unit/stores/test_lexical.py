"""A question → an expression of the word index; BM25 → a score."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.stores.lexical import MAX_TERMS, spellings, squash, terms


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("", ""),
        ("?!", ""),
        ("what is a boundary layer", '"boundary" OR "layer"'),
        ("to be or not to be", '"to" OR "be" OR "or" OR "not"'),
        ("ZX-4471-Q", '"ZX-4471-Q"^1.5 OR "zx4471q"^1.5 OR "zx" OR "4471" OR "q"'),
        ('the "angle of attack" here', '"angle of attack"^1.5 OR "angle" OR "attack"'),
        ('NEAR("wing" tail)', '"near" OR "wing" OR "tail"'),
        ("boundary-layer's edge.", '"boundary" OR "layer" OR "s" OR "edge"'),
        ("wing wing Wing", '"wing"'),
        ("育儿假 days", '"育儿" OR "儿假" OR "days"'),
        ("假", '"假"'),
    ],
)
def test_what_is_looked_for(text: str, expression: str) -> None:
    assert " OR ".join(terms(text)) == expression


def test_a_pasted_page_is_cut() -> None:
    assert len(terms(" ".join(f"word{n}" for n in range(10_000)))) == MAX_TERMS


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_scores_keep_the_order_and_stay_below_one(first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert 0 <= squash(low) <= squash(high) < 1
    assert squash(-1.0) == 0


@pytest.mark.parametrize(
    ("token", "others"),
    [
        ("ZX-4471-Q", ["zx4471q"]),
        ("zx4471q", ["zx 4471 q"]),
        ("1.234,56", ["1234 56"]),
        ("1,234.56", ["1234 56"]),
        ("1234,56", ["1 234 56"]),
        ("1,234", ["1234"]),
        ("2.500.000", ["2500000"]),
        ("15.4", []),
        ("flutter", []),
        ("boundary-layer", []),
    ],
)
def test_codes_and_numbers_have_other_spellings(token: str, others: list[str]) -> None:
    assert spellings(token) == others


@given(st.text(max_size=40))
def test_spellings_are_words_only(token: str) -> None:
    assert all(each and '"' not in each and each == " ".join(each.split()) for each in spellings(token))
