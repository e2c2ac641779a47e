"""How well bundles of invoices, letters, reports and medical records are taken apart, with nothing but words.

The bounds guard against getting worse.
"""

import random
import re

import orjson
import pytest

from rag.embedders import embedders
from rag.splitting.asking import NONE
from rag.splitting.boundaries import starts
from rag.splitting.classify import classify
from rag.splitting.evidence import Embed
from rag.splitting.labels import Category, Page, others
from rag.splitting.segments import Policy, Segment
from rag.splitting.split import ask_model, look, split
from tests.unit.splitting.documents import CATEGORIES, POEM, RECIPE, bundle, make

SEEDS = range(6)


@pytest.fixture(scope="module")
def embed() -> Embed:
    return embedders.build("HashEmbedder", {"dimension": 256}).embed_documents


def taken_apart(pages: list[Page], embed: Embed, policy: Policy) -> list[Segment]:
    return split(CATEGORIES, pages, look(pages, CATEGORIES, embed), policy)


@pytest.mark.parametrize(("strangers", "least"), [(False, 0.98), (True, 0.88)], ids=["known kinds", "with strangers"])
def test_pages_get_their_kind(embed: Embed, strangers: bool, least: float) -> None:
    right, count, sure_right, sure = 0, 0, 0, 0
    for seed in SEEDS:
        pages, kinds, _ = bundle(seed, 12, strangers=strangers)
        for segment in taken_apart(pages, embed, "include" if strangers else "forbid"):
            hits = [segment.category == kinds[number - 1] for number in segment.pages]
            right, count = right + sum(hits), count + len(hits)
            if segment.level == "high":
                sure_right, sure = sure_right + sum(hits), sure + len(hits)
    assert right / count >= least
    assert sure >= count / 3, "confidence is of no use when it is never high"
    assert sure_right / sure >= 0.95, "what is said with high confidence is right"


def test_documents_begin_where_they_begin(embed: Embed) -> None:
    found_right, found_count, count = 0, 0, 0
    for seed in SEEDS:
        pages, _, begins = bundle(seed, 12)
        found = {each.pages[0] for each in taken_apart(pages, embed, "forbid")}
        found_right, found_count, count = (
            found_right + len(found & set(begins)),
            found_count + len(found),
            count + len(begins),
        )
    assert found_right / found_count >= 0.97
    assert found_right / count >= 0.8


@pytest.mark.parametrize("kind", [each.name for each in CATEGORIES])
def test_a_whole_document_gets_its_type_and_a_reason(embed: Embed, kind: str) -> None:
    for seed in SEEDS:
        pages = [Page(at, text) for at, text in enumerate(make(kind, random.Random(seed)).pages, 1)]
        found = classify(pages, CATEGORIES, embed)
        assert found.name == kind, found
        assert 0.4 <= found.confidence <= 1
        assert kind in found.reasoning


def test_a_reason_has_words_as_they_stand_in_the_text_and_no_more_digits_than_are_known(embed: Embed) -> None:
    rules = [Category("release notes", "releases and their relevant changes"), Category("poem", "verses")]
    found = classify([Page(1, "RELEASES of this year\nThe relevant change: it reveals policies.")], rules, embed)
    assert found.name == "release notes"
    assert "words of 'release notes': " in found.reasoning
    shown = found.reasoning.split(": ")[1].split(".")[0].split(", ")
    assert set(shown) == {"RELEASES", "relevant", "change"}
    assert round(found.confidence, 2) == found.confidence < 1
    assert all(len(number) <= 2 for number in re.findall(r"\d\.(\d+)", found.reasoning))


def test_a_recipe_is_of_no_type(embed: Embed) -> None:
    found = classify([Page(1, RECIPE)], CATEGORIES, embed)
    assert found.name is None
    assert "No rule fits" in found.reasoning
    assert classify([Page(1, "  \n")], CATEGORIES, embed).confidence == 0


def test_everyday_kinds_that_a_category_means_do_not_stand_against_it() -> None:
    assert "letter" not in {each.name for each in others([Category("cover_letters", "")])}
    assert "tax form" not in {each.name for each in others([Category("Steuer", "tax forms and other official forms")])}


@pytest.mark.parametrize(
    ("before", "page", "begins"),
    [
        ("text\nPage 1 of 1", "text\nPage 1 of 2", True),
        ("text\nPage 1 of 2", "text\nPage 2 of 2", False),
        ("text\nSeite 3 von 3", "text\nSeite 1 von 4", True),
        ("text\n4", "text\n5", False),
        ("text\n4", "text\n1", True),
        ("Invoice No. 17\ntext.", "Invoice No. 18\ntext.", True),
        ("Invoice No. 17\ntext.", "Invoice No. 17\ntext.", False),
        ("text\nYours sincerely,\nA. B.", "Dear C,\nthank you", True),
        ("and so the whole of the matter", "was settled at last.", False),
        ("text", "", False),
    ],
)
def test_what_is_printed_says_whether_a_document_begins(before: str, page: str, begins: bool) -> None:
    first, chance = starts([Page(1, before), Page(2, page)])
    assert first == 1
    assert (chance > 0.5) == begins


def test_a_model_is_asked_about_doubtful_pages_alone_and_its_word_counts(embed: Embed) -> None:
    strange = "Zu Ihrer Kenntnis: Vorgang geprüft, keine Beanstandung."
    pages = [Page(1, make("medical record", random.Random(1)).pages[0]), Page(2, strange), Page(3, POEM)]
    asked: list[int] = []

    def ask(instruction: str, data: str, schema: object) -> str:
        shown = orjson.loads(data)["pages"]
        asked.extend(each["page"] for each in shown)
        kinds = {2: "letter", 3: NONE}
        entries = [
            {
                "page": each["page"],
                "category": kinds.get(each["page"], "invoice"),
                "confidence": "high",
                "begins_document": True,
            }
            for each in shown
        ]
        return orjson.dumps({"pages": [*entries, {"page": 99, "category": "letter"}, "nonsense"]}).decode()

    looked = look(pages, CATEGORIES, embed)
    told = ask_model(pages, CATEGORIES, looked, ask, allows_none=True)
    assert 1 not in asked
    assert {2, 3} <= set(asked)
    found = [(each.category, each.pages) for each in split(CATEGORIES, pages, told, "include")]
    assert found == [("medical record", (1,)), ("letter", (2,)), ("uncategorized", (3,))]
