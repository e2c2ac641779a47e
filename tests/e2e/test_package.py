"""What is installed from a built package, away from the source tree."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT

PACKAGES = ("cli", "server", "workers", "state", "config", "rag")
REST = ("examples", "docs", "README.md", "LICENSE", "pyproject.toml", "setup.py", "MANIFEST.in")
PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
from config import examples
from config.settings import Settings
found = examples.list_examples(Settings(_env_file=None))
print(json.dumps({
    "module": examples.__file__,
    "examples": {each.id: len(each.files) for each in found},
    "pages": [path.name for path in examples.documentation()],
}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The content of a wheel, unpacked."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    source.mkdir()
    for name in (*PACKAGES, *REST):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, "."]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def test_examples_and_documentation_are_found_in_an_installed_package(installed: Path) -> None:
    command = [sys.executable, "-P", "-c", PROGRAM, installed]
    done = subprocess.run(command, cwd=installed, check=True, capture_output=True, text=True, timeout=60)
    found = json.loads(done.stdout)
    assert found["module"] == str(installed / "config" / "examples.py")
    assert set(found["examples"]) == {"catalogue", "codebase", "handbook", "letters"}
    assert all(count > 0 for count in found["examples"].values())
    assert {"README.md", "tutorial.md", "reference-yaml.md"} <= set(found["pages"])
    assert (installed / "config" / "seed_project.yaml").is_file()
