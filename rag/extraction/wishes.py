"""How a file is to be read, out of the options of both generations of the API."""

from collections.abc import Mapping
from typing import Any

from rag.errors import InvalidInputError
from rag.extraction.parts import read_ranges
from rag.extraction.run import Target, Wish
from rag.extraction.trees import Strictness

TARGETS: Mapping[str, Target] = {"per_doc": "per_doc", "per_page": "per_page", "per_table_row": "per_table_row"}
STRICTNESS: Mapping[str, Strictness] = {"strict": "strict", "normal": "normal", "off": "off"}
MAX_GUIDANCE_CHARS = 8_000
MAX_SHEETS = 1_000
NO_EFFECT = frozenset(
    {
        "advanced_citations", "citation_bbox", "disable_cache", "extraction_mode", "high_resolution_mode",
        "invalidate_cache", "multimodal_fast_mode", "num_pages_context", "parse_config_id", "parse_model", "parse_tier",
        "spreadsheet_mode", "tier", "use_reasoning", "version", "webhook_configuration_ids", "webhook_configurations",
    }
)  # fmt: skip
"""Options of the hosted service that choose between its own models and prices, or that nothing here answers to."""


def read_wish(config: Mapping[str, Any]) -> Wish:
    """
    Raises:
        InvalidInputError: an option has a value that is not known; says which are.
    """
    written = config.get("target_pages") or config.get("page_range")
    guidance = config.get("system_prompt")
    sheets = config.get("sheet_names")
    return Wish(
        target=_chosen(config, "extraction_target", TARGETS, "per_doc"),
        pages=None if not written else tuple(read_ranges(_text(written, "target_pages"))),
        max_pages=_count(config.get("max_pages")),
        sheets=None if not sheets else tuple(_text(each, "sheet_names") for each in _list(sheets)),
        guidance=None if not guidance else _text(guidance, "system_prompt")[:MAX_GUIDANCE_CHARS],
        strictness=_chosen(config, "evidence", STRICTNESS, "normal"),
        is_cut_at_pages=str(config.get("chunk_mode") or "").upper() == "PAGE",
    )


def without_effect(config: Mapping[str, Any]) -> list[str]:
    """Names of the options that are set and change nothing."""
    return sorted(name for name in NO_EFFECT if config.get(name) not in (None, False, []))


def _chosen(config: Mapping[str, Any], name: str, known: Mapping[str, Any], default: str) -> Any:
    value = config.get(name)
    wanted = default if value is None else str(value).lower()
    if wanted not in known:
        raise InvalidInputError(f"{name} = {str(value)[:100]!r}: expected one of {', '.join(known)}")
    return known[wanted]


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise InvalidInputError(f"{name}: expected a text, not {type(value).__name__}")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > MAX_SHEETS:
        raise InvalidInputError(f"sheet_names: expected a list of at most {MAX_SHEETS} names")
    return value


def _count(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInputError(f"max_pages = {str(value)[:100]}: expected a whole number from 1 on")
    return value
