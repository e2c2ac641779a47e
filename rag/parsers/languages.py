"""Which programming language a file is in, told by its name or by its first line."""

import re
from pathlib import PurePath
from typing import Final

_SUFFIXES: Final = {
    "Python": ".py .pyi .pyw",
    "JavaScript": ".js .mjs .cjs .jsx",
    "TypeScript": ".ts .mts .cts .tsx",
    "Java": ".java",
    "Kotlin": ".kt .kts",
    "Scala": ".scala .sc",
    "Groovy": ".groovy .gradle",
    "C": ".c .h",
    "C++": ".cpp .cc .cxx .hpp .hh .hxx .ino",
    "C#": ".cs",
    "Objective-C": ".mm",
    "Go": ".go",
    "Rust": ".rs",
    "Swift": ".swift",
    "Dart": ".dart",
    "PHP": ".php",
    "Ruby": ".rb .rake .gemspec",
    "Perl": ".pl .pm",
    "Lua": ".lua",
    "R": ".r",
    "Julia": ".jl",
    "Elixir": ".ex .exs",
    "Shell": ".sh .bash .zsh .ksh",
    "PowerShell": ".ps1 .psm1",
    "SQL": ".sql",
    "Protocol Buffers": ".proto",
    "Terraform": ".tf .hcl",
    "CSS": ".css .scss .less",
}
_BY_SUFFIX: Final = {suffix: language for language, listed in _SUFFIXES.items() for suffix in listed.split()}
_BY_NAME: Final = {"dockerfile": "Dockerfile", "makefile": "Makefile", "rakefile": "Ruby", "gemfile": "Ruby"}
_SHEBANG = re.compile(rb"#![^\n]{0,200}?(python|node|deno|bun|ruby|perl|php|lua|Rscript|bash|zsh|ksh|dash|sh)[\d.]*\b")
_BY_INTERPRETER: Final = {
    "python": "Python", "node": "JavaScript", "deno": "TypeScript", "bun": "TypeScript", "ruby": "Ruby",
    "perl": "Perl", "php": "PHP", "lua": "Lua", "Rscript": "R",
}  # fmt: skip


def language_of(filename: str, head: bytes) -> str | None:
    """The language's own name (`C++`); None if neither name nor first line tells."""
    name = PurePath(filename).name.lower()
    known = _BY_SUFFIX.get(PurePath(name).suffix) or _BY_NAME.get(name)
    if known is not None:
        return known
    found = _SHEBANG.match(head)
    return _BY_INTERPRETER.get(found[1].decode("ascii"), "Shell") if found else None
