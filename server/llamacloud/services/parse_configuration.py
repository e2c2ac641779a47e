"""Configurations of parsing, second generation → parameters of a job. What has no counterpart among them keeps its
whole name, such as `agentic_options.custom_prompt`, and so the job says that it was ignored."""

from collections.abc import Mapping
from typing import Any, Final

from config.outside import check_outside
from rag.errors import InvalidInputError
from rag.parsing.parameters import KINDS, checked, is_asked
from server.llamacloud.engine import CloudEngine
from server.llamacloud.services.parse_wishes import flat

PRODUCT = "parse_v2"
PARAMETERS: Final[Mapping[str, str]] = {
    "page_ranges.max_pages": "max_pages",
    "page_ranges.target_pages": "target_pages",
    "target_pages": "target_pages",
    "output_options.markdown.annotate_links": "annotate_links",
    "output_options.markdown.tables.output_tables_as_markdown": "output_tables_as_HTML",
    "output_options.markdown.tables.compact_markdown_tables": "compact_markdown_table",
    "output_options.markdown.tables.markdown_table_multiline_separator": "markdown_table_multiline_header_separator",
    "output_options.spatial_text.do_not_unroll_columns": "do_not_unroll_columns",
    "processing_options.ignore.ignore_diagonal_text": "skip_diagonal_text",
    "processing_options.ignore.ignore_hidden_text": "remove_hidden_text",
    "processing_options.ocr_parameters.languages": "languages",
    "processing_control.timeouts.base_in_seconds": "job_timeout_in_seconds",
    "processing_control.timeouts.extra_time_per_page_in_seconds": "job_timeout_extra_time_per_page_in_seconds",
    "processing_control.job_failure_conditions.allowed_page_failure_ratio": "page_error_tolerance",
    "input_options.spreadsheet.include_hidden_sheets": "spreadsheet_include_hidden_sheets",
    "disable_cache": "do_not_cache",
    **{f"crop_box.{side}": f"bbox_{side}" for side in ("top", "right", "bottom", "left")},
}
_GROUPS: Final = {name.rpartition(".")[0] for name in PARAMETERS} - {""}
_GROUPS_ABOVE: Final = _GROUPS | {name.split(".")[0] for name in _GROUPS}
_NO_OPTIONS: Final = frozenset(
    {"product_type", "configuration_id", "file_id", "source_url", "user_metadata", "organization_id"}
)
_MAX_DEPTH = 20
TIERS: Final = ("fast", "cost_effective", "agentic", "agentic_plus")


def check_parameters(cloud: CloudEngine, parameters: Mapping[str, Any], project_id: str) -> None:
    checked(parameters)
    other = parameters.get("project_id")
    if other is not None and other != project_id:
        raise InvalidInputError(f"parameters: project_id = {str(other)[:100]!r} is not the project of the request")
    urls = [parameters.get("webhook_url")]
    urls += [each.get("webhook_url") for each in parameters.get("webhook_configurations") or []]
    for url in urls:
        if url:
            check_outside(url, cloud.settings)


def merged(saved: Mapping[str, Any], given: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """What is given counts for more; None says nothing."""
    found = dict(saved)
    for name, value in given.items():
        before = found.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping) and depth < _MAX_DEPTH:
            found[name] = merged(before, value, depth + 1)
        elif value is not None:
            found[name] = value
    return found


def second_generation(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that a configuration means; its page numbers count from 1.

    Raises:
        InvalidInputError: a part of it is not what it has to be.
    """
    if not isinstance(configuration.get("user_metadata"), Mapping | None):
        raise InvalidInputError("user_metadata: expected an object")
    if configuration.get("tier") not in (None, "", *TIERS):
        raise InvalidInputError(f"tier = {str(configuration['tier'])[:60]!r}: expected one of {', '.join(TIERS)}")
    plain = {name: value for name, value in configuration.items() if name in KINDS and name not in PARAMETERS}
    found: dict[str, Any] = dict(plain)
    rest = {name: value for name, value in configuration.items() if name not in plain and name not in _NO_OPTIONS}
    for place, value in flat(rest):
        if place in _GROUPS_ABOVE and value is not None:
            raise InvalidInputError(f"{place}: expected an object")
        parameter = PARAMETERS.get(place)
        if parameter is not None and value not in (None, ""):
            found[parameter] = _meant(place, value)
        elif parameter is None and is_asked(place, value):
            found[place] = value
    return {name: value for name, value in found.items() if value is not None}


def from_one(pages: Any) -> str:
    """`1,3-4` → `0,2-3`."""
    if not isinstance(pages, str):
        raise InvalidInputError("target_pages: expected a text such as 1,3-5")
    parts = []
    for part in pages.split(","):
        numbers = [each.strip() for each in part.split("-")]
        if not 1 <= len(numbers) <= 2 or not all(
            each.isascii() and each.isdecimal() and int(each[:9]) > 0 for each in numbers
        ):
            raise InvalidInputError(f"target_pages = {pages[:100]!r}: expected pages and ranges from 1, such as 1,3-5")
        if int(numbers[0][:9]) > int(numbers[-1][:9]):
            raise InvalidInputError(f"target_pages: the range {part.strip()[:40]!r} ends before it begins")
        parts.append("-".join(str(int(each[:9]) - 1) for each in numbers))
    return ",".join(parts)


def _meant(place: str, value: Any) -> Any:
    if place.endswith("target_pages"):
        return from_one(value)
    if place.endswith("output_tables_as_markdown"):
        if not isinstance(value, bool):
            raise InvalidInputError(f"{place} = {str(value)[:60]!r}: expected true or false")
        return not value
    return value
