"""Which device and number format a model runs in on this machine."""

from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

from rag.errors import InvalidInputError

Precision: TypeAlias = Literal["auto", "fp32", "bf16", "fp16"]


def choose_device(name: str) -> str:
    """Resolve `auto` to the best device present; refuses a device that is not there."""
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InvalidInputError(f"device '{name}' is configured, but no CUDA device is visible; use 'auto' or 'cpu'")
    if name == "mps" and not torch.backends.mps.is_available():
        raise InvalidInputError("device 'mps' is configured, but this machine has none; use 'auto' or 'cpu'")
    return name


def choose_precision(precision: Precision, device: str) -> Literal["fp32", "bf16", "fp16"]:
    """Resolve `auto`: half precision where the hardware multiplies in it, else fp32."""
    if precision != "auto":
        return precision
    if device.startswith("cuda"):
        import torch

        return "bf16" if torch.cuda.get_device_capability()[0] >= 8 else "fp16"
    return "bf16" if device == "cpu" and _cpu_multiplies_bf16() else "fp32"


@lru_cache(maxsize=1)
def _cpu_multiplies_bf16() -> bool:
    """Without these instructions bf16 is emulated, and slower than fp32."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return any(f" {flag}" in flags for flag in ("avx512_bf16", "amx_bf16"))
