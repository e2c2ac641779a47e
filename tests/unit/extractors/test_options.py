"""Every extractor name and key of LlamaFarm's configuration: what it changes, or the sentence that says it does not."""

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from config.processing import plan_processing
from config.rag_section import DataProcessingStrategy, EmbeddingStrategy
from rag.chunkers.tokens import EstimatedCounter
from rag.errors import InvalidInputError
from rag.extractors import extractors
from rag.types import Document, Heading

TEXT = """INTRODUCTION

# Wing tests

Dr. Ada Smith of Acme Research Institute met the team on 03/04/2024 at 14:30, and again last week for 3 weeks. The
wing test cost $2.5 million. The wing tests cost more. See https://example.org/a/../wing, write to ada@example.org,
call +49 30 1234 5678 or ask @ada about #wings. The fault was a bad bolt of the wing. The bolt was made in Berlin.

## Results

Files are in /data/./wing/run.csv and s3://lab/wing. Account DE89 3704 0044 0532 0130 00 paid.
Wings flutter, 5% or 15% of them.

| run | speed |
|-----|-------|
| 1   | 300   |
| 2   | 340   |
"""
DOCUMENT = Document(
    TEXT,
    "test",
    headings=(Heading(TEXT.index("# W"), 1, "Wing tests"), Heading(TEXT.index("## R"), 2, "Results")),
    metadata={"filename": "reports/2024/wing.md"},
)

