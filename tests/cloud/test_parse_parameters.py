"""What each honoured parameter of a parsing job does, and what is said of the others."""

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from reportlab.pdfgen.canvas import Canvas

from rag.errors import InvalidInputError, UpstreamError
from rag.parsers.pdf import PDFParser
from rag.parsers.pdf_composed import ComposedPage
from rag.parsing.layout import result_pages
from rag.parsing.parameters import KINDS, LANGUAGES, TREATMENTS, checked
from rag.parsing.wishes import parser_options
from rag.types import Document, PageSpan
from tests.cloud.conftest import CloudWorld
from tests.cloud.test_parsing import parsed
from tests.fixtures.make_files import pdf_file
from tests.fixtures.make_pdfs import report, ruled_table, with_damaged_pages


def drawn(draw: Callable[[Canvas], None]) -> bytes:
    target = io.BytesIO()
    canvas = Canvas(target, invariant=1)
    draw(canvas)
    canvas.save()
    return target.getvalue()


def pages(tmp_path: Path) -> bytes:
    return pdf_file(tmp_path / "p.pdf", [f"This is page {name}." for name in ("A", "B", "C", "D")]).read_bytes()


def result(cloud: CloudWorld, data: bytes, name: str = "file.pdf", **fields: Any) -> tuple[str, dict[str, Any]]:
    """The Markdown of a job that has ended, and what is said of it."""
    job_id = parsed(cloud, data, name, **fields)
    answer = cloud.http.get(f"/api/parsing/job/{job_id}/result/markdown")
    assert answer.status_code == 200, cloud.http.get(f"/api/parsing/job/{job_id}").text
    found = answer.json()
    return found["markdown"], found["job_metadata"]


def error(cloud: CloudWorld, data: bytes, **fields: Any) -> str:
    job = cloud.http.get(f"/api/parsing/job/{parsed(cloud, data, 'file.pdf', **fields)}").json()
    assert job["status"] == "ERROR"
    return str(job["error_message"])


def test_there_are_125_parameters_of_five_treatments() -> None:
    counts = {each: list(TREATMENTS.values()).count(each) for each in "HOVSI"}
    assert counts == {"H": 26, "O": 32, "V": 8, "S": 13, "I": 46}
    assert set(KINDS) == set(TREATMENTS)
    assert len(LANGUAGES) == 86


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_parameter_refuses_a_value_of_another_type(name: str) -> None:
    wrong: Any = 7 if KINDS[name] in ("flag", "text", "choice", "list", "map") else "seven"
    with pytest.raises(InvalidInputError, match=name):
        checked({name: wrong})
    assert checked({name: None}) == {}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"target_pages": "1,3-9"}, ["B", "D"]),
        ({"max_pages": "2"}, ["A", "B"]),
        ({"target_pages": "1-3", "max_pages": "1"}, ["B"]),
    ],
    ids=["target_pages", "max_pages", "both"],
)
def test_only_the_pages_asked_for_are_read(
    cloud: CloudWorld, tmp_path: Path, fields: dict[str, str], expected: list[str]
) -> None:
    text, about = result(cloud, pages(tmp_path), **fields)
    assert text == "\n---\n".join(f"This is page {name}." for name in expected)
    assert about["honoured_parameters"] == sorted(fields)


def test_more_pages_than_are_enforced_fail_the_job(cloud: CloudWorld, tmp_path: Path) -> None:
    assert "max_pages_enforced = 3" in error(cloud, pages(tmp_path), max_pages_enforced="3")
    assert result(cloud, pages(tmp_path), max_pages_enforced="4")[1]["honoured_parameters"] == ["max_pages_enforced"]


def test_pages_stand_between_their_separators_prefixes_and_suffixes(cloud: CloudWorld, tmp_path: Path) -> None:
    wishes = {"page_separator": "[to {page_number}]", "page_prefix": "<{page_number}>", "page_suffix": "</>"}
    text, about = result(cloud, pages(tmp_path), max_pages="2", **wishes)
    assert text == "<1>This is page A.</>[to 2]<2>This is page B.</>"
    assert about["honoured_parameters"] == sorted([*wishes, "max_pages"])


