"""Puts examples and documentation into the built package; everything else is said in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
BUNDLED = ("examples", "docs", "README.md")


class BuildWithBundle(build_py):
    """`config/bundled` holds what `config.examples` finds beside the packages in a source tree."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return  # the source tree itself is what is imported
        target = Path(self.build_lib) / "config" / "bundled"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in BUNDLED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, target / name)


setup(cmdclass={"build_py": BuildWithBundle})
