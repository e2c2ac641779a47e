"""What nobody may ask for as `parser_overrides`: (value, status, what the message says)."""

from typing import Any

BAD_OVERRIDES: dict[str, tuple[Any, int, str]] = {
    "not per pattern": ({"chunk_size": 5}, 400, "'chunk_size' is to be an object"),
    "unknown option": ({"*": {"chunk_sizes": 5}}, 400, "accepted: chunk_size, chunk_overlap, chunk_strategy"),
    "zero": ({"*": {"chunk_size": 0}}, 400, "greater than or equal to 1"),
    "too large": ({"*": {"chunk_size": 100_001}}, 400, "less than or equal to 100000"),
    "a text": ({"*": {"chunk_size": "5"}}, 400, "chunk_size"),
    "a fraction": ({"*": {"chunk_size": 5.5}}, 400, "chunk_size"),
    "a truth": ({"*": {"chunk_size": True}}, 400, "chunk_size"),
    "overlap below zero": ({"*": {"chunk_overlap": -1}}, 400, "chunk_overlap"),
    "overlap of the whole": ({"*": {"chunk_size": 50, "chunk_overlap": 50}}, 400, "must be smaller"),
    "unknown way to cut": ({"*": {"chunk_strategy": "knife"}}, 400, "Known:"),
    "too long": ({"x" * 11_000: {"chunk_size": 5}}, 413, "10240 bytes"),
}