def test_tables_are_written_as_asked(cloud: CloudWorld, tmp_path: Path) -> None:
    data = ruled_table(tmp_path / "t.pdf").read_bytes()
    assert "| Product | Size | Price |" in result(cloud, data)[0]
    assert (
        "|Product|Size|Price|\n|---|---|---|\n|Widget|M|12.50|" in result(cloud, data, compact_markdown_table="true")[0]
    )
    assert (
        "<tr><th>Product</th><th>Size</th><th>Price</th></tr>" in result(cloud, data, output_tables_as_HTML="true")[0]
    )


def test_the_lines_of_a_column_name_are_joined_as_asked(cloud: CloudWorld) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.grid([60, 200, 340], [760, 730, 710, 690])
        for x, y, text in (
            (64, 748, "Name of"), (64, 734, "thing"), (204, 748, "Price"), (64, 715, "Cup"), (204, 715, "3.50"),
            (64, 695, "Jug"), (204, 695, "7.25"),
        ):  # fmt: skip
            canvas.drawString(x, y, text)

    data = drawn(draw)
    assert "| Name of<br/>thing | Price |" in result(cloud, data)[0]
    wish = {"markdown_table_multiline_header_separator": " / "}
    text, about = result(cloud, data, **wish)
    assert "| Name of / thing | Price |" in text
    assert about["honoured_parameters"] == list(wish)


def test_links_are_annotated_only_when_asked(cloud: CloudWorld) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.drawString(60, 700, "Read the handbook before noon.")
        canvas.linkURL("https://example.org/handbook", (114, 695, 163, 712))

    data = drawn(draw)
    assert result(cloud, data)[0] == "Read the handbook before noon."
    text, _ = result(cloud, data, annotate_links="true")
    assert "](https://example.org/handbook)" in text
    assert "[handbook" in text


def test_diagonal_and_hidden_text_is_left_out_when_asked(cloud: CloudWorld) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.drawString(60, 700, "Plain words.")
        hidden = canvas.beginText(60, 650)
        hidden.setTextRenderMode(3)
        hidden.textLine("Hidden words.")
        canvas.drawText(hidden)
        canvas.saveState()
        canvas.translate(200, 300)
        canvas.rotate(45)
        canvas.drawString(0, 0, "DRAFT")
        canvas.restoreState()

    data = drawn(draw)
    assert {"Hidden", "DRAFT"} <= set(result(cloud, data)[0].split())
    text, about = result(cloud, data, skip_diagonal_text="true", remove_hidden_text="true")
    assert text == "Plain words."
    assert about["honoured_parameters"] == ["remove_hidden_text", "skip_diagonal_text"]


def test_hidden_sheets_are_read_only_when_asked(cloud: CloudWorld) -> None:
    book = openpyxl.Workbook()
    book.active.append(["Open"])
    book.active.append(["seen"])
    secret = book.create_sheet("Secret")
    secret.append(["Closed"])
    secret.append(["unseen"])
    secret.sheet_state = "hidden"
    target = io.BytesIO()
    book.save(target)
    assert "unseen" not in result(cloud, target.getvalue(), "book.xlsx")[0]
    assert "unseen" in result(cloud, target.getvalue(), "book.xlsx", spreadsheet_include_hidden_sheets="true")[0]


def test_headers_and_footers_are_left_out_when_asked(cloud: CloudWorld, tmp_path: Path) -> None:
    data = report(tmp_path / "r.pdf").read_bytes()
    assert result(cloud, data)[0].count("Annual report of the harbour") == 5
    text, _ = result(cloud, data, hide_headers="true")
    assert ("Annual report" in text, "Page 3 of 5" in text) == (False, True)
    text, _ = result(cloud, data, hide_footers="true")
    assert ("Annual report" in text, "Page 3 of 5" in text) == (True, False)


