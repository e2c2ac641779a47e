"""Where the classes and functions of a program begin, told without a grammar of its language.

Strings and comments are blanked out first, so that what they hold is never taken for code. Every pattern is linear:
it either matches or gives up at once, whatever the file holds.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rag.types import Heading

_MAX_LINE_CHARS = 400
_MAX_HEAD_LINES = 12
_MAX_LEAD_LINES = 80
_TAB_WIDTH = 8

_DOUBLE = r'"(?:\\.|[^"\\\n])*+"?'
_SINGLE = r"'(?:\\.|[^'\\\n])*+'?"
_BLOCK_COMMENT = r"/\*(?:[^*]|\*(?!/))*+(?:\*/)?"
_TRIPLE = r'"""(?:[^"\\]|\\.|"(?!""))*+(?:""")?' + r"|'''(?:[^'\\]|\\.|'(?!''))*+(?:''')?"
_BACKTICK = r"`(?:\\.|[^`\\])*+`?"
_CHARACTER = r"'(?:\\[^\n']{1,10}|[^'\\\n])'"  # no string: a lifetime of Rust has one mark only


def _masking(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.DOTALL)


_C_LIKE = _masking(r"//[^\n]*+", _BLOCK_COMMENT, _DOUBLE, _SINGLE)
_MASKS: Final = {
    "Python": _masking(_TRIPLE, r"#[^\n]*+", _DOUBLE, _SINGLE),
    "JavaScript": _masking(r"//[^\n]*+", _BLOCK_COMMENT, _BACKTICK, _DOUBLE, _SINGLE),
    "TypeScript": _masking(r"//[^\n]*+", _BLOCK_COMMENT, _BACKTICK, _DOUBLE, _SINGLE),
    "Go": _masking(r"//[^\n]*+", _BLOCK_COMMENT, r"`[^`]*+`?", _DOUBLE, _SINGLE),
    "Rust": _masking(r"//[^\n]*+", _BLOCK_COMMENT, r'"(?:\\.|[^"\\])*+"?', _CHARACTER),
    "PHP": _masking(r"//[^\n]*+", r"#(?!\[)[^\n]*+", _BLOCK_COMMENT, _DOUBLE, _SINGLE),
    "SQL": _masking(r"--[^\n]*+", _BLOCK_COMMENT, _SINGLE),
    "Lua": _masking(r"--\[\[(?:[^\]]|\](?!\]))*+(?:\]\])?", r"--[^\n]*+", _DOUBLE, _SINGLE),
    **dict.fromkeys(
        ("Kotlin", "Scala", "Swift", "Groovy", "Dart"),
        _masking(_TRIPLE, r"//[^\n]*+", _BLOCK_COMMENT, _DOUBLE, _SINGLE),
    ),
    **dict.fromkeys(
        ("Ruby", "Perl", "Shell", "PowerShell", "R", "Julia", "Elixir"), _masking(r"(?<!\$)#[^\n]*+", _DOUBLE, _SINGLE)
    ),
    **dict.fromkeys(("C", "C++", "C#", "Objective-C", "Java", "Protocol Buffers"), _C_LIKE),
}  # fmt: skip

_INDENTED: Final = {
    "Python": r"(?:async[ \t]+)?(?P<kind>def|class)[ \t]+(?P<name>\w+)",
    "Ruby": r"(?P<kind>def|class|module)[ \t]+(?P<name>[\w.:]+[?!=]?)",
    "Elixir": r"(?P<kind>defmodule|defmacrop?|defp?)[ \t]+(?P<name>[\w.]+[?!]?)",
    "Julia": r"(?P<kind>function|mutable struct|struct|module|macro)[ \t]+(?P<name>[\w.]+!?)",
    "Lua": r"(?:local[ \t]+)?(?P<kind>function)[ \t]+(?P<name>[\w.:]+)",
    "R": r"(?P<name>[\w.]+)[ \t]*(?:<-|=)[ \t]*(?P<kind>function)\b",
    "SQL": (
        r"(?i:(?P<kind>create)[ \t]+(?:or[ \t]+replace[ \t]+)?(?:temp(?:orary)?[ \t]+|unique[ \t]+|materialized[ \t]+)?"
        r"(?:table|view|function|procedure|trigger|index|type|schema)[ \t]+(?:if[ \t]+not[ \t]+exists[ \t]+)?)"
        r"(?P<name>[\w.\"\[\]`]+)"
    ),
}
"""Languages in which a line begins a declaration and its indent says what it belongs to."""
_INDENTED_PATTERNS: Final = {
    language: re.compile(r"(?P<indent>[ \t]{0,100})" + pattern) for language, pattern in _INDENTED.items()
}
_HOLDERS: Final = frozenset({"class", "module", "defmodule"})

_TYPE = re.compile(
    r"\b(?:class|interface|enum|record|struct|trait|object|protocol|extension|namespace|actor|union|mixin|mod|module"
    r"|message|service|package)\s+(?:class\s+)?(?P<name>[A-Za-z_$][\w$.:]*)"
)
_IMPL = re.compile(r"\bimpl\b[^{]{1,200}")
_GO_TYPE = re.compile(r"\btype\s+(?P<name>\w+)(?:\[[^\]]*\])?\s+(?:struct|interface)\b")
_GO_METHOD = re.compile(r"\bfunc\s+\(\s*(?:\w+\s+)?\*?(?P<owner>\w+)[^)]{0,100}\)\s*(?P<name>\w+)")
_FUNCTION = re.compile(
    r"\b(?:fun|func|fn|def|function\*?|sub|filter|rpc)\s+(?:<[^<>]{0,100}>\s*)?(?P<name>[A-Za-z_$][\w$.:-]*)"
)
_ARROW = re.compile(r"\b(?:const|let|var)\s+(?P<name>[\w$]+)[^=]{0,200}=\s*(?:async\b\s*)?(?:function\b|[^=]{0,300}=>)")
_CALLABLE = re.compile(r"(?P<name>[A-Za-z_$~][\w$:~]*)\s*\(")
_ANNOTATION = re.compile(r"@[\w.]+(?:\([^()]{0,200}\))?|\[\[?[A-Z]\w*(?:\([^()]{0,200}\))?\]\]?")
_BARE_FUNCTIONS: Final = frozenset({"C", "C++", "C#", "Objective-C", "Java", "Dart", "Groovy", "Shell"})
"""Languages in which a function is written without a word that says so."""
_METHODS_ONLY: Final = frozenset({"JavaScript", "TypeScript"})
_CONTROL: Final = frozenset(
    {
        "await", "case", "catch", "default", "defer", "do", "elif", "else", "elseif", "finally", "fixed", "for",
        "foreach", "go", "guard", "if", "lock", "loop", "match", "new", "return", "select", "switch", "synchronized",
        "throw", "try", "typeof", "unless", "unsafe", "until", "using", "when", "while", "with", "yield",
    }
)  # fmt: skip
_NO_NAMES: Final = frozenset({"catch", "for", "function", "if", "return", "switch", "while", "with"})
_CONTINUES: Final = (":", "where ", ")", "->", "throws ", "extends ", "implements ", "{", "noexcept", "override")
_LEAD = re.compile(r"\s*(?:@|#\[|//|/\*|\*|--|\[[A-Z]|template\s*<)")
_LEAD_OF_HASH = re.compile(r"\s*(?:@|#(?!!))")
_HASH_COMMENTS: Final = frozenset({"Python", "Ruby", "Perl", "Shell", "PowerShell", "R", "Julia", "Elixir"})


@dataclass(frozen=True, slots=True)
class _Block:
    """What a pair of braces belongs to; without a title, to nothing that has a name."""

    title: str = ""
    holds_members: bool = False


@dataclass(frozen=True, slots=True)
class _Around:
    """The innermost block with a name around a place, and how many such there are."""

    owner: _Block | None = None
    level: int = 0


def outline(text: str, language: str) -> Iterator[Heading]:
    """The declarations in order; of functions inside of functions only the outer ones."""
    mask = _MASKS.get(language)
    if mask is None:
        return
    lines = _Lines(text, mask.sub(_blank, text))
    found = _indented(lines, _INDENTED_PATTERNS[language]) if language in _INDENTED else _braced(lines, language)
    lead = _LEAD_OF_HASH if language in _HASH_COMMENTS else _LEAD
    last = -1
    for number, level, title in found:
        first = max(lines.lead(number, lead), last + 1)
        if first > number:
            continue  # a second declaration on the same line
        last = number
        yield Heading(lines.starts[first], level, title)


def _blank(found: re.Match[str]) -> str:
    """As many characters, and the same lines."""
    hidden = found[0]
    if "\n" not in hidden:
        return " " * len(hidden)
    return "\n".join(" " * len(line) for line in hidden.split("\n"))


class _Lines:
    def __init__(self, text: str, masked: str) -> None:
        self.written = text.split("\n")
        self.masked = masked.split("\n")
        self.starts: list[int] = []
        at = 0
        for line in self.written:
            self.starts.append(at)
            at += len(line) + 1

    def lead(self, number: int, pattern: re.Pattern[str]) -> int:
        """The line on which the comments and decorators directly above line `number` begin."""
        first = number
        while first > max(0, number - _MAX_LEAD_LINES) and pattern.match(self.written[first - 1][:_MAX_LINE_CHARS]):
            first -= 1
        return first


def _indented(lines: _Lines, pattern: re.Pattern[str]) -> Iterator[tuple[int, int, str]]:
    above: list[tuple[int, bool]] = []  # indent, whether it holds members
    for number, line in enumerate(lines.masked):
        found = pattern.match(line[:_MAX_LINE_CHARS])
        if found is None:
            continue
        indent = len(found["indent"].expandtabs(_TAB_WIDTH))
        while above and above[-1][0] >= indent:
            above.pop()
        if all(holds for _, holds in above):
            yield number, len(above) + 1, found["name"].strip('"`[]')
        above.append((indent, found["kind"] in _HOLDERS))


def _braced(lines: _Lines, language: str) -> Iterator[tuple[int, int, str]]:
    around = [_Around()]
    for number, line in enumerate(lines.masked):
        if "{" not in line and "}" not in line:
            continue
        at = 0
        for found in re.finditer("[{}]", line):
            if found[0] == "}":
                if len(around) > 1:
                    around.pop()
                at = found.end()
                continue
            block, first = _block_at(lines, number, at, found.start(), around[-1].owner, language)
            at = found.end()
            if block.title:
                around.append(_Around(block, around[-1].level + 1))
                yield first, around[-1].level, block.title
            else:
                around.append(around[-1])


def _block_at(
    lines: _Lines, number: int, begin: int, end: int, owner: _Block | None, language: str
) -> tuple[_Block, int]:
    """What the brace at column `end` opens, and the line on which its declaration begins."""
    if (owner is not None and not owner.holds_members) or end - begin > _MAX_LINE_CHARS:
        return _Block(), number
    head, first = lines.masked[number][begin:end], number
    while begin == 0 and number - first < _MAX_HEAD_LINES and first > 0 and _goes_on(head):
        first -= 1
        head = lines.masked[first][:_MAX_LINE_CHARS] + "\n" + head
    return _named(head.rpartition(";")[2], language, owner), first


def _goes_on(head: str) -> bool:
    """Whether the declaration began on a line above."""
    stripped = head.strip()
    if ";" in head or stripped.endswith("}"):
        return False
    return not stripped or stripped.startswith(_CONTINUES) or head.count(")") > head.count("(")


def _named(head: str, language: str, owner: _Block | None) -> _Block:
    head = _ANNOTATION.sub(" ", head).strip()
    first_word = re.match(r"\w*", head)
    if not head or head[0] == "#" or (first_word and first_word[0] in _CONTROL) or head.count("(") > head.count(")"):
        return _Block()
    if language == "Go":
        return _go_block(head)
    if language == "Rust" and (impl := _IMPL.search(head)):
        return _Block(" ".join(impl[0].split()), holds_members=True)
    if found := _FUNCTION.search(head):
        return _Block(found["name"])
    if (found := _TYPE.search(head)) and "(" not in head[: found.start()]:
        return _Block(found["name"], holds_members=True)
    return _bare_function(head, language, owner)


def _go_block(head: str) -> _Block:
    if found := _GO_METHOD.search(head):
        return _Block(f"{found['owner']}.{found['name']}")
    found = _GO_TYPE.search(head) or _FUNCTION.search(head)
    return _Block(found["name"]) if found else _Block()


def _bare_function(head: str, language: str, owner: _Block | None) -> _Block:
    if language in _METHODS_ONLY and (found := _ARROW.search(head)):
        return _Block(found["name"])
    if language not in _BARE_FUNCTIONS and not (language in _METHODS_ONLY and owner is not None):
        return _Block()
    found = _CALLABLE.search(head)
    if found is None or "=" in head[: found.start()] or found["name"] in _NO_NAMES or "=>" in head:
        return _Block()
    words_before = head[: found.start()].split()
    if "new" in words_before or "return" in words_before:
        return _Block()
    return _Block(found["name"])
