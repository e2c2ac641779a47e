"""Where the published reference and the vendor's clients use one key for different words, headers decide."""

from collections.abc import Mapping

MARKERS = ("x-fern-language", "x-stainless-lang")
USER_AGENT = "LlamaCloud/"


def is_official_client(headers: Mapping[str, str]) -> bool:
    return any(name in headers for name in MARKERS) or headers.get("user-agent", "").startswith(USER_AGENT)
