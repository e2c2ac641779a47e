"""What the pages say and what the code does are the same."""

import re
from pathlib import Path

import pytest

from config.reference import render_components, render_settings, render_yaml_keys, variables
from config.settings import Settings
from rag.errors import RagError
from server.app import create_app
from server.errors import status_of
from tests.docs.blocks import README, ROOT

DOCS = ROOT / "docs"
LINKED_PAGES = (README, ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md")))

_ENDPOINT = re.compile(r"^\| (GET|POST|PUT|PATCH|DELETE) \| `([^`]+)` \|", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_VARIABLE = re.compile(r"\bLF_[A-Z_]+\b")


def errors_below(kind: type[RagError]) -> list[type[RagError]]:
    own = [each for each in kind.__subclasses__() if each.__module__ == kind.__module__]
    return [kind, *(below for each in own for below in errors_below(each))]


def test_generated_pages_are_current() -> None:
    pages = {
        "settings.md": render_settings(),
        "components.md": render_components(),
        "reference-yaml.md": render_yaml_keys(),
    }
    for name, text in pages.items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, "run `python -m config.reference`"


def test_every_key_of_the_yaml_says_what_it_does() -> None:
    rows = [line for line in render_yaml_keys().splitlines() if line.startswith("| `")]
    assert len(rows) > 60
    assert [row for row in rows if row.endswith("|  |")] == []


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented(name: str) -> None:
    text = (DOCS / "settings.md").read_text(encoding="utf-8")
    assert all(f"`{variable}`" in text for variable in variables(name))


@pytest.mark.parametrize("page", LINKED_PAGES, ids=lambda page: page.name)
def test_pages_name_only_variables_that_exist(page: Path) -> None:
    known = {variable for name in Settings.model_fields for variable in variables(name)}
    known |= {"LF_PUBLISH", "LF_READY_FILE", "LF_SUPERVISED"}  # of compose and of the supervisor
    known |= {"LF_SERVER_URL"}  # of the command line
    assert set(_VARIABLE.findall(page.read_text(encoding="utf-8"))) - known == set()


@pytest.mark.parametrize("kind", errors_below(RagError), ids=lambda kind: kind.__name__)
def test_every_error_class_is_documented_with_its_code_and_status(kind: type[RagError]) -> None:
    row = f"| `{kind.__name__}` | `{kind.code}` | {status_of(kind('message'))} | "
    assert row in (DOCS / "errors.md").read_text(encoding="utf-8")


def test_the_readme_lists_every_operation_but_those_of_llamacloud(tmp_path: Path) -> None:
    """These are some 140, all in docs/compatibility.md."""
    app = create_app(Settings(data_dir=tmp_path))
    real = {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}
    listed = _ENDPOINT.findall(README.read_text(encoding="utf-8"))
    shown = [(method, re.sub(r"^P\b", "/v1/projects/{namespace}/{project}", path)) for method, path in listed]
    assert len(shown) == len(set(shown))
    assert set(shown) == {each for each in real if not each[1].startswith("/api/")}


@pytest.mark.parametrize("page", LINKED_PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {link}"


def anchors(page: Path) -> set[str]:
    headings = _HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_index() -> None:
    linked = set(_LINK.findall((DOCS / "index.md").read_text(encoding="utf-8")))
    assert linked == {path.name for path in DOCS.glob("*.md")} - {"index.md"}
