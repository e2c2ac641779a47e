"""Which of several places a value is cited from."""

import time
from typing import Any

import pytest

from rag.extraction.parts import TextPart
from rag.extraction.trees import Found, Judge, leaves

LINES = (
    "Invoice INV-2 of 2 March 2024\nSeller: Acme, Berlin\nBuyer: Doe, Berlin\n\n"
    "| Item | Qty | Price | Currency | Amount |\n| --- | --- | --- | --- | --- |\n"
    "| Bolt | 2 | 2.00 | EUR | 4.00 |\n| Nut | 10 | 0.40 | EUR | 4.00 |\n| Bolt | 2 | 2.00 | EUR | 4.00 |\n\n"
    "Subtotal: 16.00\nVAT: 0.00\nTotal: 16.00 EUR\n"
)


def judged(value: Any, text: str = LINES) -> Any:
    return Judge(TextPart(0, len(text), text), "normal").judge(value, {"type": "object"})


def line(found: Found, text: str = LINES) -> str:
    """The line of a citation, with the quote in brackets."""
    assert found.citation is not None
    start, end = found.citation.start, found.citation.end
    assert text[start:end] == found.citation.quote
    first, last = text.rfind("\n", 0, start) + 1, text.find("\n", end)
    return f"{text[first:start]}[{text[start:end]}]{text[end:last]}"


def test_values_of_a_row_are_cited_from_that_row() -> None:
    rows = [("Bolt", 2, 2.0, "EUR", 4.0), ("Nut", 10, 0.4, "EUR", 4.0), ("Bolt", 2, 2.0, "EUR", 4.0)]
    names = ("item", "qty", "price", "currency", "amount")
    tree = judged({"lines": [dict(zip(names, row, strict=True)) for row in rows]})
    cited = [[line(found) for found in leaves(row)] for row in tree["lines"]]
    assert cited[0] == [
        "| [Bolt] | 2 | 2.00 | EUR | 4.00 |",
        "| Bolt | [2] | 2.00 | EUR | 4.00 |",
        "| Bolt | 2 | [2.00] | EUR | 4.00 |",
        "| Bolt | 2 | 2.00 | [EUR] | 4.00 |",
        "| Bolt | 2 | 2.00 | EUR | [4.00] |",
    ]
    assert all("Nut" in each for each in cited[1])
    assert cited[2] == cited[0]
    starts = [[found.citation.start for found in leaves(row)] for row in tree["lines"]]
    assert min(starts[2]) > max(starts[1]) > min(starts[1]) > max(starts[0])


@pytest.mark.parametrize(("name", "expected"), [("total", "Total: [16.00] EUR"), ("subtotal", "Subtotal: [16.00]")])
def test_a_value_is_cited_behind_the_name_of_its_field(name: str, expected: str) -> None:
    assert line(judged({name: 16})[name]) == expected
    assert line(judged({"of": "INV-2", f"{name}Sum": 16})[f"{name}Sum"]) == expected


def test_values_of_an_inner_object_are_cited_together() -> None:
    tree = judged({"buyer": {"name": "Doe", "city": "Berlin"}, "seller": {"name": "Acme", "city": "Berlin"}})
    assert line(tree["buyer"]["city"]) == "Buyer: Doe, [Berlin]"
    assert line(tree["seller"]["city"]) == "Seller: Acme, [Berlin]"


def test_a_number_is_not_cited_from_a_code_or_a_day_where_it_stands_by_itself() -> None:
    assert line(judged({"quantity": 2})["quantity"]) == "| Bolt | [2] | 2.00 | EUR | 4.00 |"
    assert line(judged({"year": 2024})["year"]) == "Invoice INV-2 of 2 March [2024]"


def test_letters_are_cited_as_they_are_written_where_they_are() -> None:
    text = "a class of a school\nGrade: A\n"
    assert line(judged({"class": "A"}, text)["class"], text) == "Grade: [A]"
    assert line(judged({"class": "SCHOOL"}, text)["class"], text) == "a class of a [school]"


def test_an_item_that_is_written_over_several_lines_is_cited_from_its_own() -> None:
    text = "Name: Bolt\nStock: 5\nMinimum: 5\n\nName: Nut\nStock: 5\nMinimum: 7\n"
    tree = judged({"parts": [
        {"name": "Bolt", "stock": 5, "minimum": 5}, {"name": "Nut", "stock": 5, "minimum": 7}]}, text)  # fmt: skip
    places = [[found.citation.start for found in leaves(part)] for part in tree["parts"]]
    assert places == [
        [text.index("Bolt"), text.index("5"), text.index("5", text.index("Min"))],
        [text.index("Nut"), text.rindex("5"), text.index("7")],
    ]


def test_a_long_table_of_equal_values_is_cited_row_by_row() -> None:
    rows = [{"item": f"Bolt {number % 7}", "qty": 2, "price": 2.0, "currency": "EUR"} for number in range(700)]
    text = "".join(f"| {row['item']} | 2 | 2.00 | EUR |\n" for row in rows)
    started = time.monotonic()
    tree = judged({"rows": rows}, text)
    assert time.monotonic() - started < 10, "not each place is weighed for each value"
    lines = [[text.count("\n", 0, found.citation.start) for found in leaves(row)] for row in tree["rows"]]
    assert lines == [[number] * 4 for number in range(700)]