def test_a_page_is_cropped_to_its_box(cloud: CloudWorld) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.drawString(60, 800, "Top line.")
        canvas.drawString(60, 400, "Middle line.")

    assert result(cloud, drawn(draw), bbox_top="0.2")[0] == "Middle line."


def test_kept_texts_are_used_unless_caches_are_not_to_be(cloud: CloudWorld, tmp_path: Path) -> None:
    data = pages(tmp_path)
    assert result(cloud, data)[1]["job_is_cache_hit"] is False
    assert result(cloud, data)[1]["job_is_cache_hit"] is True
    assert result(cloud, data, do_not_cache="true")[1]["job_is_cache_hit"] is False
    assert result(cloud, data, invalidate_cache="true")[1]["job_is_cache_hit"] is False


def test_custom_metadata_and_languages_stand_beside_the_output(cloud: CloudWorld, tmp_path: Path) -> None:
    metadata = json.dumps({"case": 7})
    _, about = result(cloud, pages(tmp_path), custom_metadata=metadata, languages="de,fr")
    assert about["custom_metadata"] == {"case": 7}
    assert about["languages"] == ["de", "fr"]
    assert about["honoured_parameters"] == ["custom_metadata", "languages"]


def test_languages_and_the_ways_without_ocr_reach_the_parsers() -> None:
    assert parser_options({"languages": ["de", "fr"]})["ocr_languages"] == "deu+fra"
    assert parser_options({"lang": "ja"})["ocr_languages"] == "jpn"
    assert parser_options({})["use_ocr"] is True
    assert parser_options({"disable_ocr": True})["use_ocr"] is False
    assert parser_options({"fast_mode": True})["use_ocr"] is False


def test_a_job_that_takes_longer_than_its_time_fails(cloud: CloudWorld, tmp_path: Path) -> None:
    message = error(cloud, pages(tmp_path), job_timeout_in_seconds="0.000001")
    assert "job_timeout_in_seconds" in message


def test_time_is_given_for_each_page(cloud: CloudWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = PDFParser._read_page

    def slow(*given: Any) -> ComposedPage:
        time.sleep(0.1)
        return original(*given)

    monkeypatch.setattr(PDFParser, "_read_page", slow)
    monkeypatch.setattr("workers.cancel_watch.LOOK_INTERVAL_S", 0.01)
    times = {"job_timeout_in_seconds": "0.05", "job_timeout_extra_time_per_page_in_seconds": "5"}
    text, about = result(cloud, pages(tmp_path), **times)
    assert "This is page D." in text
    assert about["honoured_parameters"] == sorted(times)
    times["job_timeout_extra_time_per_page_in_seconds"] = "0.01"
    begun = time.monotonic()
    assert "job_timeout_in_seconds = 0.05" in error(cloud, pages(tmp_path), do_not_cache="true", **times)
    assert time.monotonic() - begun < 0.4, "it was stopped between two pages, not at the end"


@pytest.mark.parametrize(("damaged", "tolerance", "fails"), [(1, "0.25", False), (2, "0.25", True), (1, "0", True)])
def test_so_many_damaged_pages_fail_a_job_as_it_says(
    damaged: int, tolerance: str, fails: bool, cloud: CloudWorld, tmp_path: Path
) -> None:
    data = with_damaged_pages(pages(tmp_path), *range(2, 2 + damaged))
    if fails:
        message = error(cloud, data, page_error_tolerance=tolerance)
        assert f"{damaged} of 4 pages are damaged, more than page_error_tolerance = {tolerance} allows" in message
        return
    text, about = result(cloud, data, page_error_tolerance=tolerance)
    assert [each in text for each in ("page A", "page B", "page C", "page D")] == [True, False, True, True]
    assert about["honoured_parameters"] == ["page_error_tolerance"]


def test_a_file_without_damage_meets_the_strictest_tolerance(cloud: CloudWorld, tmp_path: Path) -> None:
    assert "page D" in result(cloud, pages(tmp_path), page_error_tolerance="0")[0]
    half_damaged = with_damaged_pages(pages(tmp_path), 1, 2)
    assert "page D" in result(cloud, half_damaged)[0], "without the parameter any number is accepted"
    assert "page D" in result(cloud, half_damaged, target_pages="2,3", page_error_tolerance="0")[0]


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ({}, ""),
        ({"replace_failed_page_mode": "blank_page"}, ""),
        (
            {
                "replace_failed_page_mode": "error_message",
                "replace_failed_page_with_error_message_prefix": "<",
                "replace_failed_page_with_error_message_suffix": ">",
            },
            "<Page 2 is damaged and could not be read.>",
        ),
    ],
    ids=["raw_text", "blank_page", "error_message"],
)
def test_a_page_that_cannot_be_read_is_replaced_as_asked(wishes: dict[str, str], expected: str) -> None:
    spans = (PageSpan(1, 0, 5), PageSpan(2, 5, 5))
    document = Document(text="Whole", parser="PDFParser", pages=spans, page_count=2)
    whole, damaged = result_pages(document, wishes, [1, 2])
    assert (whole.md, whole.error) == ("Whole", None)
    assert (damaged.md, damaged.error) == (expected, "page 2 is damaged and could not be read")


