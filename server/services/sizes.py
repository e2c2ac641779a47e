"""Sizes as people read them."""


def human_size(size_bytes: int) -> str:
    """`2.0MB`; 1 KB has 1024 bytes, and bytes have no decimals."""
    if size_bytes < 1024:
        return f"{size_bytes}B"
    size = float(size_bytes)
    for unit in ("KB", "MB", "GB"):
        size /= 1024
        if size < 1024:
            return f"{size:.1f}{unit}"
    return f"{size / 1024:.1f}TB"
