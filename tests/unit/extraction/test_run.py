"""Reading data out of documents with a model that says what it is told to."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from rag.errors import CancelledTaskError, InvalidInputError, UpstreamError
from rag.extraction.citations import field_metadata
from rag.extraction.infer import infer_schema
from rag.extraction.parts import cut, halves, read_ranges
from rag.extraction.run import MAX_REPAIRS, Extraction, Wish, extract
from rag.extraction.schemas import read_schema
from rag.extraction.trees import Citation, Found, joined
from rag.extraction.wishes import read_wish, without_effect
from rag.types import Document, PageSpan, Part

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name"],
}


def an_object(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


class Model:
    """Answers one thing after the other, the last for ever; or what a function makes of the text."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        self.instructions: list[str] = []

    def __call__(self, instruction: str, text: str, _schema: Mapping[str, Any]) -> str:
        data = json.loads(text)
        self.asked.append(data)
        self.instructions.append(instruction)
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        found = answer(data["text"]) if callable(answer) else answer
        return found if isinstance(found, str) else json.dumps(found)


def a_document(text: str, **facts: Any) -> Document:
    return Document(text, "TextParser", **facts)


def read(text: str | Document, schema: dict[str, Any], *answers: Any, **wish: Any) -> tuple[Extraction, Model]:
    model = Model(*answers)
    document = text if isinstance(text, Document) else a_document(text)
    return extract(document, read_schema(schema), model, Wish(**wish)), model


def failing(text: str, schema: dict[str, Any], *answers: Any, **wish: Any) -> str:
    with pytest.raises(InvalidInputError) as caught:
        read(text, schema, *answers, **wish)
    return str(caught.value)


def test_what_is_not_there_is_left_out_or_null_where_the_schema_says_so() -> None:
    schema = an_object(
        "name", "nick", a={"type": "string"}, name={"type": "string"}, nick={"type": ["string", "null"]},
        tags={"type": "array", "items": {"type": "string"}},
    )  # fmt: skip
    found, _ = read("Bob is here", schema, {"name": "Bob", "a": None, "nick": None, "tags": None})
    assert found.data == {"name": "Bob", "nick": None}


def test_a_required_list_of_nothing_is_an_empty_one() -> None:
    found, _ = read("Bob", an_object("tags", tags={"type": "array", "items": {"type": "string"}}), {"tags": None})
    assert found.data == {"tags": []}


def test_missing_required_values_are_named_with_their_place() -> None:
    schema = an_object("boss", boss=PERSON, people={"type": "array", "items": PERSON})
    answer = {"boss": {"name": None, "age": 40}, "people": [{"name": "Bob", "age": None}, {"name": None, "age": 41}]}
    assert failing("Bob, 40, 41", schema, answer).endswith("requires: boss.name, people[1].name")
    assert failing("Bob", schema, {"boss": None}).endswith("requires: boss")


def test_values_chosen_from_a_list_need_not_stand_in_the_text() -> None:
    schema = an_object(
        kind={"enum": ["invoice", "letter"]},
        urgent={"type": "boolean"},
        score={"type": "number", "x-evidence": "derived"},
    )
    found, _ = read("Please pay.", schema, {"kind": "invoice", "urgent": True, "score": 0.7})
    assert found.data == {"kind": "invoice", "urgent": True, "score": 0.7}


@pytest.mark.parametrize(
    ("strictness", "expected"),
    [
        ("strict", {}),
        ("normal", {"name": "Jane Doe", "summary": "The council approved the bridge"}),
        ("off", {"name": "Jane Doe", "summary": "The council approved the bridge", "city": "Oslo"}),
    ],
)
def test_strictness_decides_what_counts_as_evidence(strictness: Any, expected: dict[str, Any]) -> None:
    schema = an_object(name={"type": "string"}, summary={"type": "string"}, city={"type": "string"})
    answer = {"name": "Jane Doe", "summary": "The council approved the bridge", "city": "Oslo"}
    text = "Doe, Jane: On Monday the town's council has approved of building a bridge."
    found, _ = read(text, schema, answer, strictness=strictness)
    assert found.data == expected


