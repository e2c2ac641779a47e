"""Where a value stands in a text, however it is written there."""

import time

import pytest

from rag.extraction.evidence import EvidenceText

TEXT = """Invoice No. INV-2024-0017
Acme Widgets, Inc.  of “Old Town”
Date: 31 March 2024, due 04/05/2024
Total: EUR 1.234,50 (incl. 19 % VAT)
Revenue was $3.2 million, a loss of (450) thousand; 12 345 pieces in three boxes.
Signed: Doe, Jane
"""


def found(value: object, text: str = TEXT) -> tuple[str, str] | None:
    place = next(iter(EvidenceText(text).places(value)), None)
    return None if place is None else (text[place.start : place.end], place.kind)


@pytest.mark.parametrize(
    ("value", "quote", "kind"),
    [
        ("INV-2024-0017", "INV-2024-0017", "verbatim"),
        ('acme widgets, inc. of "old town"', "Acme Widgets, Inc.  of “Old Town”", "verbatim"),
        ("Acme Widgets Inc", "Acme Widgets, Inc", "normalised"),
        ("Jane Doe", "Doe, Jane", "scattered"),
        ("2024-03-31", "31 March 2024", "normalised"),
        ("2024-03-31T00:00:00", "31 March 2024", "normalised"),
        ("2024-05-04", "04/05/2024", "normalised"),
        ("2024-04-05", "04/05/2024", "normalised"),
        ("2024-03", "March 2024", "normalised"),
        (1234.5, "1.234,50", "normalised"),
        (0.19, "19 %", "normalised"),
        (19, "19 %", "normalised"),
        (3_200_000, "3.2 million", "normalised"),
        (12345, "12 345", "normalised"),
        (-450, "450", "normalised"),
        (3, "three", "normalised"),
        ("EUR 1234.50", "1.234,50", "normalised"),
        ("1.234,5 €", "1.234,50", "normalised"),
        ("$3200000", "3.2 million", "normalised"),
    ],
)
def test_a_value_is_found_as_it_is_written(value: object, quote: str, kind: str) -> None:
    assert found(value) == (quote, kind)


@pytest.mark.parametrize("value", ["INV-19", "A19", "A-19", "19 kg", "CHF 1234.50", "19/7", "№ 19"])
def test_a_code_or_an_amount_is_not_borne_out_by_its_digits_alone(value: str) -> None:
    assert found(value) is None


@pytest.mark.parametrize(
    "value",
    ["Globex", "INV-2024-001", "acm", "2024-03-30", 1234.51, 7, "Jane Smith", 2025, "", "   ", "—", 1e308],
)
def test_a_value_that_is_not_there_is_not_found(value: object) -> None:
    assert found(value) is None


def test_offsets_hold_where_characters_change_their_number_when_compared() -> None:
    text = "İstanbul ﬁle ﬀ  Straße 5\u00ad0 ends"
    assert found("strasse 50", text) == ("Straße 5\u00ad0", "verbatim")


def test_a_long_text_of_digits_and_blanks_is_searched_quickly() -> None:
    text = "1 2 3 4 5 6 7 8 9 0 " * 5_000 + "(" * 50_000 + "1.1.1.1." * 5_000
    started = time.monotonic()
    EvidenceText(text).places(987654.25)
    EvidenceText(text).places("2024-01-01")
    EvidenceText(text).places("a b c d")
    assert time.monotonic() - started < 3
