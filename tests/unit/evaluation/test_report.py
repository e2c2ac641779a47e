"""What is recommended, and what is drawn: noise is no reason to change anything."""

import json
from collections.abc import Sequence
from html.parser import HTMLParser
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from rag.evaluation.page import page
from rag.evaluation.plot import IN_MEMORY, png, svg
from rag.evaluation.questions import Question, Target
from rag.evaluation.report import configuration, recommend
from rag.evaluation.run import Cutting, Miss, Outcome, measures
from rag.types import Hit

NOW, ANEW = Cutting("current", 100, 800.0, False), Cutting("headings:400", 250, 300.0, True)
ALTERNATING = [0.0, 1.0] * 25


def outcome(name: str, values: Sequence[float], cutting: Cutting = NOW, latency_ms: float = 5.0) -> Outcome:
    found = {each: list(values) for each in measures([1, 10])}
    count = len(values)
    return Outcome(name, cutting, found, [latency_ms] * count, [1000] * count)


def better(by: float, every: int = 1) -> list[float]:
    return [value + (by if at % every == 0 else 0) for at, value in enumerate([0.4] * 50)]


BASE = outcome("in use", [0.4] * 50)


def test_what_is_in_use_stays_when_nothing_scores_higher() -> None:
    verdict = recommend([BASE, outcome("other", [0.3] * 50)], 0)
    assert verdict is not None
    assert (verdict.chosen, verdict.is_change) == (0, False)
    assert "nothing that was tried scored higher" in verdict.reason


def test_a_gain_that_chance_explains_changes_nothing() -> None:
    noisy = [0.4 + (0.4 if at % 2 else -0.34) for at in range(50)]
    verdict = recommend([BASE, outcome("lucky", noisy)], 0)
    assert verdict is not None
    assert verdict.is_change is False
    assert "cannot tell from chance" in verdict.reason
    assert "'lucky'" in verdict.reason


def test_a_gain_that_is_certain_but_tiny_changes_nothing() -> None:
    verdict = recommend([BASE, outcome("tiny", better(0.005))], 0)
    assert verdict is not None
    assert verdict.is_change is False
    assert "not worth a change" in verdict.reason


def test_a_gain_beyond_chance_is_recommended_with_its_reason() -> None:
    verdict = recommend([BASE, outcome("good", better(0.2))], 0)
    assert verdict is not None
    assert (verdict.chosen, verdict.is_change) == (1, True)
    assert verdict.gain == pytest.approx(0.2)
    assert "0.400 → 0.600 over 50 questions" in verdict.reason


def test_of_equals_the_cheaper_one_is_recommended() -> None:
    slow = outcome("slow", better(0.205), latency_ms=80.0)
    fast = outcome("fast", better(0.2))
    cut_anew = outcome("fast", better(0.208), ANEW, latency_ms=1.0)
    verdict = recommend([BASE, slow, fast, cut_anew], 0)
    assert verdict is not None
    assert verdict.chosen == 2
    assert "costs more" in verdict.reason


def test_what_the_questions_cannot_judge_is_not_recommended() -> None:
    verdict = recommend([BASE, outcome("words", better(0.3))], 0, excluded=frozenset({1}))
    assert verdict is not None
    assert verdict.is_change is False


def test_what_failed_is_passed_over_and_nothing_measured_gives_no_advice() -> None:
    failed = Outcome("broken", NOW, error="no such model")
    verdict = recommend([failed, BASE], 0)
    assert verdict is not None
    assert (verdict.chosen, verdict.is_change) == (1, True)
    assert "no such model" in verdict.reason
    assert recommend([failed], 0) is None


def report(*outcomes: Outcome, **changes: Any) -> dict[str, Any]:
    made = {
        "namespace": "acme",
        "project": "<script>alert(1)</script>",
        "database": "main",
        "question_count": 50,
        "question_source": "given",
        "primary": "ndcg@10",
        "measures": measures([1, 10]),
        "configurations": [configuration(each, outcomes[0]) for each in outcomes],
        "recommendation": {
            "strategy": "good",
            "chunking": "current",
            "is_change": True,
            "reason": "r",
            "yaml": "a: 1\n",
        },
        "warnings": ["mind the <gap>"],
    }
    return made | changes


@pytest.fixture
def whole() -> dict[str, Any]:
    hit = Hit("1", "<b>found</b> instead", 0.5, "docs/h", "g", {"filename": "a.md", "page_start": 3})
    good = outcome("good", better(0.2))
    good.misses.append(Miss(Question("q", "who <is> it", (Target("b.md", "the passage"),)), 0.0, (hit,)))
    failed = Outcome("broken", NOW, error="no such model")
    return report(BASE, good, outcome("costs $5 $6", ALTERNATING, ANEW), failed)


def test_a_line_of_the_report_is_json_with_intervals_and_the_difference(whole: dict[str, Any]) -> None:
    good = json.loads(json.dumps(whole))["configurations"][1]
    assert good["metrics"]["ndcg@10"]["mean"] == pytest.approx(0.6)
    assert good["against_current"]["difference"] == pytest.approx(0.2)
    assert good["against_current"]["p_value"] < 0.01
    assert good["worst"][0]["found"] == [{"file": "a.md", "page": 3, "score": 0.5, "content": "<b>found</b> instead"}]


def test_the_picture_grows_with_the_lines_and_is_no_blank_page(whole: dict[str, Any]) -> None:
    small, large = (Image.open(BytesIO(png(each))) for each in (report(BASE), whole))
    assert large.height > small.height
    assert len(large.convert("RGB").getcolors(1_000_000) or []) > 50


def test_of_many_lines_the_best_are_drawn_and_what_is_in_use() -> None:
    many = [outcome(f"strategy {at}", [0.5 + at / 100] * 5) for at in range(40)]
    drawn = svg(report(outcome("the present one", [0.1] * 5), *many))
    assert "best 24 of 41 configurations" in drawn
    assert "the present one" in drawn
    assert "strategy 39<" in drawn
    assert "strategy 3<" not in drawn


def test_latencies_of_chunks_in_memory_are_marked_with_a_footnote(whole: dict[str, Any]) -> None:
    for drawn in (svg(whole), page(whole)):
        assert IN_MEMORY in drawn
    cells = page(whole).partition("costs $5 $6</td>")[2].partition("</tr>")[0]
    assert cells.count("*</td>") == 2
    assert page(report(BASE)).count("*") == svg(report(BASE)).count("*"), "no mark where no chunks are in memory"
    assert IN_MEMORY not in page(report(BASE))


def test_the_svg_holds_names_as_text(whole: dict[str, Any]) -> None:
    drawn = svg(whole)
    assert drawn.startswith("<svg")
    for name in ("in use", "good", "costs $5 $6", "headings:400", "0.600"):
        assert name in drawn


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]


def test_the_page_stands_alone_and_runs_nothing_of_what_it_shows(whole: dict[str, Any]) -> None:
    text = page(whole)
    found = Tags(text)
    assert {"svg", "table", "details", "pre"} <= set(found.tags)
    assert "script" not in found.tags
    assert all(link.startswith("#") for link in found.links), "nothing is loaded from elsewhere"
    assert "mind the &lt;gap&gt;" in text
    assert "no such model" in text
    assert "&lt;b&gt;found&lt;/b&gt; instead" in text


def test_a_report_without_any_measurement_can_still_be_drawn() -> None:
    failed = report(Outcome("broken", NOW, error="gone"), recommendation=None)
    assert png(failed)
    assert "gone" in page(failed)