CHANGES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("ContentStatisticsExtractor", {"include_readability": True}, {"include_readability": False}),
    ("ContentStatisticsExtractor", {"include_vocabulary": True}, {"include_vocabulary": False}),
    ("ContentStatisticsExtractor", {"include_structure": True}, {"include_structure": False}),
    ("ContentStatisticsExtractor", {"include_sentiment_indicators": False}, {"include_sentiment_indicators": True}),
    ("StatisticsExtractor", {"include_sentiment": False}, {"include_sentiment": True}),
    ("ContentStatisticsExtractor", {"include_language": True}, {"include_language": False}),
    ("DateTimeExtractor", {"extract_relative": True}, {"extract_relative": False}),
    ("DateTimeExtractor", {"extract_times": True}, {"extract_times": False}),
    ("DateTimeExtractor", {"extract_durations": True}, {"extract_durations": False}),
    ("DateTimeExtractor", {"date_format": "ISO"}, {"date_format": "%d.%m.%Y"}),
    ("DateTimeExtractor", {}, {"date_formats": ["%d/%m/%Y"]}),
    ("DateTimeExtractor", {}, {"formats": ["%d/%m/%Y"]}),
    ("EntityExtractor", {}, {"entity_types": ["ORG"]}),
    ("EntityExtractor", {"min_entity_length": 2}, {"min_entity_length": 15}),
    ("EntityExtractor", {"merge_entities": True}, {"merge_entities": False}),
    ("HeadingExtractor", {"max_level": 6}, {"max_level": 1}),
    ("HeadingExtractor", {"include_hierarchy": True}, {"include_hierarchy": False}),
    ("HeadingExtractor", {"extract_outline": True}, {"extract_outline": False}),
    ("HeadingExtractor", {"generate_toc": True}, {"generate_toc": False}),
    ("HeadingExtractor", {"min_heading_length": 3}, {"min_heading_length": 8}),
    ("HeadingExtractor", {"max_heading_length": 200}, {"max_heading_length": 8}),
    ("HeadingExtractor", {"enabled": True}, {"enabled": False}),
    ("KeywordExtractor", {"algorithm": "rake"}, {"algorithm": "yake"}),
    ("KeywordExtractor", {"algorithm": "tfidf"}, {"algorithm": "textrank"}),
    ("KeywordExtractor", {"max_keywords": 10}, {"max_keywords": 2}),
    ("KeywordExtractor", {"min_length": 1}, {"min_length": 12}),
    ("KeywordExtractor", {"max_length": 4}, {"max_length": 1}),
    ("KeywordExtractor", {"max_ngram_size": 3}, {"max_ngram_size": 1}),
    ("KeywordExtractor", {"min_frequency": 1}, {"min_frequency": 2}),
    ("KeywordExtractor", {}, {"stop_words": ["wing", "bolt"]}),
    ("KeywordExtractor", {"language": "en", "max_keywords": 100}, {"language": "nl", "max_keywords": 100}),
    ("KeywordExtractor", {"deduplication_threshold": 1, "max_keywords": 100}, {"max_keywords": 100}),
    ("KeywordExtractor", {"methods": ["rake"]}, {"methods": ["rake", "yake"]}),
    ("KeywordExtractor", {"combine_results": True}, {"combine_results": False}),
    ("KeywordExtractor", {"max_combined_keywords": 15}, {"max_combined_keywords": 1}),
    ("KeywordExtractor", {}, {"rake_config": {"max_keywords": 1}}),
    ("YAKEExtractor", {}, {"yake_config": {"max_length": 1}}),
    ("TFIDFExtractor", {}, {"tfidf_config": {"min_frequency": 2}}),
    ("RAKEExtractor", {}, {"max_keywords": 1}),
    ("LinkExtractor", {"extract_urls": True}, {"extract_urls": False}),
    ("LinkExtractor", {"extract_emails": True}, {"extract_emails": False}),
    ("LinkExtractor", {"extract_domains": True}, {"extract_domains": False}),
    ("LinkExtractor", {"enabled": True}, {"enabled": False}),
    ("LinkExtractor", {"extract_phone_numbers": False}, {"extract_phone_numbers": True}),
    ("LinkExtractor", {"extract_mentions": False}, {"extract_mentions": True}),
    ("LinkExtractor", {"extract_hashtags": False}, {"extract_hashtags": True}),
    ("LinkExtractor", {"extract_file_paths": False}, {"extract_file_paths": True}),
    ("PathExtractor", {"extract_file_paths": True}, {"extract_file_paths": False}),
    ("PathExtractor", {"extract_urls": True}, {"extract_urls": False}),
    ("PathExtractor", {"extract_s3_paths": True}, {"extract_s3_paths": False}),
    ("PathExtractor", {"normalize_paths": True}, {"normalize_paths": False}),
    ("PathExtractor", {"store_full_path": True}, {"store_full_path": False}),
    ("PathExtractor", {"store_filename": True}, {"store_filename": False}),
    ("PathExtractor", {"store_directory": True}, {"store_directory": False}),
    ("PathExtractor", {"store_extension": True}, {"store_extension": False}),
    ("PathExtractor", {"relative_to": None}, {"relative_to": "reports"}),
    ("PatternExtractor", {"predefined_patterns": ["email"]}, {"predefined_patterns": ["pii"]}),
    ("PatternExtractor", {"patterns": ["email"]}, {"patterns": ["iban"]}),
    ("PatternExtractor", {}, {"custom_patterns": [{"name": "x", "pattern": "wings?", "description": "of a plane"}]}),
    ("PatternExtractor", {"patterns": ["email"]}, {"patterns": ["email"], "return_positions": True}),
    ("PatternExtractor", {"patterns": ["email"]}, {"patterns": ["email"], "include_positions": True}),
    ("PatternExtractor", {"patterns": ["email"]}, {"patterns": ["email"], "include_context": True}),
    ("PatternExtractor", {"patterns": ["percentage", "file_path", "url"]}, {"patterns": ["url"]}),
    *(
        ("PatternExtractor", {"custom_patterns": [{"name": "x", "pattern": "wing"}], key: first},
         {"custom_patterns": [{"name": "x", "pattern": "wing"}], key: second})
        for key, first, second in (
            ("case_sensitive", False, True), ("max_matches_per_pattern", 100, 1), ("deduplicate_matches", True, False)
        )
    ),
    ("SummaryExtractor", {"summary_sentences": 3}, {"summary_sentences": 1}),
    ("SummaryExtractor", {"include_key_phrases": True}, {"include_key_phrases": False}),
    ("SummaryExtractor", {"include_statistics": True}, {"include_statistics": False}),
    ("SummaryExtractor", {"min_sentence_length": 10}, {"min_sentence_length": 60}),
    ("SummaryExtractor", {"max_sentence_length": 500}, {"max_sentence_length": 40}),
    ("TableExtractor", {"output_format": "dict"}, {"output_format": "markdown"}),
    ("TableExtractor", {"output_format": "list"}, {"output_format": "csv"}),
    ("TableExtractor", {"extract_headers": True}, {"extract_headers": False}),
    ("TableExtractor", {"detect_headers": True}, {"detect_headers": False}),
    ("TableExtractor", {"min_rows": 2}, {"min_rows": 4}),
    ("TableExtractor", {"min_columns": 2}, {"min_columns": 3}),
    ("TableExtractor", {"max_cell_length": 200}, {"max_cell_length": 2}),
    ("TableExtractor", {"table_formats": ["pipe", "grid", "csv"]}, {"table_formats": ["csv"]}),
    ("TableExtractor", {"enabled": True}, {"enabled": False}),
    ("UniversalExtractor", {"keyword_count": 10}, {"keyword_count": 1}),
    ("UniversalExtractor", {"extract_entities": True}, {"extract_entities": False}),
    ("UniversalExtractor", {"generate_summary": True}, {"generate_summary": False}),
    ("UniversalExtractor", {"detect_language": True}, {"detect_language": False}),
    ("UniversalExtractor", {"summary_sentences": 3}, {"summary_sentences": 1}),
    ("UniversalExtractor", {"enabled": True}, {"enabled": False}),
]  # fmt: skip

