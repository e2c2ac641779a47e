"""What is asked for exactly, and which hits hold it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.retrievers.exact import exact_matches, exact_terms
from rag.types import Hit


def hit(key: str, text: str, **metadata: str) -> Hit:
    return Hit(key, text, 0.5, "f", "g", metadata)


OTHERS = [hit(f"o{number}", f"another text, {number}") for number in range(8)]


@pytest.mark.parametrize(
    ("text", "names", "amounts", "share"),
    [
        ("what is a boundary layer", [], [], 0),
        ("two-dimensional wing's edge and/or tail", [], [], 0),
        ("ZX-4471-Q", ["zx 4471 q"], [], 1),
        ("what does ZX-4471-Q cost?", ["zx 4471 q"], [], 1 / 2),
        ("see 208.24(d), LF_HISTORY_DAYS and 192.168.0.1", ["208 24 d", "lf history days", "192 168 0 1"], [], 3 / 4),
        ("order 761225 of 2026-09-14", ["761225", "2026 09 14"], [], 2 / 3),
        ("the 1918 flu", [], ["1918"], 1 / 2),
        ("65-year-old with type-2, 4,000 steps at 15.4%", [], ["65 year old", "type 2", "4 000", "15 4"], 4 / 5),
        ("3D wings in Q3", [], ["3d", "q3"], 2 / 3),
        ('who said "angle of Attack" first', ["angle of attack"], [], 1 / 3),
        ("„Café Ångström“", ["cafe angstrom"], [], 1),
        ('?! __ ""', [], [], 0),
    ],
)
def test_what_is_taken_as_exact(text: str, names: list[str], amounts: list[str], share: float) -> None:
    terms, found_share = exact_terms(text)
    assert [term.words.strip() for term in terms if not term.doubt] == names
    assert [term.words.strip() for term in terms if term.doubt] == amounts
    assert found_share == pytest.approx(share)


def test_only_whole_words_in_their_order_count() -> None:
    hits = [hit("yes", "Seal (zx-4471-q)."), hit("longer", "ZX-4471-QB"), hit("turned", "4471 Q ZX"), *OTHERS]
    values, weight = exact_matches("ZX-4471-Q", hits)
    assert weight == 1
    assert {key for key, value in values.items() if value} == {"yes"}


def test_names_of_files_and_headings_count() -> None:
    hits = [hit("file", "text", filename="INV-0042.pdf"), hit("heading", "text", heading_path="A > INV-0042"), *OTHERS]
    values, _ = exact_matches("INV-0042", hits)
    assert {key for key, value in values.items() if value} == {"file", "heading"}


def test_a_hit_with_all_terms_has_more_than_one_with_some() -> None:
    hits = [hit("both", "AB-12-X and CD-34-Y"), hit("one", "AB-12-X"), *OTHERS]
    values, _ = exact_matches("AB-12-X CD-34-Y EF-56-Z", hits)
    assert (values["both"], values["one"], values["o1"]) == (1, 0.5, 0)


def test_what_half_of_the_candidates_hold_counts_as_its_share_of_the_question() -> None:
    common = [hit(f"c{number}", "COVID-19 in schools") for number in range(8)]
    assert exact_matches("COVID-19 spread in schools", [*common, *OTHERS])[1] == pytest.approx(1 / 3)
    assert exact_matches("COVID-19 spread in schools", [*common[:7], *OTHERS])[1] == 1
    assert exact_matches("COVID-19", [*common, *OTHERS])[1] == 1


def test_a_number_counts_by_its_share_and_a_short_one_less() -> None:
    hits = [hit("year", "built in 1918"), hit("short", "wing 4Q"), *OTHERS]
    assert exact_matches("1918", hits)[1] == exact_matches("4Q", hits)[1] == 1
    assert exact_matches("1918 flu", hits)[1] == pytest.approx(1 / 2)
    assert exact_matches("4Q flutter", hits)[1] == pytest.approx(1 / 4)


def test_what_is_asked_for_but_not_there_changes_nothing() -> None:
    assert exact_matches("ZX-4471-Q", OTHERS)[1] == 0
    assert exact_matches("another text", OTHERS) == ({}, 0)
    assert exact_matches("ZX-4471-Q", []) == ({}, 0)


@given(st.text(max_size=60), st.lists(st.text(max_size=60), max_size=4))
def test_any_text_gives_values_in_range(text: str, bodies: list[str]) -> None:
    values, weight = exact_matches(text, [hit(str(number), body) for number, body in enumerate(bodies)])
    assert 0 <= weight <= 1
    assert all(0 <= value <= 1 for value in values.values())
