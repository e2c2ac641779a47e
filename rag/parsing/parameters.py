"""The 125 parameters of a parsing job: their types, what is done for each, and what a job was asked for."""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

from rag.errors import InvalidInputError

Treatment: TypeAlias = Literal["H", "O", "V", "S", "I"]
"""H: honoured; O: honoured where this version can; V: checked and given back; S: a secret, or a place that the server
does not go to; I: without effect."""

_NAMES: Final[Mapping[tuple[Treatment, str], str]] = {
    ("H", "flag"): """
        disable_ocr fast_mode output_tables_as_HTML compact_markdown_table annotate_links skip_diagonal_text
        remove_hidden_text spreadsheet_include_hidden_sheets do_not_cache invalidate_cache
    """,
    ("H", "text"): """
        target_pages page_separator page_prefix page_suffix lang markdown_table_multiline_header_separator
        replace_failed_page_with_error_message_prefix replace_failed_page_with_error_message_suffix webhook_url
    """,
    ("H", "number"): """
        max_pages max_pages_enforced job_timeout_in_seconds
    """,
    ("H", "map"): """
        custom_metadata
    """,
    ("H", "list"): """
        languages
    """,
    ("H", "choice"): """
        parse_mode replace_failed_page_mode
    """,
    ("O", "flag"): """
        do_not_unroll_columns extract_printed_page_number hide_footers hide_headers
        html_make_all_elements_visible html_remove_fixed_elements html_remove_navigation_elements
        keep_page_separator_when_merging_tables merge_tables_across_pages_in_markdown
        presentation_out_of_bounds_content presentation_skip_embedded_data
        preserve_layout_alignment_across_pages preserve_very_small_text spreadsheet_extract_sub_tables
        strict_mode_buggy_font strict_mode_reconstruction structured_output
    """,
    ("O", "text"): """
        bounding_box page_footer_prefix page_footer_suffix page_header_prefix page_header_suffix
        structured_output_json_schema structured_output_json_schema_name
    """,
    ("O", "number"): """
        bbox_bottom bbox_left bbox_right bbox_top job_timeout_extra_time_per_page_in_seconds
        page_error_tolerance
    """,
    ("O", "list"): """
        webhook_configurations
    """,
    ("O", "choice"): """
        priority
    """,
    ("V", "text"): """
        model pipeline_id preset project_id tier version
    """,
    ("V", "map"): """
        resource_info
    """,
    ("V", "choice"): """
        type
    """,
    ("S", "text"): """
        azure_openai_api_version azure_openai_deployment_name azure_openai_endpoint azure_openai_key
        gpt4o_api_key http_proxy input_s3_path input_s3_region input_url output_s3_path_prefix output_s3_region
        outputBucket vendor_multimodal_api_key
    """,
    ("I", "flag"): """
        adaptive_long_table aggressive_table_extraction auto_mode auto_mode_trigger_on_image_in_page
        auto_mode_trigger_on_table_in_page continuous_mode disable_image_extraction disable_reconstruction
        enable_cost_optimizer extract_charts extract_layout gpt4o_mode guess_xlsx_sheet_name high_res_ocr
        ignore_document_elements_for_layout_detection inline_images_in_markdown internal_is_screenshot_job
        is_formatting_instruction layout_aware line_level_bounding_box outlined_table_extraction
        output_pdf_of_document precise_bounding_box premium_mode save_images specialized_chart_parsing_agentic
        specialized_chart_parsing_efficient specialized_chart_parsing_plus specialized_image_parsing
        spreadsheet_force_formula_computation strict_mode_image_extraction strict_mode_image_ocr take_screenshot
        use_vendor_multimodal_model
    """,
    ("I", "text"): """
        auto_mode_configuration_json auto_mode_trigger_on_regexp_in_page auto_mode_trigger_on_text_in_page
        complemental_formatting_instruction content_guideline_instruction formatting_instruction
        parsing_instruction system_prompt system_prompt_append user_prompt vendor_multimodal_model_name
    """,
    ("I", "list"): """
        images_to_save
    """,
}
TREATMENTS: Final[Mapping[str, Treatment]] = {
    name: treatment for (treatment, _), names in _NAMES.items() for name in names.split()
}
KINDS: Final[Mapping[str, str]] = {name: kind for (_, kind), names in _NAMES.items() for name in names.split()}

