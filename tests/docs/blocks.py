"""The fenced code blocks of a page, and what each of them is for."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = (README, *sorted(path for path in (ROOT / "docs").glob("*.md") if path.name != "operations.md"))
"""Pages whose blocks are run; docs/operations.md shows commands of a whole machine."""
NOTEBOOK = ROOT / "docs" / "llamacloud.md"
"""Its blocks are steps of one session: tests/clients/test_tutorial.py runs them one after the other."""

Use = Literal["make run", "make test", "requests", "client", "component", "table line", "config", "notebook"]

_FENCE = re.compile(r"^```(?P<language>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (\S+\.py)\n")
_TABLE_LINE = re.compile(r'"(?P<name>\w+)": "(?P<target>[\w.]+:\w+)",')


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    text: str

    @property
    def id(self) -> str:
        return f"{self.page.name}:{self.line}"

    @property
    def use(self) -> Use:
        """Raises ValueError for a block that no test would run."""
        if self.page == NOTEBOOK and self.language in ("bash", "python"):
            return "notebook"
        if self.language == "bash":
            return self._command()
        if self.language == "yaml":
            return "config"
        if self.language == "python" and self.file is not None:
            return "component" if "class " in self.text else "table line"
        if self.language == "python" and "OpenAI(" in self.text:
            return "client"
        raise ValueError(f"{self.id}: nothing runs this {self.language or 'unnamed'} block: {self.text[:80]!r}")

    def _command(self) -> Use:
        command = self.text.strip()
        if command == "make run":
            return "make run"
        if command == "make test":
            return "make test"
        if "curl " in command:
            return "requests"
        raise ValueError(f"{self.id}: nothing runs this command: {command[:80]!r}")

    @property
    def file(self) -> str | None:
        """The path in the first line, of blocks that show a file."""
        found = _FILE.match(self.text)
        return found[1] if found else None

    @property
    def entry(self) -> tuple[str, str]:
        """(name, target) of a line of a table."""
        found = _TABLE_LINE.fullmatch(self.text.split("\n", 1)[1].strip())
        assert found, self.text
        return found["name"], found["target"]


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found["language"].strip(), found["text"])
        for found in _FENCE.finditer(text)
    ]


def blocks(use: Use, *pages: Path) -> list[Block]:
    return [block for page in pages or PAGES for block in blocks_of(page) if block.use == use]
