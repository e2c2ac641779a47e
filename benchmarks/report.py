"""What every benchmark prints with its figures: the machine and the versions, and medians of several runs."""

import importlib.metadata
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

PACKAGES = ("torch", "sentence-transformers", "chromadb", "celery", "fastapi", "pypdfium2")


def print_header(title: str) -> None:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    print(f"# {title}\nmachine: {cpu_name()}, {os.cpu_count()} cores; Python {platform.python_version()}; {versions}")


def cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.processor()
    lines = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in lines.items()}
    flags = fields.get("flags", "").split()
    extras = [name for name in ("avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    return f"{fields.get('model name', '?')} ({' '.join(extras) or 'no AVX-512'})"


def spread(values: Sequence[float], unit: str) -> str:
    return (
        f"median {statistics.median(values):.2f} {unit} (min {min(values):.2f}, max {max(values):.2f}, n={len(values)})"
    )


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
