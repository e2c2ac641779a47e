"""Shows a report: the table, what to know about it, the recommendation; and its pictures."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cli.client.output import Output
from cli.errors import CliError, UsageError
from rag.evaluation.plot import IN_MEMORY, latency_mark

Report = Mapping[str, Any]


def print_report(out: Output, report: Report) -> None:
    advice = report.get("recommendation") or {}
    names = _columns(report)
    heads = ("", "STRATEGY", "CHUNKS OF", "CHUNKS", "NDCG@10", "95 %", *(name.upper() for name in names), "P50", "P95")
    out.table(heads, [_row(each, names, advice) for each in _sorted(report)])
    if any(latency_mark(each) for each in report["configurations"] if not each.get("error")):
        out.text(IN_MEMORY)
    for warning in report.get("warnings") or []:
        out.warning(warning)
    for each in report["configurations"]:
        for note in each.get("notes") or []:
            out.note(f"{each['strategy']}: {note}")
    if not advice:
        out.text("No recommendation: nothing could be measured.")
        return
    over = "" if advice["chunking"] == "current" else f" over chunks of '{advice['chunking']}'"
    verb = "Change to" if advice["is_change"] else "Keep"
    out.text(f"\n{verb} '{advice['strategy']}'{over}: {advice['reason']}.")
    if advice["is_change"]:
        out.text("\nIn llamafarm.yaml, these keys replace those of the entries of the same names:\n")
        out.text(advice["yaml"], end="")
        if over:
            out.text("\nThen `lf config push` and `lf rag reindex`.")


def check_plots(paths: Sequence[Path]) -> None:
    """Raises UsageError before anything is measured for a picture that could not be drawn."""
    for path in paths:
        if path.suffix.lower() not in _WRITERS:
            raise UsageError(f"--plot {path}: the name is to end in {', '.join(_WRITERS)}")
        if not path.parent.is_dir():
            raise UsageError(f"--plot {path}: there is no folder {path.parent}")


def write_plots(out: Output, report: Report, paths: Sequence[Path]) -> None:
    for path in paths:
        content = _WRITERS[path.suffix.lower()](report)
        try:
            path.write_bytes(content)
        except OSError as error:
            raise CliError(f"{path} cannot be written: {error.strerror}") from error
        out.note(f"wrote {path}")


def _png(report: Report) -> bytes:
    from rag.evaluation.plot import png

    return png(report)


def _svg(report: Report) -> bytes:
    from rag.evaluation.plot import svg

    return svg(report).encode()


def _html(report: Report) -> bytes:
    from rag.evaluation.page import page

    return page(report).encode()


_WRITERS: dict[str, Callable[[Report], bytes]] = {".png": _png, ".svg": _svg, ".html": _html}


def _columns(report: Report) -> list[str]:
    """A narrow choice: the report as JSON or HTML has every measure."""
    measures = list(report["measures"])
    recalls = [name for name in measures if name.startswith("recall@")]
    hits = [name for name in measures if name.startswith("hit@")]
    return [*recalls[-1:], *hits[:1], *(name for name in measures if name.startswith("mrr@"))]


def _sorted(report: Report) -> list[Mapping[str, Any]]:
    def order(each: Mapping[str, Any]) -> float:
        return -each["metrics"][report["primary"]]["mean"] if not each.get("error") else 1.0

    return sorted(report["configurations"], key=order)


def _row(each: Mapping[str, Any], names: Sequence[str], advice: Mapping[str, Any]) -> tuple[Any, ...]:
    is_chosen = (each["strategy"], each["chunking"]) == (advice.get("strategy"), advice.get("chunking"))
    start = ("→" if is_chosen else "", each["strategy"], each["chunking"], each["chunk_count"])
    if each.get("error"):
        return (*start, "–", str(each["error"])[:60], *("" for _ in names), "", "")
    primary, latency = each["metrics"]["ndcg@10"], each["latency_ms"]
    return (
        *start,
        f"{primary['mean']:.3f}",
        f"{primary['low']:.2f}–{primary['high']:.2f}",
        *(f"{each['metrics'][name]['mean']:.3f}" for name in names),
        f"{latency['p50']:.1f} ms{latency_mark(each)}",
        f"{latency['p95']:.1f} ms{latency_mark(each)}",
    )
