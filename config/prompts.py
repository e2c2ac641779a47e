"""The `prompts` section: named sets of messages that go before a conversation."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from config.section import NAME_PATTERN, Section

FLAT_SET_NAME = "default"


class PromptMessage(Section):
    """A message that stands before the conversation."""

    role: str = Field(description="system, user, assistant or tool.")
    content: str = Field(description="Its text.")
    tool_call_id: str | None = Field(None, description="For role `tool`.")


class PromptSet(Section):
    """A named set of messages; models choose among the sets by name."""

    name: Annotated[str, StringConstraints(pattern=NAME_PATTERN)] = Field(description="Small letters, digits and `_`.")
    messages: list[PromptMessage] = Field(default_factory=list)

    def as_messages(self) -> list[dict[str, str]]:
        known = {"role", "content", "tool_call_id"}
        return [message.model_dump(include=known, exclude_none=True) for message in self.messages]


def as_sets(entries: Iterable[Any]) -> list[Any]:
    """The canonical form of every form ever written: flat messages become one set, sections become a system message."""
    flat, sets = [], []
    for entry in entries:
        if isinstance(entry, dict) and "role" in entry and "messages" not in entry:
            flat.append(entry)
        else:
            sets.append(_from_sections(entry))
    return [{"name": FLAT_SET_NAME, "messages": flat}, *sets] if flat else sets


def _from_sections(entry: Any) -> Any:
    if not isinstance(entry, dict) or "messages" in entry or not isinstance(entry.get("sections"), list):
        return entry
    parts = [part for section in entry["sections"] for part in _section_lines(section)]
    rest = {key: value for key, value in entry.items() if key != "sections"}
    return {**rest, "messages": [{"role": "system", "content": "\n".join(parts)}]}


def _section_lines(section: Any) -> list[str]:
    if not isinstance(section, dict):
        return [str(section)]
    content = section.get("content") or []
    lines = content if isinstance(content, list) else [content]
    title = [str(section["title"])] if section.get("title") else []
    return [*title, *(str(line) for line in lines)]