def test_whoever_waits_is_told(cloud: CloudWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, Any]] = []
    monkeypatch.setattr(
        "workers.cloud.hooks.post", lambda url, body, _settings, headers: told.append((url, json.loads(body)))
    )
    monkeypatch.setattr("server.llamacloud.services.parse_configuration.check_outside", lambda _url, _settings: None)
    result(cloud, pages(tmp_path), webhook_url="https://example.org/hook", max_pages="1")
    ((url, body),) = told
    assert (url, body["status"], body["md"]) == ("https://example.org/hook", "SUCCESS", "This is page A.")


class Listeners:
    """Who is told what; `silent` addresses cannot be reached."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[tuple[str, Any]] = []
        self.silent: set[str] = set()
        monkeypatch.setattr("workers.cloud.hooks.post", self.post)
        allows_all = "server.llamacloud.services.parse_configuration.check_outside"
        monkeypatch.setattr(allows_all, lambda _url, _settings: None)

    def post(self, url: str, body: bytes, _settings: Any, headers: Any) -> None:
        if url in self.silent:
            raise UpstreamError(f"{url!r} cannot be reached")
        self.told.append((url, json.loads(body)))


def hooks(*wanted: dict[str, Any]) -> str:
    return json.dumps([{"webhook_url": f"https://example.org/{at}", **each} for at, each in enumerate(wanted)])


def upload(cloud: CloudWorld, data: bytes, **fields: Any) -> str:
    answer = cloud.http.post("/api/parsing/upload", files={"file": ("file.pdf", data)}, data=fields)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def test_a_job_has_ended_before_anybody_is_told_and_each_is_told_once(
    cloud: CloudWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listeners = Listeners(monkeypatch)
    listeners.silent = {"https://example.org/1"}
    job_id = upload(cloud, pages(tmp_path), webhook_configurations=hooks({}, {}, {}))
    cloud.step()
    assert cloud.http.get(f"/api/parsing/job/{job_id}").json()["status"] == "SUCCESS"
    cloud.step_all()
    assert [url for url, _ in listeners.told] == ["https://example.org/0", "https://example.org/2"]
    details = f"/api/parsing/job/{job_id}/details"
    assert cloud.http.get(details).json()["webhook_errors"] == ["'https://example.org/1' cannot be reached"]
    listeners.silent.clear()
    cloud.settle()
    assert [url for url, _ in listeners.told] == [f"https://example.org/{at}" for at in (0, 2, 1)]
    assert cloud.http.get(details).json()["webhook_errors"] == []


def test_every_end_is_told(cloud: CloudWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listeners = Listeners(monkeypatch)
    hook = hooks({"webhook_events": ["parse.cancelled", "parse.error"]})
    waiting = upload(cloud, pages(tmp_path), webhook_configurations=hook)
    assert cloud.http.post(f"/api/v2/parse/{waiting}/cancel").json()["status"] == "CANCELLED"
    lost = upload(cloud, pages(tmp_path), webhook_configurations=hook)
    for _ in range(2):  # its worker dies, twice
        assert cloud.cloud_jobs.claim("parse", "dead") is not None
        cloud.clock.now += 60
        cloud.cloud_jobs.take_over_expired()
    late = upload(cloud, pages(tmp_path), webhook_configurations=hook, job_timeout_in_seconds="0.000001")
    upload(cloud, pages(tmp_path), webhook_configurations=hook)
    cloud.settle()
    told = {(body["event_type"], body["data"]["job_id"]) for _, body in listeners.told}
    assert told == {("parse.cancelled", waiting), ("parse.error", lost), ("parse.error", late)}


def test_an_event_has_the_form_that_was_asked_for(
    cloud: CloudWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listeners = Listeners(monkeypatch)
    wanted = hooks({"webhook_output_format": "string"}, {"webhook_output_format": "json"})
    job_id = upload(cloud, pages(tmp_path), webhook_configurations=wanted)
    cloud.settle()
    first, second = (body["data"] for _, body in listeners.told)
    assert json.loads(first) == second
    assert (second["job_id"], second["status"]) == (job_id, "SUCCESS")


def test_events_that_are_never_sent_are_said_to_be_ignored(
    cloud: CloudWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listeners = Listeners(monkeypatch)
    never = hooks({"webhook_events": ["parse.pending"]})
    _, about = result(cloud, pages(tmp_path), webhook_configurations=never)
    assert about["honoured_parameters"] == []
    assert about["ignored_parameters"] == ["webhook_configurations", "webhook_configurations.parse.pending"]
    assert listeners.told == []
    some = hooks({"webhook_events": ["parse.success", "parse.running"]})
    _, about = result(cloud, pages(tmp_path), webhook_configurations=some)
    assert about["honoured_parameters"] == ["webhook_configurations"]
    assert about["ignored_parameters"] == ["webhook_configurations.parse.running"]
    assert [body["event_type"] for _, body in listeners.told] == ["parse.success"]


def test_events_that_are_no_list_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="webhook_events"):
        checked({"webhook_configurations": [{"webhook_events": 7}]})


def test_languages_that_cannot_be_read_are_said_to_be_ignored(cloud: CloudWorld, tmp_path: Path) -> None:
    _, about = result(cloud, pages(tmp_path), languages="de,abq")
    assert about["honoured_parameters"] == ["languages"]
    assert about["ignored_parameters"] == ["languages.abq"]


def test_a_webhook_into_the_house_is_refused(cloud: CloudWorld, tmp_path: Path) -> None:
    answer = cloud.http.post(
        "/api/parsing/upload",
        files={"file": ("a.pdf", pages(tmp_path))},
        data={"webhook_url": "http://127.0.0.1:8000/hook"},
    )
    assert answer.status_code == 422


def test_what_has_no_effect_is_said_to_be_ignored(cloud: CloudWorld, tmp_path: Path) -> None:
    wishes = {
        "take_screenshot": "true", "premium_mode": "true", "parse_mode": "parse_page_with_llm", "http_proxy": "http://x",
        "structured_output": "true", "save_images": "false", "fast_mode": "true", "priority": "high",
    }  # fmt: skip
    _, about = result(cloud, pages(tmp_path), **wishes)
    assert about["honoured_parameters"] == ["fast_mode", "priority"]
    assert about["ignored_parameters"] == [
        "http_proxy", "parse_mode", "premium_mode", "structured_output", "take_screenshot",
    ]  # fmt: skip
