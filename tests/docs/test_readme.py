"""Every code block of the README and of `docs/` is run or checked.

Those that need a running server are in tests/e2e/test_readme.py.
"""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from config.processing import chunk_keys
from config.project import ProjectConfig
from config.retrieval import parts
from rag.chunkers import chunkers
from rag.embedders import embedders
from rag.errors import UnreadableFileError
from rag.extractors import extractors
from rag.parsers import parsers
from rag.parsers.base import ParseLimits, Parser
from rag.parsers.detect import probe_file
from rag.registry import Registry
from rag.stores import stores
from rag.types import Document
from tests.docs.blocks import PAGES, README, ROOT, Block, blocks, blocks_of

EVERY_BLOCK = [block for page in PAGES for block in blocks_of(page)]
CONFIGS = blocks("config")
CHUNK_KEYS = chunk_keys()
MINIMAL: dict[str, Any] = {
    "version": "v1",
    "name": "docs",
    "namespace": "docs",
    "runtime": {"models": [{"name": "quotes", "provider": "extractive"}]},
}


@pytest.mark.parametrize("block", EVERY_BLOCK, ids=[block.id for block in EVERY_BLOCK])
def test_every_block_is_of_a_kind_that_is_run(block: Block) -> None:
    assert block.use


def test_the_readme_shows_each_kind() -> None:
    uses = {block.use for block in blocks_of(README)}
    assert uses == {"make run", "make test", "requests", "client", "component", "table line", "config"}


def test_a_block_that_nothing_runs_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```perl\nprint 1\n```\n\n```bash\nrm -rf build\n```\n")
    for block in blocks_of(page):
        with pytest.raises(ValueError, match="nothing runs this"):
            _ = block.use


def test_make_test_runs_pytest() -> None:
    """Looked at, not run: it would run this very test."""
    (block,) = blocks("make test", README)
    command = [*block.text.split(), "--dry-run", "--old-file=.venv/.installed"]
    planned = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    assert "/pytest" in planned
    assert "e2e" in planned


# -- yaml ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", CONFIGS, ids=[block.id for block in CONFIGS])
def test_yaml_is_a_configuration_or_a_part_of_one(block: Block) -> None:
    fragment = YAML(typ="safe").load(block.text)
    config = ProjectConfig.parse({**MINIMAL, **fragment})
    unknown = [warning for warning in config.warnings() if "no such strategy" not in warning]
    if "version" in fragment or "rag" in fragment:
        assert unknown == []
    else:  # a part may name a database that another part has
        assert [warning for warning in unknown if "no database has this name" not in warning] == []


@pytest.mark.parametrize("block", CONFIGS, ids=[block.id for block in CONFIGS])
def test_yaml_names_components_and_options_that_exist(block: Block) -> None:
    config = ProjectConfig.parse({**MINIMAL, **YAML(typ="safe").load(block.text)})
    shown = {each.entry[0] for each in blocks("table line", block.page)}
    for database in config.databases:
        _check(stores, database.type, database.config)
        for embedding in database.embedding_strategies:
            _check(embedders, embedding.type, embedding.config)
        for retrieval in database.retrieval_strategies:
            for part in parts(retrieval.type, retrieval.config):
                _check(part.registry, part.type, dict(part.options))
    for strategy in config.rag.data_processing_strategies if config.rag else []:
        for parser in strategy.parsers:
            chunking = {key: parser.config[key] for key in CHUNK_KEYS if key in parser.config}
            _check(parsers, parser.type, {key: each for key, each in parser.config.items() if key not in chunking})
            _check(chunkers, str(chunking.pop("chunk_strategy", "auto")), chunking)
        for extractor in strategy.extractors:
            if extractor.type not in shown:
                _check(extractors, extractor.type, extractor.config)


def _check(registry: Registry[Any], name: str, options: dict[str, Any]) -> None:
    registry.options(name, options)


# -- components ---------------------------------------------------------------------------------------------


def built(page: Path, registry: Registry[Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The component that a page shows, from its file and its line, with default options."""
    (component,), (line,) = blocks("component", page), blocks("table line", page)
    name, target = line.entry
    module_name = target.partition(":")[0]
    assert component.file == module_name.replace(".", "/") + ".py"
    assert line.file == str(Path(component.file).parent / "__init__.py")
    package = importlib.import_module(module_name.rpartition(".")[0])
    (folder / Path(component.file).name).write_text(component.text, encoding="utf-8")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    monkeypatch.delitem(sys.modules, module_name, raising=False)
    return Registry[Any](registry.role, {name: target}).build(name, {})


@pytest.fixture
def parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parser:
    folder = tmp_path / "package"
    folder.mkdir()
    parser: Parser = built(README, parsers, folder, monkeypatch)
    return parser


def test_the_parser_of_the_readme_reads_its_format(parser: Parser, tmp_path: Path) -> None:
    path = tmp_path / "stored-bytes"
    captions = ("00:00:01,000 --> 00:00:02,500\nPea soup", "00:01:02,000 --> 00:01:03,000\nand rye\nbread")
    path.write_text("\n\n".join(f"{number}\n{caption}" for number, caption in enumerate(captions, 1)))
    probe = probe_file(path, "menu.srt")
    assert parser.accepts(probe)
    document = parser.parse(probe, ParseLimits())
    assert (document.text, document.parser) == ("Pea soup\nand rye bread", "SubtitleParser")


def test_the_parser_of_the_readme_takes_no_other_format(parser: Parser, tmp_path: Path) -> None:
    path = tmp_path / "stored-bytes"
    path.write_text("plain words")
    assert not parser.accepts(probe_file(path, "words.txt"))


def test_the_parser_of_the_readme_names_a_bad_file(parser: Parser, tmp_path: Path) -> None:
    path = tmp_path / "stored-bytes"
    path.write_text("1\nno time\nPea soup\n")
    with pytest.raises(UnreadableFileError, match=r"menu\.srt"):
        parser.parse(probe_file(path, "menu.srt"), ParseLimits())


def test_the_extractor_of_the_docs_extracts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = built(ROOT / "docs/adding-components.md", extractors, tmp_path, monkeypatch)
    text = "word " * 115
    assert extractor.extract(text, Document(text=text, parser="TextParser")) == {"reading_time_s": 30}
