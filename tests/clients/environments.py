"""The vendor's packages, each set in a virtual environment of its own: they cannot live in one.

Made once below `.venv-clients/` and used again as long as the pins are the same.
"""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".venv-clients"
PINS: dict[str, tuple[str, ...]] = {
    "v2_6": ("llama-cloud==2.6.0",),
    "v2_19": ("llama-cloud==2.19.0",),
    "v2_13": ("llama-cloud==2.13.0",),
    "v1_6": ("llama-cloud==1.6.0",),
    "services": ("llama-cloud-services==0.6.94", "llama-cloud==0.1.46", "pandas", "pyarrow"),
}
"""Environment → what is installed into it. LlamaSheets reads its results with pandas."""
INSTALL_TIMEOUT_S = 300


class InstallError(Exception):
    """pip's last words."""


def pythons() -> dict[str, Path]:
    """The interpreter of each environment, all made at once where they are missing.

    Without the packages the tests are skipped, and say why; with CI set they fail.
    """
    with ThreadPoolExecutor(len(PINS)) as pool:
        made = {name: pool.submit(ready, name) for name in PINS}
    try:
        return {name: future.result() for name, future in made.items()}
    except InstallError as error:
        reason = f"the vendor's clients cannot be installed: {error}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def ready(name: str) -> Path:
    folder = FOLDER / name
    python, stamp = folder / "bin" / "python", folder / "pins"
    wanted = "\n".join((sys.version, *PINS[name]))
    FOLDER.mkdir(exist_ok=True)
    with FileLock(FOLDER / f"{name}.lock", timeout=2 * INSTALL_TIMEOUT_S):
        if not (stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted):
            shutil.rmtree(folder, ignore_errors=True)
            _run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
            pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "--quiet"]
            # Modules are compiled when they are imported: few of them are.
            _run([*pip, "install", "--no-compile", "--retries", "1", *PINS[name]])
            stamp.write_text(wanted, encoding="utf-8")
    return python


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=INSTALL_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise InstallError(f"{' '.join(command[-2:])}: not within {INSTALL_TIMEOUT_S} s") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["no word"]
        raise InstallError(f"{' '.join(command[-2:])}: {said[-1]}")
