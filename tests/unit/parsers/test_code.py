"""Declarations are found as each language writes them, and never in strings or comments."""

import pytest

from rag.parsers.code_outline import outline
from rag.parsers.languages import language_of

PROGRAMS: dict[str, tuple[str, list[tuple[int, str, str]]]] = {
    "Python": (
        (
            '"""def no(): ..."""\n\n# about\n@dec\nclass Basket(Base):\n    """class No"""\n    def add(self):\n'
            "        def inner(): ...\n    async def clear(self): ...\ndef main(): ...\n"
        ),
        [
            (1, "Basket", "# about"),
            (2, "add", "    def add(self):"),
            (2, "clear", "    async def clear(self): ..."),
            (1, "main", "def main(): ..."),
        ],
    ),
    "JavaScript": (
        (
            'import a from "b"\nexport default class Foo {\n  constructor(x) { this.x = x }\n  async load(a,\n    b) {\n'  # noqa: E501
            "    return fetch(a, () => { })\n  }\n}\nconst f = async (a) => {\n  if (a) { }\n}\n"
            'function g() { return {a: 1} }\napp.get("/", (req) => {\n})\n'
        ),
        [
            (1, "Foo", "export default class Foo {"),
            (2, "constructor", "  constructor(x) { this.x = x }"),
            (2, "load", "  async load(a,"),
            (1, "f", "const f = async (a) => {"),
            (1, "g", "function g() { return {a: 1} }"),
        ],
    ),
    "TypeScript": (
        (
            "export interface A { x: number }\nexport abstract class B<T> implements A {\n"
            "  private async go(a: string): Promise<void> {\n  }\n}\nexport const h = (a: number): string => {\n}\n"
        ),
        [
            (1, "A", "export interface A { x: number }"),
            (1, "B", "export abstract class B<T> implements A {"),
            (2, "go", "  private async go(a: string): Promise<void> {"),
            (1, "h", "export const h = (a: number): string => {"),
        ],
    ),
    "Go": (
        (
            "package main\n// Basket holds.\ntype Basket struct {\n n int\n}\nfunc (b *Basket) Add(x int) error {\n"
            " if err := f(); err != nil { return err }\n}\nfunc main() {\n}\n"
        ),
        [
            (1, "Basket", "// Basket holds."),
            (1, "Basket.Add", "func (b *Basket) Add(x int) error {"),
            (1, "main", "func main() {"),
        ],
    ),
    "Rust": (
        (
            "use a;\n/// doc\n#[derive(Debug)]\npub struct Basket<'a> { n: &'a str }\nimpl<'a> Display for Basket<'a> {\n"  # noqa: E501
            "    fn fmt(&self) -> Result { match x { Some(y) => { } } }\n}\npub(crate) async fn run<T>(a: T) where T: X {\n}\n"  # noqa: E501
        ),
        [
            (1, "Basket", "/// doc"),
            (1, "impl<'a> Display for Basket<'a>", "impl<'a> Display for Basket<'a> {"),
            (2, "fmt", "    fn fmt(&self) -> Result { match x { Some(y) => { } } }"),
            (1, "run", "pub(crate) async fn run<T>(a: T) where T: X {"),
        ],
    ),
    "C": (
        (
            "#include <a.h>\n#define X(a) { a }\nstatic int\nadd(int a, int b)\n{\n  while (a) { }\n  return 0;\n}\n"
            "struct point { int x; };\nint arr[] = { 1, 2 };\n"
        ),
        [(1, "add", "add(int a, int b)"), (1, "point", "struct point { int x; };")],
    ),
    "C++": (
        (
            "namespace a::b {\ntemplate <typename T>\nclass Foo : public Bar {\n  Foo(int a)\n    : b_(a) {}\n  ~Foo() {}\n};\n}\n"  # noqa: E501
            "void a::b::Foo::run(int x) {\n}\n"
        ),
        [
            (1, "a::b", "namespace a::b {"),
            (2, "Foo", "template <typename T>"),
            (3, "Foo", "  Foo(int a)"),
            (3, "~Foo", "  ~Foo() {}"),
            (1, "a::b::Foo::run", "void a::b::Foo::run(int x) {"),
        ],
    ),
    "C#": (
        (
            "namespace A.B\n{\n    [Serializable]\n    public class Foo : Bar\n    {\n        public int X { get; set; }\n"  # noqa: E501
            "        public async Task<int> Run(int a)\n        {\n            using (var x = f()) { }\n        }\n    }\n}\n"  # noqa: E501
        ),
        [
            (1, "A.B", "namespace A.B"),
            (2, "Foo", "    [Serializable]"),
            (3, "Run", "        public async Task<int> Run(int a)"),
        ],
    ),
    "Kotlin": (
        "data class A(val x: Int) {\n  fun <T> go(a: T): Int { list.map { it } }\n}\nfun main() { }\n",
        [
            (1, "A", "data class A(val x: Int) {"),
            (2, "go", "  fun <T> go(a: T): Int { list.map { it } }"),
            (1, "main", "fun main() { }"),
        ],
    ),
    "PHP": (
        "<?php\nnamespace X;\nclass A extends B {\n  public function go($a) { foreach ($a as $b) { } }\n}\n",
        [(1, "A", "class A extends B {"), (2, "go", "  public function go($a) { foreach ($a as $b) { } }")],
    ),
    "Ruby": (
        "module A\n  class B\n    def go?\n    end\n    def self.x\n    end\n  end\nend\n",
        [(1, "A", "module A"), (2, "B", "  class B"), (3, "go?", "    def go?"), (3, "self.x", "    def self.x")],
    ),
    "Shell": (
        'foo() {\n  echo "${x}"\n}\nfunction bar {\n  :\n}\nif [ a ]; then\n  x\nfi\n',
        [(1, "foo", "foo() {"), (1, "bar", "function bar {")],
    ),
    "SQL": (
        '-- create table no\nCREATE TABLE IF NOT EXISTS "orders" (id int);\ncreate or replace function f(a int)\n',
        [(1, "orders", "-- create table no"), (1, "f", "create or replace function f(a int)")],
    ),
}


@pytest.mark.parametrize("language", PROGRAMS)
def test_declarations_begin_where_their_comments_do(language: str) -> None:
    text, expected = PROGRAMS[language]
    found = [(each.level, each.title, text[each.start :].split("\n")[0]) for each in outline(text, language)]
    assert found == expected


@pytest.mark.parametrize(
    ("filename", "head", "language"),
    [
        ("a.py", b"", "Python"), ("A.TSX", b"", "TypeScript"), ("x/Makefile", b"", "Makefile"), ("a.hpp", b"", "C++"),
        ("run", b"#!/usr/bin/env python3\n", "Python"), ("run", b"#!/bin/sh -e\n", "Shell"),
        ("run", b"#!/usr/bin/node\n", "JavaScript"), ("notes", b"print('x')", None), ("a.conf", b"", None),
    ],
)  # fmt: skip
def test_language_is_told_by_name_or_first_line(filename: str, head: bytes, language: str | None) -> None:
    assert language_of(filename, head) == language
