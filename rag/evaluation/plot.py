"""The picture of a report: what each configuration found, and how long it took."""

from collections.abc import Mapping, Sequence
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#2f6db5", "#d9822b", "#3c9d6b", "#9b59a8", "#8a6d3b", "#5f6b78")
"""By chunking, in order of appearance; told apart also by who sees no red or green."""
INK, FAINT, GRID = "#1f2933", "#6b7785", "#e3e8ee"
MAX_ROWS = 24
MAX_LABEL_CHARS = 34
IN_MEMORY = "* in memory, not comparable: no database was asked"
"""Of the latencies of chunks that were cut for the evaluation alone."""

Line = Mapping[str, Any]


def measured(report: Mapping[str, Any]) -> list[Line]:
    """The configurations that could be measured, best first."""
    primary = report["primary"]
    able = [each for each in report["configurations"] if not each.get("error")]
    return sorted(able, key=lambda each: -each["metrics"][primary]["mean"])


def latency_mark(line: Line) -> str:
    return "*" if line.get("is_temporary") else ""


def png(report: Mapping[str, Any]) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure, found = draw(report), BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(found, format="png", dpi=130, metadata={"Software": None})
    return found.getvalue()


def svg(report: Mapping[str, Any]) -> str:
    """Without the XML header, to stand in a page."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    found = StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "paddock"}):
        figure = draw(report)
        FigureCanvasSVG(figure)
        figure.savefig(found, format="svg", metadata={"Date": None})
    text = found.getvalue()
    return text[text.index("<svg") :]


def draw(report: Mapping[str, Any]) -> "Figure":
    """Needs no display: nothing here goes through pyplot."""
    from matplotlib.figure import Figure

    lines = _shown(report)
    height = 1.55 + 0.42 * max(1, len(lines))
    figure = Figure(figsize=(10.5, height), facecolor="white")
    left, right = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": [3, 1.55], "wspace": 0.05})
    colours = _colours(lines)
    _draw_quality(left, lines, report, colours)
    _draw_latency(right, lines, colours)
    _legend(figure, colours)
    source = {"given": "questions", "sentences": "questions cut from sentences", "model": "questions of a model"}
    title = f"{report['question_count']} {source[report['question_source']]} to database '{report['database']}'"
    able = len(measured(report))
    title += f", best {len(lines)} of {able} configurations" if able > len(lines) else ""
    figure.text(0.012, 1 - 0.28 / height, title, fontsize=13, fontweight="bold", color=INK, va="center")
    figure.subplots_adjust(left=0.27, right=0.975, top=1 - 0.8 / height, bottom=0.62 / height)
    return figure


def _shown(report: Mapping[str, Any]) -> list[Line]:
    """The best, and what is in use wherever it stands."""
    lines = measured(report)
    shown = lines[:MAX_ROWS]
    left_out = [line for line in lines[MAX_ROWS:] if _is_in_use(line, report)]
    return [*shown[:-1], *left_out] if left_out else shown


def _draw_quality(axes: "Axes", lines: Sequence[Line], report: Mapping[str, Any], colours: dict[str, str]) -> None:
    primary = report["primary"]
    for row, line in enumerate(lines):
        value, colour = line["metrics"][primary], colours[line["chunking"]]
        axes.plot([value["low"], value["high"]], [row, row], color=colour, lw=2.2, alpha=0.45, solid_capstyle="round")
        axes.plot(value["mean"], row, "o", color=colour, ms=9, mec="white", mew=1.2, zorder=3)
        axes.annotate(
            f"{value['mean']:.3f}",
            (value["mean"], row),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            fontsize=8.5,
            color=INK,
        )
    axes.set_yticks(range(len(lines)), [_label(line, report) for line in lines])
    for tick, line in zip(axes.get_yticklabels(), lines, strict=True):
        tick.set_fontweight("bold" if _is_recommended(line, report) else "normal")
    axes.set_ylim(len(lines) - 0.4, -0.75)
    low = min((line["metrics"][primary]["low"] for line in lines), default=0.0)
    axes.set_xlim(max(0.0, low - 0.06), 1.02 if _reaches_one(lines, primary) else None)
    axes.set_title("nDCG@10, higher is better (bar: 95 % interval)", loc="left", fontsize=9.5, color=FAINT)
    _plain(axes)


def _draw_latency(axes: "Axes", lines: Sequence[Line], colours: dict[str, str]) -> None:
    for row, line in enumerate(lines):
        latency, colour = line["latency_ms"], colours[line["chunking"]]
        axes.barh(row, latency["p50"], height=0.5, color=colour, alpha=0.85)
        axes.plot([latency["p50"], latency["p95"]], [row, row], color=colour, lw=1.4, alpha=0.7)
        axes.plot(latency["p95"], row, "|", color=colour, ms=9, mew=1.6)
        text = f"{_milliseconds(latency['p50'])} – {_milliseconds(latency['p95'])}{latency_mark(line)}"
        axes.annotate(text, (latency["p95"], row), va="center", fontsize=8.5, color=INK, xytext=(3, 0),
                      textcoords="offset points")  # fmt: skip
    slowest = max((line["latency_ms"]["p95"] for line in lines), default=1.0)
    axes.set_xlim(0, slowest * 1.45)
    axes.set_title("milliseconds a query (p50 – p95)", loc="left", fontsize=9.5, color=FAINT)
    if any(map(latency_mark, lines)):
        axes.annotate(IN_MEMORY, (1, 0), xycoords="axes fraction", xytext=(0, -30), textcoords="offset points",
                      ha="right", fontsize=8, color=FAINT)  # fmt: skip
    axes.tick_params(left=False, labelleft=False)
    _plain(axes)


def _legend(figure: "Figure", colours: dict[str, str]) -> None:
    from matplotlib.lines import Line2D

    if len(colours) < 2:
        return
    handles = [Line2D([], [], marker="o", ls="", color=colour, ms=8) for colour in colours.values()]
    names = [f"chunks: {_short(name)}" for name in colours]
    figure.legend(handles, names, loc="lower left", ncols=min(4, len(names)), frameon=False, fontsize=9)


def _plain(axes: "Axes") -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.grid(axis="x", color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="both", length=0, labelsize=9.5, colors=INK)


def _colours(lines: Sequence[Line]) -> dict[str, str]:
    names = dict.fromkeys(line["chunking"] for line in lines)
    ordered = sorted(names, key=lambda name: name != "current")
    return {name: COLOURS[at % len(COLOURS)] for at, name in enumerate(ordered)}


def _label(line: Line, report: Mapping[str, Any]) -> str:
    name = line["strategy"] if line["chunking"] == "current" else f"{line['strategy']} · {line['chunking']}"
    marks = "recommended" if _is_recommended(line, report) else ""
    if _is_in_use(line, report):
        marks = "in use" if not marks else "in use, recommended"
    return f"{_short(name)}\n({marks})" if marks else _short(name)


def _is_recommended(line: Line, report: Mapping[str, Any]) -> bool:
    advice = report.get("recommendation") or {}
    return (line["strategy"], line["chunking"]) == (advice.get("strategy"), advice.get("chunking"))


def _is_in_use(line: Line, report: Mapping[str, Any]) -> bool:
    return line is report["configurations"][0]


def _reaches_one(lines: Sequence[Line], primary: str) -> bool:
    return any(line["metrics"][primary]["high"] > 0.9 for line in lines)


def _milliseconds(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def _short(name: str) -> str:
    # A dollar sign would begin a formula.
    text = name if len(name) <= MAX_LABEL_CHARS else name[: MAX_LABEL_CHARS - 1] + "…"
    return text.replace("$", r"\$")