def test_a_summary_of_something_else_is_left_out() -> None:
    found, _ = read("A bridge is built.", an_object(summary={"type": "string"}), {"summary": "Profits doubled in Asia"})
    assert found.data == {}


def test_the_model_is_told_once_what_does_not_stand_in_the_text() -> None:
    found, model = read("Bob is 40", PERSON, {"name": "Robert", "age": 40}, {"name": "Bob", "age": 40})
    assert found.data == {"name": "Bob", "age": 40}
    assert model.asked[1]["problems"] == ["name: 'Robert' does not stand in the text"]


def test_a_good_answer_is_kept_when_mending_it_fails() -> None:
    found, model = read("Bob is 40", PERSON, {"name": "Bob", "age": 41}, "I give up")
    assert found.data == {"name": "Bob"}
    assert len(model.asked) == MAX_REPAIRS + 1


def test_constraints_are_held_against_every_answer() -> None:
    schema = an_object(code={"type": "string", "pattern": "^[A-Z]{2}$"})
    found, model = read("Codes: abc and AB", schema, {"code": "abc"}, {"code": "AB"})
    assert found.data == {"code": "AB"}
    assert "does not match" in model.asked[1]["problems"][0]
    assert "no valid answer in 3 tries" in failing("abc", schema, {"code": "abc"})


def test_what_joins_several_fields_is_checked_in_the_end() -> None:
    schema = {**an_object(a={"type": "string"}, b={"type": "string"}), "minProperties": 2}
    assert "does not satisfy the schema" in failing("x y", schema, {"a": "x", "b": None})


def test_an_answer_too_long_to_end_is_asked_for_in_halves() -> None:
    schema = an_object(names={"type": "array", "items": {"type": "string"}})
    text = "".join(f"Name{n:03d} lives here.\n\n" for n in range(200))

    def names(part: str) -> Any:
        found = [word for word in part.split() if word.startswith("Name")]
        return {"names": found} if len(found) <= 60 else '{"names": ["Name000", "Na'

    found, _ = read(text, schema, names)
    assert found.data["names"] == [f"Name{n:03d}" for n in range(200)]


def test_long_documents_are_joined_by_best_evidence() -> None:
    text = "Jane wrote: Doe, Jane\n\n" + "filler words here\n\n" * 80 + "Signed by Jane Doe\n\n"
    schema = an_object(name={"type": "string"}, items={"type": "array", "items": {"type": "string"}})

    def answer(part: str) -> Any:
        items = ["filler words"] if "filler" in part else []
        return {"name": "Doe Jane" if "Doe, Jane" in part else "Jane Doe" if "Doe" in part else None, "items": items}

    found, model = read(text, schema, answer, part_chars=400)
    assert len(model.asked) > 2
    assert found.data == {"name": "Jane Doe", "items": ["filler words"]}
    quote = found.about["name"].citation
    assert text[quote.start : quote.end] == quote.quote == "Jane Doe"


def test_lists_keep_what_one_part_names_twice_and_drop_what_parts_repeat() -> None:
    def tree(*values: str) -> Any:
        return [Found(value, 1.0) for value in values]

    assert [each.value for each in joined([tree("a", "a", "b"), tree("B", "c")])] == ["a", "a", "b", "c"]  # type: ignore[union-attr]


def test_the_header_of_a_table_goes_with_each_of_its_parts() -> None:
    table = "| Item | Price |\n|---|---|\n" + "".join(f"| Thing{n} | {n}.00 |\n" for n in range(100))
    document = a_document(table)
    parts = cut(document, [(0, len(table))], 500)
    assert "".join(part.text for part in parts) == table
    assert not parts[0].heading
    assert all("| Item | Price |" in part.heading for part in parts[1:])
    assert "".join(each.text for each in halves(parts[1])) == parts[1].text