WITHOUT_EFFECT: list[tuple[str, str, Any]] = [
    ("DateTimeExtractor", "fuzzy_parsing", True),
    ("DateTimeExtractor", "default_timezone", "UTC"),
    ("DateTimeExtractor", "prefer_dates_from", "past"),
    ("EntityExtractor", "confidence_threshold", 0.7),
    ("HeadingExtractor", "detect_sections", True),
    ("LinkExtractor", "validate_urls", True),
    ("LinkExtractor", "resolve_redirects", True),
    ("LinkExtractor", "categorize_domains", True),
    ("PathExtractor", "validate_paths", True),
    ("TableExtractor", "merge_cells", True),
    ("UniversalExtractor", "use_gliner", True),
]


def extract(name: str, options: dict[str, Any], text: str = TEXT) -> dict[str, Any]:
    return dict(extractors.build(name, options).extract(text, DOCUMENT))


def warnings_of(name: str, options: dict[str, Any]) -> tuple[str, ...]:
    strategy = DataProcessingStrategy.model_validate(
        {"name": "s", "parsers": [{"type": "TextParser"}], "extractors": [{"type": name, "config": options}]}
    )
    return plan_processing(strategy, EmbeddingStrategy(name="e", type="HashEmbedder"), EstimatedCounter(512)).warnings


def differing(row: tuple[str, dict[str, Any], dict[str, Any]]) -> str:
    return f"{row[0]}-{'-'.join(row[2])}-{list(row[2].values())[-1]}"[:80]


@pytest.mark.parametrize(("name", "before", "after"), CHANGES, ids=map(differing, CHANGES))
def test_a_key_changes_what_is_found(name: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    assert extract(name, before) != extract(name, after)
    assert warnings_of(name, after) == ()


@pytest.mark.parametrize(("name", "key", "value"), WITHOUT_EFFECT, ids=[f"{row[0]}-{row[1]}" for row in WITHOUT_EFFECT])
def test_a_key_that_changes_nothing_is_named(name: str, key: str, value: object) -> None:
    assert warnings_of(name, {key: value}) == (f"extractor '{name}': option '{key}' has no effect here",)


@pytest.mark.parametrize("algorithm", ["textrank", "lexrank", "lsa", "luhn"])
def test_each_way_of_summing_up_quotes_sentences_of_the_text_in_their_order(algorithm: str) -> None:
    text = (
        "The engine drives the pump. It rained on Sunday. The pump moves water through the engine. Cats sleep. "
        "Water cools the engine while the pump runs. Nobody called."
    )
    summary = extract("SummaryExtractor", {"algorithm": algorithm, "summary_sentences": 2}, text)["summary"]
    quoted = [sentence for sentence in text.split(". ") if sentence.rstrip(".") in summary]
    assert len(quoted) == 2
    assert all("engine" in sentence for sentence in quoted)


def test_capitals_are_headings_where_nothing_else_is() -> None:
    built = extractors.build("HeadingExtractor", {"extract_caps_headings": True})
    assert built.extract("GENERAL TERMS\n\nText A.", Document("", "test"))["headings"] == ["GENERAL TERMS"]


def test_a_near_copy_of_a_heavier_keyword_is_left_out() -> None:
    text = "The wing tests failed; the wing test failed."
    assert len(extract("KeywordExtractor", {"deduplication_threshold": 1}, text)["rake_keywords"]) == 2
    assert len(extract("KeywordExtractor", {"deduplication_threshold": 0.9}, text)["rake_keywords"]) == 1


def test_personal_data_is_found_under_one_name_and_only_with_right_check_digits() -> None:
    text = "a@b.org DE89 3704 0044 0532 0130 00, GB00 3704 0044 0532 0130 00, 4111 1111 1111 1111, 10.0.0.1"
    found = extract("PatternExtractor", {"patterns": ["pii"]}, text)
    assert found["patterns_iban"] == ["DE89 3704 0044 0532 0130 00"]
    assert found["patterns_credit_card"] == ["4111 1111 1111 1111"]
    assert (found["patterns_email"], found["patterns_ip"]) == (["a@b.org"], ["10.0.0.1"])


def test_a_pattern_that_would_need_more_than_linear_time_is_refused_by_name() -> None:
    with pytest.raises(InvalidInputError, match=r"'\(\?<=a\)b' is not a regular expression of RE2.*Look-around"):
        extract("PatternExtractor", {"custom_patterns": [{"name": "x", "pattern": "(?<=a)b"}]})


def test_a_model_that_is_not_there_is_told_or_refused() -> None:
    (warning,) = warnings_of("EntityExtractor", {"model": "en_core_web_sm"})
    assert "model 'en_core_web_sm' cannot be loaded" in warning
    assert "names are found by rules" in warning
    with pytest.raises(InvalidInputError, match="use_fallback is false"):
        extract("EntityExtractor", {"model": "en_core_web_sm", "use_fallback": False})


def install_spacy_model(name: str, folder: Path) -> None:
    """A package as spaCy makes them of models: it says in its metadata that it is one."""
    described = folder / f"{name}-1.0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(f"[spacy_models]\n{name} = {name}\n")


def test_a_package_that_is_no_model_is_not_imported_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    spacy = ModuleType("spacy")
    spacy.__spec__ = SimpleNamespace(name="spacy")  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "spacy", spacy)
    for model in ("antigravity", "json", "os.path", "/etc", ""):
        (warning,) = warnings_of("EntityExtractor", {"model": model})
        assert f"'{model}' is not one of spaCy's models" in warning


