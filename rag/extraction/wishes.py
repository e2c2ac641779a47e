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
HONOURED = frozenset(
    {
        "cite_sources", "confidence_scores", "evidence", "extract_model", "extraction_target", "max_pages",
        "page_range", "priority", "sheet_names", "system_prompt", "target_pages",
    }
)  # fmt: skip
PLACES = frozenset({"data_schema", "organization_id", "product_type", "project_id"})
"""Say what is to be read and where it belongs; read elsewhere."""
MAX_NAMES, MAX_NAME_CHARS = 100, 100


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
    """Names of the options that are set and change nothing: those of the hosted service's own models and prices, and
    any that are not known."""
    names = [name for name in config if _is_set(config[name]) and not _is_honoured(config, name)]
    return sorted(name[:MAX_NAME_CHARS] for name in names)[:MAX_NAMES]


def _is_set(value: Any) -> bool:
    return value is not None and value is not False and value not in ("", 0, [], {})


def _is_honoured(config: Mapping[str, Any], name: str) -> bool:
    if name == "chunk_mode":
        return str(config[name]).upper() == "PAGE"
    if name == "page_range":
        return not config.get("target_pages")
    return name in HONOURED or name in PLACES


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