def test_what_only_the_names_of_columns_say_is_found_in_each_part_and_cited_there() -> None:
    head = "Spare parts\n\n| Item | Price (EUR) |\n|---|---|\n"
    text = head + "".join(f"| Thing{n} | {n}.00 |\n" for n in range(100))
    item = {"type": "object", "properties": {"name": {"type": "string"}, "price": {"type": "number"}, "currency": {
        "type": "string"}}}  # fmt: skip
    schema = {"type": "object", "properties": {"items": {"type": "array", "items": item}}}

    def answer(part: str) -> dict[str, Any]:
        rows = re.findall(r"\| (Thing(\d+)) \|", part)
        return {"items": [{"name": name, "price": int(price), "currency": "EUR"} for name, price in rows]}

    found, model = read(text, schema, answer, part_chars=500)
    assert len(model.asked) > 2
    assert not found.warnings
    assert found.data["items"] == [{"name": f"Thing{n}", "price": n, "currency": "EUR"} for n in range(100)]
    for number, each in enumerate(found.about["items"]):
        assert each["currency"].citation.start == text.index("EUR")
        assert each["price"].citation.start == text.index(f"| {number}.00 |") + 2
        assert all(text[of.citation.start : of.citation.end] == of.citation.quote for of in each.values())


def test_objects_of_different_things_are_not_mixed() -> None:
    def party(name: str | None, city: str | None, *tags: str) -> Any:
        return {"seller": {"name": Found(name, 1.0), "city": Found(city, 1.0), "tags": [Found(tag) for tag in tags]}}

    def said(*trees: Any) -> Any:
        seller = joined(trees)["seller"]  # type: ignore[index,call-overload]
        return seller["name"].value, seller["city"].value, [each.value for each in seller["tags"]]

    assert said(party("Acme", None, "a"), party("Doe", "Berlin", "b")) == ("Doe", "Berlin", ["b"])
    assert said(party("Acme Inc.", None, "a"), party("ACME", "Paris", "b")) == ("Acme Inc.", "Paris", ["a", "b"])
    assert said(party("Acme", "Paris"), party("Doe", "Berlin")) == ("Acme", "Paris", [])
    assert said(party(None, None), party(None, "Berlin")) == (None, "Berlin", [])


def test_one_number_written_in_two_ways_is_one_value() -> None:
    def tree(*values: object) -> Any:
        return [{"of": Found(value, 1.0)} for value in values]

    kept = joined([tree(90, -90, True), tree(90.0, 1, "90")])
    assert [each["of"].value for each in kept] == [90, -90, True, 1, "90"]  # type: ignore[union-attr,index]


def test_parts_are_cut_where_text_has_no_break_at_all() -> None:
    text = "x" * 1_050
    parts = cut(a_document(text), [(0, len(text))], 100)
    assert "".join(part.text for part in parts) == text
    assert max(len(part.text) for part in parts) == 100


def test_pages_stand_in_the_citations() -> None:
    text = "Anvil 12.50\n\nRope 3.25"
    pages = (PageSpan(1, 0, 11), PageSpan(2, 13, len(text)))
    document = a_document(text, pages=pages, page_count=2)
    found, _ = read(document, an_object(price={"type": "number"}), {"price": 3.25})
    about = field_metadata(found.about, document)
    assert about["price"]["citation"] == [{"page": 2, "matching_text": "3.25", "start_char": 18, "end_char": 22}]
    assert field_metadata(Found(1, 0.5, Citation(0, 1, "1"), "x"), document, cites=False, scores=False) == {
        "reasoning": "x"
    }


def test_by_page_each_page_is_read_alone_and_bad_pages_are_named() -> None:
    text = "Bob 40\n\nnobody\n\nage 50"
    pages = (PageSpan(1, 0, 6), PageSpan(2, 8, 14), PageSpan(3, 16, len(text)))

    def answer(part: str) -> Any:
        numbers = [int(word) for word in part.split() if word.isdecimal()]
        return {"name": "Bob" if "Bob" in part else None, "age": numbers[0] if numbers else None}

    document = a_document(text, pages=pages, page_count=3)
    found, model = read(document, PERSON, answer, target="per_page")
    assert [each["text"].strip() for each in model.asked] == ["Bob 40", "nobody", "age 50"]
    assert (found.data, found.pages) == ([{"name": "Bob", "age": 40}], [1])
    assert found.warnings == ["page 3 is left out: the document does not say what the schema requires: name"]