def test_a_model_that_is_there_finds_names_and_rules_find_the_rest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install_spacy_model("xx_names", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names = [SimpleNamespace(label_="PER", text="Ada\nSmith"), SimpleNamespace(label_="GPE", text="Berlin")]
    spacy = ModuleType("spacy")
    spacy.load = lambda name, exclude: lambda text: SimpleNamespace(ents=names)  # type: ignore[attr-defined]
    spacy.__spec__ = SimpleNamespace(name="spacy")  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "spacy", spacy)
    assert warnings_of("EntityExtractor", {"model": "xx_names"}) == ()
    found = extract("EntityExtractor", {"model": "xx_names"})
    assert (found["entities_person"], found["entities_gpe"]) == (["Ada Smith"], ["Berlin"])
    assert found["entities_email"] == ["ada@example.org"]
    assert "entities_org" not in found


def test_letters_that_only_look_like_ascii_are_no_account_and_fail_no_file() -> None:
    account = "\u212aD89 3704 0044 0532 0130 00"  # KELVIN SIGN, which equals k where case does not matter
    for options in ({}, {"case_sensitive": True}):
        assert "patterns_iban" not in extract("PatternExtractor", {"predefined_patterns": ["pii"], **options}, account)
    found = extract("PatternExtractor", {"predefined_patterns": ["iban"]}, "paid to de89 3704 0044 0532 0130 00")
    assert found == {"patterns_iban": ["de89 3704 0044 0532 0130 00"]}


@pytest.mark.parametrize("number", ["0-8044-2957-X", "0-8044-2957-x"])
def test_check_digit_x_of_a_book_is_read_in_either_case(number: str) -> None:
    assert extract("PatternExtractor", {"predefined_patterns": ["isbn"]}, f"ISBN {number}.") == {
        "patterns_isbn": [number]
    }


@pytest.mark.parametrize("style", ["%d/%d/%Y", "%Q", "%d.%m.%", "%-d.%m.%Y"])
def test_date_format_that_reads_nothing_is_refused_by_name(style: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(repr(style))):
        extract("DateTimeExtractor", {"date_formats": [style]})


@pytest.mark.parametrize("style", ["%d/%m/%Y", "%A, %d. %B %y", "%Y-%m-%dT%H:%M:%S%z", "%b %Y", "%j %Y"])
def test_date_format_that_reads_dates_is_taken(style: str) -> None:
    assert "dates" in extract("DateTimeExtractor", {"date_formats": [style]})
