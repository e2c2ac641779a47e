import subprocess
import sys

import pytest

import server.main


def test_importing_builds_nothing() -> None:
    assert "app" not in vars(server.main)


def test_unknown_name_is_told() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        server.main.nothing  # noqa: B018


def test_the_web_process_imports_no_task_and_no_torch() -> None:
    """Start-up stays fast, and a bug in a parser's package cannot stop the API."""
    unwanted = ("torch", "workers.tasks", "pypdfium2")
    code = f"import sys, server.app; print([name for name in {unwanted} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
