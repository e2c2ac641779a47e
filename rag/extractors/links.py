"""Addresses in a chunk: web, mail, phone, mentions and tags. Nothing is fetched."""

from urllib.parse import urlsplit

from pydantic import Field

from rag.extractors.named_patterns import find_named
from rag.registry import ComponentOptions
from rag.types import Document, Scalar


class LinkExtractor:
    class Options(ComponentOptions):
        extract_urls: bool = True
        extract_emails: bool = True
        extract_domains: bool = Field(True, description="Host names of the addresses found.")
        extract_phone_numbers: bool = False
        extract_mentions: bool = False
        extract_hashtags: bool = False
        extract_file_paths: bool = False
        enabled: bool = True

    def __init__(self, options: Options) -> None:
        self._options = options

    def extract(self, text: str, document: Document) -> dict[str, Scalar | list[str]]:
        options = self._options
        if not options.enabled:
            return {}
        urls, emails = find_named("url", text), find_named("email", text)
        found = {
            "links": urls if options.extract_urls else [],
            "emails": emails if options.extract_emails else [],
            "domains": _domains(urls, emails) if options.extract_domains else [],
            "phone_numbers": find_named("phone", text) if options.extract_phone_numbers else [],
            "mentions": find_named("mention", text) if options.extract_mentions else [],
            "hashtags": find_named("hashtag", text) if options.extract_hashtags else [],
            "file_paths": find_named("file_path", text) if options.extract_file_paths else [],
        }
        return {key: values for key, values in found.items() if values}


def _domains(urls: list[str], emails: list[str]) -> list[str]:
    hosts = [_host(url) for url in urls] + [email.rpartition("@")[2].lower() for email in emails]
    return [host for host in dict.fromkeys(hosts) if host]


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # such as an unclosed bracket of an IPv6 address
        return ""
