"""What every extractor promises, and what each finds."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import InvalidInputError
from rag.extractors import extractors
from rag.types import Document, Heading, Scalar

TEXT = """# Wing tests

Dr. Ada Smith of Acme Research Institute met the team on 3 May 2024 at 14:30. The wing tests cost $2.5 million,
5% more than last year. See https://example.org/wing?id=3, or write to ada@example.org. The wing tests took 3 weeks.

## Results

Wing flutter began at Mach 2. Under 21 CFR 208.24(d) a guide is due. Files are in /data/wing/run.csv and s3://lab/wing.

| run | speed |
|-----|-------|
| 1   | 300   |
| 2   | 340   |
"""
DOCUMENT = Document(
    TEXT,
    "test",
    headings=(Heading(0, 1, "Wing tests"), Heading(TEXT.index("## R"), 2, "Results")),
    metadata={"filename": "reports/wing.md"},
)

# name, options, what must be in the result
FINDINGS: list[tuple[str, dict[str, Any], dict[str, Scalar | list[str]]]] = [
    ("ContentStatisticsExtractor", {}, {"character_count": len(TEXT), "paragraph_count": 5}),
    ("StatisticsExtractor", {"include_sentiment_indicators": True}, {"sentiment_score": 0.0}),
    ("DateTimeExtractor", {}, {"dates": ["2024-05-03"], "times": ["14:30"], "relative_dates": ["last year"]}),
    ("DateTimeExtractor", {"date_format": "%d/%m/%Y"}, {"dates": ["03/05/2024"], "durations": ["3 weeks"]}),
    ("EntityExtractor", {}, {"entities_person": ["Dr. Ada Smith"], "entities_org": ["Acme Research Institute"]}),
    ("EntityExtractor", {}, {"entities_money": ["$2.5 million"], "entities_percent": ["5%"]}),
    ("EntityExtractor", {"entity_types": ["LAW"]}, {"entities_law": ["21 CFR 208.24(d)"]}),
    ("HeadingExtractor", {}, {"headings": ["Wing tests", "Results"], "outline": "Wing tests\n  Results"}),
    ("HeadingExtractor", {"max_level": 1}, {"headings": ["Wing tests"]}),
    (
        "KeywordExtractor",
        {"algorithm": "textrank", "max_length": 1, "max_keywords": 1},
        {"textrank_keywords": ["wing"]},
    ),
    ("KeywordExtractor", {"min_frequency": 2, "max_keywords": 1}, {"rake_keywords": ["wing"]}),
    ("TFIDFExtractor", {"max_keywords": 1}, {"tfidf_keywords": ["wing"], "combined_keywords": ["wing"]}),
    ("YAKEExtractor", {"max_keywords": 1}, {"yake_keywords": ["wing tests"]}),
    ("LinkExtractor", {}, {"links": ["https://example.org/wing?id=3"], "emails": ["ada@example.org"]}),
    ("LinkExtractor", {"extract_file_paths": True}, {"domains": ["example.org"], "file_paths": ["/data/wing/run.csv"]}),
    ("PathExtractor", {}, {"file_name": "wing.md", "directory": "reports", "file_extension": ".md"}),
    ("PathExtractor", {}, {"mentioned_paths": ["/data/wing/run.csv"], "s3_paths": ["s3://lab/wing"]}),
    ("PatternExtractor", {"patterns": ["date", "percentage"]}, {"patterns_date": ["3 May 2024"]}),
    (
        "PatternExtractor",
        {"custom_patterns": [{"name": "mach", "pattern": r"mach \d"}], "return_positions": True},
        {"patterns_mach": ["Mach 2"], "patterns_mach_positions": [f"{TEXT.index('Mach')}-{TEXT.index('Mach') + 6}"]},
    ),
    ("SummaryExtractor", {"summary_sentences": 1}, {"summary": "The wing tests took 3 weeks."}),
    ("TableExtractor", {"output_format": "csv"}, {"tables": ["run,speed\n1,300\n2,340\n"], "table_count": 1}),
    ("TableExtractor", {"output_format": "list"}, {"tables": ['[["run", "speed"], ["1", "300"], ["2", "340"]]']}),
    ("UniversalExtractor", {}, {"language": "en", "entities_email": ["ada@example.org"]}),
]

PATTERN_MATCHES = [
    ("email", "x.y+z@mail.example.org, a@b", ["x.y+z@mail.example.org"]),
    ("phone", "+49 30 1234 5678 or (555) 123-4567, not 2024-05-01", ["+49 30 1234 5678", "(555) 123-4567"]),
    (
        "phone",
        (
            "+49 30 901820; 030 901820 or (030) 90 18 20; +44 (0)20 7946 0958, 01 23 45 67 89, 0171/1234567 "
            "or 555-123-4567 "
            "(1-800-555-0199). 01711234567, +4930901820, (040 123456)"
        ),
        [
            "+49 30 901820",
            "030 901820",
            "(030) 90 18 20",
            "+44 (0)20 7946 0958",
            "01 23 45 67 89",
            "0171/1234567",
            "555-123-4567",
            "1-800-555-0199",
            "01711234567",
            "+4930901820",
            "040 123456",
        ],
    ),
    (
        "phone",
        (
            "030 901820 since 2024-05-01; not 078-05-1120, 123-45-6789, "
            "4111 1111 1111 1111, 4111 0111 1111 1111, "
            "DE89 3704 0044 0532 0130 00, 192.168.0.1, 192.168, 12.345.678, "
            "1,234,567, 01.02.2024, 01/02/2024, 1.234.567,8, "
            "978-0-306-40615-7, 550e8400-e29b-41d4-a716-446655440000, "
            "+12345678901234567, 123456789012 or 2024-05-01 10 12"
        ),
        ["030 901820"],
    ),
    ("url", "(see https://a.org/b_(c)?d=1). ftp://x.y", ["https://a.org/b_(c)?d=1", "ftp://x.y"]),
    ("ip", "10.0.0.1, 256.1.1.1, 1.2.3.4.5", ["10.0.0.1"]),
    ("ssn", "123-45-6789 000-12-3456", ["123-45-6789"]),
    ("credit_card", "4111 1111 1111 1111 and 4111 1111 1111 1112", ["4111 1111 1111 1111"]),
    ("zip_code", "10115 and 90210-1234 and 123456", ["10115", "90210-1234"]),
    ("file_path", r"C:\tmp\a.txt, ./b/c.py, /etc/hosts.", [r"C:\tmp\a.txt", "./b/c.py", "/etc/hosts"]),
    ("version", "v1.2.3, 2.0.0-rc.1 and 1.2.3.4", ["v1.2.3", "2.0.0-rc.1"]),
    (
        "date",
        "1 Jan 2020, March 3rd, 2021, 2022-04-05, 6/7/2023",
        ["1 Jan 2020", "March 3rd, 2021", "2022-04-05", "6/7/2023"],
    ),
    ("isbn", "978-0-306-40615-7 and 978-0-306-40615-8", ["978-0-306-40615-7"]),
    ("doi", "doi:10.1000/xyz123.", ["10.1000/xyz123"]),
    ("uuid", "550e8400-e29b-41d4-a716-446655440000", ["550e8400-e29b-41d4-a716-446655440000"]),
    ("hashtag", "#rag #1 a#b", ["#rag"]),
    ("mention", "@ada a@b", ["@ada"]),
    ("currency", "$1,200.50 and 30 euros", ["$1,200.50", "30 euros"]),
    ("time_24h", "23:59 and 25:00", ["23:59"]),
]


@pytest.fixture(params=list(extractors))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def extract(name: str, text: str, document: Document = DOCUMENT, **options: Any) -> dict[str, Any]:
    return dict(extractors.build(name, options).extract(text, document))


@pytest.mark.parametrize(("name", "options", "expected"), FINDINGS, ids=[f"{row[0]}-{row[1]}" for row in FINDINGS])
def test_finds(name: str, options: dict[str, Any], expected: dict[str, Any]) -> None:
    result = extract(name, TEXT, **options)
    assert {key: result.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"), PATTERN_MATCHES, ids=[f"{row[0]}-{row[1][:12]}" for row in PATTERN_MATCHES]
)
def test_predefined_pattern(pattern: str, text: str, expected: list[str]) -> None:
    assert extract("PatternExtractor", text, predefined_patterns=[pattern]) == {f"patterns_{pattern}": expected}


ESCAPED = r"""
| name | rule |
|---|---|
| or | a\|b |
| pipe | \| |
"""

SENTENCES = {
    "en": "The ovens are cleaned in the morning, and this is written down for the office with the time of the day.",
    "de": "Die Öfen werden am Morgen gereinigt, und das ist für das Büro mit der Uhrzeit von dem Tag zu notieren.",
    "fr": "Les fours sont nettoyés le matin et cela est noté pour le bureau avec une heure dans les cahiers des jours.",
    "es": "Los hornos se limpian por la mañana y se apunta para la oficina con una hora, como todos los días.",
    "it": "I forni sono puliti la mattina e questo è scritto per gli uffici con una data che non cambia.",
    "pt": "Os fornos são limpos de manhã, e isso não é feito para uma hora em que os clientes mais compram.",
    "nl": "De ovens worden in de ochtend schoongemaakt en dat is niet voor het kantoor maar op de lijst met een naam.",
}


@pytest.mark.parametrize("code", SENTENCES)
@pytest.mark.parametrize("extractor", ["UniversalExtractor", "ContentStatisticsExtractor"])
def test_the_language_of_a_sentence_is_found_unless_the_file_says_another(extractor: str, code: str) -> None:
    assert extract(extractor, SENTENCES[code])["language"] == code
    source = Document(SENTENCES[code], "test", metadata={"language": "Python"})
    assert "language" not in extract(extractor, SENTENCES[code], source)


@pytest.mark.parametrize(
    "text",
    [
        "Re: das Angebot",
        '<van id="de"><in/></van> een',
        "de la",
        "x = 1\nfor item in items:\n    total += item.price * item.count\n",
    ],
)
def test_little_text_has_no_language(text: str) -> None:
    assert "language" not in extract("UniversalExtractor", text)


def test_escaped_pipes_belong_to_their_cell() -> None:
    rows = json.loads(extract("TableExtractor", ESCAPED, output_format="list")["tables"][0])
    assert rows == [["name", "rule"], ["or", "a|b"], ["pipe", "|"]]
    as_markdown = extract("TableExtractor", ESCAPED, output_format="markdown")["tables"][0]
    assert r"| or | a\|b |" in as_markdown


def test_statistics_count() -> None:
    result = extract("ContentStatisticsExtractor", "One two. Two three.\n\nFour.")
    assert (result["word_count"], result["unique_word_count"], result["sentence_count"]) == (5, 4, 3)
    assert result["paragraph_count"] == 2


def test_result_is_json_of_scalars_and_lists_of_text(name: str) -> None:
    result = extract(name, TEXT)
    assert json.loads(json.dumps(result)) == result
    for value in result.values():
        assert isinstance(value, str | int | float | bool | list)
        if isinstance(value, list):
            assert value
            assert all(isinstance(each, str) for each in value)


def test_same_text_gives_the_same_result(name: str) -> None:
    assert extract(name, TEXT) == extract(name, TEXT)


def test_empty_text_gives_at_most_facts_of_the_file(name: str) -> None:
    assert extract(name, "", Document("", "test")) == {}


def test_unknown_option_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match="max_keywrods"):
        extractors.build(name, {"max_keywrods": 3})


@given(st.text(max_size=300) | st.text(alphabet="|+-=, \n\"'[]()#@:/.0123aA$%", max_size=300))
def test_odd_text_never_fails(text: str) -> None:
    for each in extractors:
        extract(each, text, Document(text, "test"))
    extract("PatternExtractor", text, predefined_patterns=[row[0] for row in PATTERN_MATCHES])


@pytest.mark.parametrize(
    "unit", ["a", "1", "1 ", "a.", "A ", "Aa ", "/a", "(1", "a-", "$1,", "|a", ",", "\n", "a@", "'", "#"]
)
def test_time_is_linear_for_hostile_text(unit: str) -> None:
    text = unit * (60_000 // len(unit))
    document = Document(text, "test")
    began = time.perf_counter()
    for each in extractors:
        extract(each, text, document)
    extract("PatternExtractor", text, document, predefined_patterns=[row[0] for row in PATTERN_MATCHES])
    assert time.perf_counter() - began < 10.0  # quadratic work takes minutes at this size


def test_pattern_of_exponential_time_is_stopped() -> None:
    began = time.perf_counter()
    extract("PatternExtractor", "a" * 5_000 + "!", custom_patterns=[{"name": "bad", "pattern": r"(?:a|aa|a?)+$"}])
    assert time.perf_counter() - began < 3.0


@pytest.mark.parametrize("options", [{"patterns": ["emial"]}, {"custom_patterns": [{"name": "x", "pattern": "("}]}])
def test_wrong_pattern_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=r"emial|regular expression"):
        extractors.build("PatternExtractor", options)


def test_keywords_by_several_methods_are_combined() -> None:
    result = extract("KeywordExtractor", TEXT, methods=["rake", "tfidf"], max_combined_keywords=4)
    assert result["combined_keywords"][0] == result["rake_keywords"][0]
    assert len(result["combined_keywords"]) == 4


def test_of_two_spellings_of_an_option_the_first_known_one_wins() -> None:
    result = extract("KeywordExtractor", "red wing tests", max_ngram_size=1, max_length=3)
    assert result["rake_keywords"] == ["red wing tests"]
