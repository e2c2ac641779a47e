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
        ("is ZX 4471 Q in stock", ["zx 4471 q"], ["4471"], 1 / 4),
        ("zx 4471 q", ["zx 4471 q"], ["4471"], 1 / 3),
        ("who is Maire Flynn", [], ["maire flynn"], 1),
        ("write to maire.flynn@example.org, see handbook.pdf", ["maire flynn example org", "handbook pdf"], [], 1 / 2),
        ("what “angle of attack” and «Staudruck» mean", ["angle of attack"], ["staudruck"], 2 / 3),
        ("「保证金」第三条", ["保 证 金"], [], 1 / 2),
        ("Umsatz 1 234,56 EUR", [], ["1 234 56"], 1 / 3),
        ("e.g. the U.S. navy and/or others", [], [], 0),
    ],
)
def test_what_is_taken_as_exact(text: str, names: list[str], amounts: list[str], share: float) -> None:
    terms, found_share = exact_terms(text)
    assert [term.words.strip() for term in terms if term.doubt < 1] == names
    assert [term.words.strip() for term in terms if term.doubt >= 1] == amounts
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


def test_the_more_have_it_the_less_it_counts_down_to_its_share_of_the_question() -> None:
    weights = [
        exact_matches("COVID-19 spread in schools", [*(hit(f"c{n}", "COVID-19") for n in range(count)), *OTHERS])[1]
        for count in (1, 3, 10)
    ]
    assert weights[0] == 1 > weights[1] > weights[2] == pytest.approx(1 / 3)
    assert exact_matches("COVID-19", [hit(f"c{n}", "COVID-19") for n in range(50)])[1] == 1


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("ZX-4471-Q", "Seal ZX4471Q."), ("zx4471q", "Seal (ZX-4471-Q)."), ("zx 4471 q", "Seal ZX_4471/Q"),
        ("ZX 4471 Q", "Seal zx4471q"), ("1234.56", "Total: 1,234.56"), ("1.234,56", "Summe 1234,56 EUR"),
        ("1 234,56", "Total 1.234,56 EUR"), ("2,500,000", "2500000 parts"), ("12345", "12'345 Franken"),
        ("Maire.Flynn@example.org", "<maire.flynn@EXAMPLE.org>"), ('"Ångström unit"', "the angstrom unit is"),
        ("„nasse Fahrbahn“", "bei nasser oder nasse Fahrbahn"), ("「保证金」", "第三条保证金应当退还"),
        ("Maire Flynn", "it was MAIRE FLYNN who"),
    ],
)  # fmt: skip
def test_one_thing_is_found_in_each_of_its_spellings(asked: str, written: str) -> None:
    values, weight = exact_matches(asked, [hit("it", written), *OTHERS])
    assert weight > 0
    assert {key for key, value in values.items() if value} == {"it"}


@pytest.mark.parametrize(
    ("asked", "written"),
    [("ZX-4471-Q", "ZX-4471-R"), ("zx4471q", "ZX-44-71-Q"), ("15.4", "154"), ("1234", "12 34"), ("1,234", "1.23")],
)
def test_another_thing_is_not_found(asked: str, written: str) -> None:
    assert exact_matches(asked, [hit("other", written), *OTHERS])[0].get("other", 0.0) == 0


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
