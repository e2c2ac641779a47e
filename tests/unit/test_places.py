"""Citations in words: one wording for prompts, tools and the command line."""

import pytest

from rag.places import cited, place_of, places


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, ""),
        ({"page_number": 3, "page_start": 3, "page_end": 3}, "page 3"),
        ({"page_start": 3, "page_end": 5}, "pages 3–5"),
        ({"page": 7}, "page 7"),
        ({"page_label": "iv"}, "page iv"),
        ({"slide_number": 4, "page_start": 4, "page_end": 4, "heading_path": "Goals"}, "slide 4"),
        ({"sheet": "Prices", "heading_path": "Prices"}, "sheet 'Prices'"),
        ({"chapter": "The Mast", "heading_path": "The Mast > Rope"}, "chapter 'The Mast'"),
        ({"member": "reports/2024.pdf", "page_start": 2, "page_end": 2}, "member 'reports/2024.pdf', page 2"),
        ({"sheet": "A", "member": "b.xlsx", "attachment": "c.zip"}, "attachment 'c.zip', member 'b.xlsx', sheet 'A'"),
        ({"heading_path": "Leave > Sick leave"}, "section 'Leave > Sick leave'"),
    ],
)
def test_place_is_said_from_the_outside_in(metadata: dict[str, object], expected: str) -> None:
    assert place_of(metadata) == expected


def test_name_of_another_programs_file_is_found() -> None:
    assert cited({"file_name": "old.pdf", "page": 2}) == "old.pdf, page 2"
    assert cited({}, "shown.pdf") == "shown.pdf"
    assert cited({}) == "unknown file"


def test_long_or_broken_names_stay_on_one_short_line() -> None:
    [(kind, name)] = places({"sheet": "a\nb " + "c" * 500})
    assert kind == "sheet"
    assert name.startswith("a b c")
    assert len(name) == 200
