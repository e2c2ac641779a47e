"""Reading OpenAI chat messages, whose content is text, a list of parts, or nothing."""

from collections.abc import Iterable, Mapping
from typing import Any

from rag.llms.base import Message


def text_of(content: Any) -> str:
    """The text of a message's content; the texts of several parts are joined by newlines."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list | tuple):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, Mapping)]
    return "\n".join(text for text in texts if isinstance(text, str) and text)


def image_urls(content: Any) -> list[str]:
    """The URLs of a message's image parts, in order."""
    if not isinstance(content, list | tuple):
        return []
    parts = [part.get("image_url") for part in content if isinstance(part, Mapping)]
    urls = [part.get("url") if isinstance(part, Mapping) else part for part in parts]
    return [url for url in urls if isinstance(url, str)]


def last_user_text(messages: Iterable[Message]) -> str:
    """The text of the last user message that has any; empty when there is none."""
    texts = [text_of(message.get("content")) for message in messages if message.get("role") == "user"]
    return next((text for text in reversed(texts) if text.strip()), "")