def test_sheets_that_are_not_asked_for_are_not_read() -> None:
    text = "Bob 40\n\nAnn 50"
    document = a_document(text, parts=(Part("sheet", "A", 0, 6), Part("sheet", "B", 8, len(text))))
    _, model = read(document, PERSON, {"name": "Ann", "age": 50}, sheets=("B",))
    assert [each["text"] for each in model.asked] == ["Ann 50"]


def test_a_document_without_words_has_nothing() -> None:
    assert "requires: name" in failing("   ", PERSON, {"name": "Bob"})


def test_guidance_reaches_the_model_apart_from_the_text() -> None:
    _, model = read("Bob", PERSON, {"name": "Bob", "age": None}, guidance="Ages are in dog years.")
    assert "Ages are in dog years." in model.instructions[0]
    assert "Bob" not in model.instructions[0]


def test_a_server_that_fails_ends_the_reading() -> None:
    with pytest.raises(UpstreamError):
        read("Bob", PERSON, UpstreamError("away"))


def test_reading_stops_where_progress_is_reported() -> None:
    def cancelled(done: int, _total: int) -> None:
        if done == 1:
            raise CancelledTaskError("cancelled")

    model = Model({"name": "Bob", "age": None})
    with pytest.raises(CancelledTaskError):
        extract(a_document("Bob\n\n" * 500), PERSON, model, Wish(part_chars=500), cancelled)
    assert len(model.asked) == 1


@pytest.mark.parametrize(
    ("written", "ranges"), [("1", [(1, 1)]), ("1, 3-5 ,7", [(1, 1), (3, 5), (7, 7)])], ids=["one", "several"]
)
def test_page_ranges_are_read(written: str, ranges: list[tuple[int, int]]) -> None:
    assert read_ranges(written) == ranges


@pytest.mark.parametrize("written", ["0", "3-1", "a", "1,,2", "1-", "-1", "1;2", "9" * 30])
def test_other_page_ranges_are_refused(written: str) -> None:
    with pytest.raises(InvalidInputError, match="page range"):
        read_ranges(written)


def test_options_of_both_generations_are_read() -> None:
    old = read_wish({"extraction_target": "PER_TABLE_ROW", "page_range": "2-3", "chunk_mode": "PAGE"})
    assert (old.target, old.pages, old.is_cut_at_pages) == ("per_table_row", ((2, 3),), True)
    new = read_wish({"extraction_target": "per_page", "max_pages": 4, "sheet_names": ["A"], "system_prompt": "x"})
    assert (new.target, new.max_pages, new.sheets, new.guidance) == ("per_page", 4, ("A",), "x")
    assert without_effect({"tier": "agentic", "use_reasoning": False, "max_pages": 3}) == ["tier"]


def test_a_schema_is_made_of_what_the_model_names() -> None:
    fields = [
        {"name": "Full Name!", "type": "string", "description": "Who.", "is_list": False},
        {"name": "tags", "type": "string", "is_list": True},
        {"name": "", "type": "string"},
        {"name": "odd", "type": "poem"},
        "no field",
    ]
    schema = infer_schema(Model(lambda _: {"fields": fields}), text="Bob")
    assert schema["properties"] == {
        "full_name": {"type": "string", "description": "Who."},
        "tags": {"type": "array", "items": {"type": "string"}},
        "odd": {"type": "string"},
    }
    assert "required" not in schema


@pytest.mark.parametrize("answer", [{"fields": []}, {"fields": None}, {}], ids=["none", "null", "nothing"])
def test_a_model_that_names_no_field_makes_no_schema(answer: Any) -> None:
    with pytest.raises(InvalidInputError, match="named no field"):
        infer_schema(Model(lambda _: answer), text="Bob")


def test_there_has_to_be_something_to_make_a_schema_of() -> None:
    with pytest.raises(InvalidInputError, match="give a prompt"):
        infer_schema(Model({}))