LANGUAGES: Final = frozenset(
    [
        "af",
        "az",
        "bs",
        "cs",
        "cy",
        "da",
        "de",
        "en",
        "es",
        "et",
        "fr",
        "ga",
        "hr",
        "hu",
        "id",
        "is",
        "it",
        "ku",
        "la",
        "lt",
        "lv",
        "mi",
        "ms",
        "mt",
        "nl",
        "no",
        "oc",
        "pi",
        "pl",
        "pt",
        "ro",
        "rs_latin",
        "sk",
        "sl",
        "sq",
        "sv",
        "sw",
        "tl",
        "tr",
        "uz",
        "vi",
        "ar",
        "fa",
        "ug",
        "ur",
        "bn",
        "as",
        "mni",
        "ru",
        "rs_cyrillic",
        "be",
        "bg",
        "uk",
        "mn",
        "abq",
        "ady",
        "kbd",
        "ava",
        "dar",
        "inh",
        "che",
        "lbe",
        "lez",
        "tab",
        "tjk",
        "hi",
        "mr",
        "ne",
        "bh",
        "mai",
        "ang",
        "bho",
        "mah",
        "sck",
        "new",
        "gom",
        "sa",
        "bgc",
        "th",
        "ch_sim",
        "ch_tra",
        "ja",
        "ko",
        "ta",
        "te",
        "kn",
    ]
)
MODES: Final = (
    "parse_page_without_llm", "parse_page_with_llm", "parse_page_with_lvm", "parse_page_with_agent",
    "parse_page_with_layout_agent", "parse_document_with_llm", "parse_document_with_lvm", "parse_document_with_agent",
)  # fmt: skip
PRIORITIES: Final = {"low": -1, "medium": 0, "high": 1, "critical": 2}
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "parse_mode": MODES,
    "replace_failed_page_mode": ("raw_text", "blank_page", "error_message"),
    "priority": tuple(PRIORITIES),
    "type": ("parse",),
}
EVENTS: Final = frozenset(
    [f"extract.{each}" for each in ("pending", "success", "error", "partial_success", "cancelled")]
    + [f"parse.{each}" for each in ("pending", "running", "success", "error", "partial_success", "cancelled")]
    + [f"classify.{each}" for each in ("pending", "success", "error", "partial_success", "cancelled")]
    + ["unmapped_event"]
)
IMAGES: Final = ("screenshot", "embedded", "layout")
FRACTIONS: Final = ("bbox_bottom", "bbox_left", "bbox_right", "bbox_top", "page_error_tolerance")
DEFAULTS: Final[Mapping[str, Any]] = {
    "markdown_table_multiline_header_separator": "<br/>",
    "max_pages": 0,
    "page_separator": "\n---\n",
    "parse_mode": "parse_page_without_llm",
    "priority": "medium",
    "replace_failed_page_mode": "raw_text",
    "type": "parse",
    "lang": "en",
}
"""Values that ask for nothing else than what is done anyway; of all others None, False and what is empty."""
MAX_PAGE: Final = 1_000_000
MASK: Final = "***"
_RANGE = re.compile(r"\s*(\d{1,7})\s*(?:-\s*(\d{1,7})\s*)?")
_FRACTION = re.compile(r"0?\.\d{1,20}|0|1(\.0{0,20})?")
_MAX_TEXT_CHARS = 20_000


def checked(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Those that were given a value; names that are not known are kept as they are.

    Raises:
        InvalidInputError: a value is of another type, or none of those that there are.
    """
    found = {name: value for name, value in parameters.items() if value is not None}
    for name, value in found.items():
        if name in KINDS:
            _check(name, KINDS[name], value)
    if "target_pages" in found:
        page_ranges(found["target_pages"])
    return found


def is_asked(name: str, value: Any) -> bool:
    """Whether a value asks for something else than what is done without it."""
    if name == "page_error_tolerance":
        return value is not None  # zero is the strictest wish
    return value not in (None, False, "", [], {}) and value != DEFAULTS.get(name)


def asked(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if is_asked(name, value)}


def masked(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """As they may be shown and logged."""
    return {name: _masked(name, value) for name, value in parameters.items()}


def page_ranges(text: str) -> list[tuple[int, int]]:
    """`0,2-4` → first and last of each range, counted from 0.

    Raises:
        InvalidInputError: it is no list of pages and ranges.
    """
    found = []
    for part in text.split(",") if text.strip() else []:
        match = _RANGE.fullmatch(part)
        first = int(match[1]) if match else -1
        last = int(match[2]) if match and match[2] else first
        if match is None or last < first:
            raise InvalidInputError(f"target_pages = {text[:100]!r}: expected pages and ranges from 0, such as 0,2-4")
        found.append((first, last))
    return found


def _check(name: str, kind: str, value: Any) -> None:
    checks: dict[str, tuple[bool, str]] = {
        "flag": (isinstance(value, bool), "true or false"),
        "text": (isinstance(value, str) and len(value) <= _MAX_TEXT_CHARS, f"a text of {_MAX_TEXT_CHARS:,} characters"),
        "number": (_is_number(name, value), "a number from 0" + (" to 1" if name in FRACTIONS else "")),
        "map": (isinstance(value, Mapping), "an object"),
        "list": (isinstance(value, list), "a list"),
        "choice": (value in CHOICES.get(name, ()), f"one of {', '.join(CHOICES.get(name, ()))}"),
    }
    is_right, expected = checks[kind]
    if not is_right:
        raise InvalidInputError(f"{name} = {_shown(name, value)}: expected {expected}")
    if name in ("languages", "images_to_save"):
        _check_words(name, value, LANGUAGES if name == "languages" else frozenset(IMAGES))
    if name == "bounding_box":
        _check_box(value)
    if name == "lang":
        _check_words(name, [value], LANGUAGES)
    if name == "webhook_configurations":
        for each in value:
            _check_hook(each)


def _is_number(name: str, value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e12:
        return False
    return value <= 1 if name in FRACTIONS else True


def _check_box(value: str) -> None:
    sides = value.split(",") if value.strip() else []
    if sides and (len(sides) != 4 or not all(_FRACTION.fullmatch(each.strip()) for each in sides)):
        raise InvalidInputError(
            f"bounding_box = {value[:60]!r}: expected top, right, bottom, left, each from 0 to 1, such as 0.1,0,0.1,0"
        )


def _check_words(name: str, values: list[Any], known: frozenset[str]) -> None:
    for value in values:
        if not isinstance(value, str) or value not in known:
            raise InvalidInputError(f"{name}: {str(value)[:40]!r} is not one of {', '.join(sorted(known))}")


def _check_hook(value: Any) -> None:
    if not isinstance(value, Mapping):
        raise InvalidInputError("webhook_configurations: expected a list of objects with webhook_url")
    events = value.get("webhook_events") or []
    if not isinstance(events, list):
        raise InvalidInputError("webhook_events: expected a list of names of events")
    _check_words("webhook_events", events, EVENTS)
    url, form, headers = value.get("webhook_url"), value.get("webhook_output_format"), value.get("webhook_headers")
    if (url is not None and not isinstance(url, str)) or form not in (None, "string", "json"):
        raise InvalidInputError("webhook_configurations: webhook_url is a text, webhook_output_format string or json")
    if headers is not None and not (
        isinstance(headers, Mapping) and all(isinstance(each, str) for each in headers.values())
    ):
        raise InvalidInputError("webhook_headers: expected an object of texts")


def _masked(name: str, value: Any) -> Any:
    if TREATMENTS.get(name) == "S" and value is not None:
        return MASK
    if name == "webhook_configurations" and isinstance(value, list):
        return [
            {**each, "webhook_headers": dict.fromkeys(each.get("webhook_headers") or {}, MASK)}
            if isinstance(each, Mapping)
            else MASK
            for each in value
        ]
    return value


def _shown(name: str, value: Any) -> str:
    return MASK if TREATMENTS.get(name) == "S" else repr(value)[:80]
