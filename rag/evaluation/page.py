"""A report as one HTML page that needs nothing else: picture, table, recommendation, and what went worst."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from rag.evaluation.plot import IN_MEMORY, latency_mark, measured, svg

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; margin: 2rem auto; max-width: 68rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.quiet { color: #6b7785; } .advice { border-left: 4px solid #3c9d6b; background: #f2f9f5; padding: .7rem 1rem; }
.warning { border-left: 4px solid #d9822b; background: #fdf6ee; padding: .4rem 1rem; margin: .4rem 0; }
figure { margin: 1rem 0; } figure svg { width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; } th, td { padding: .35rem .6rem; text-align: right; }
th { border-bottom: 2px solid #cbd3dc; font-weight: 600; } td { border-bottom: 1px solid #e3e8ee; }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left; }
tr.chosen td { font-weight: 600; background: #f2f9f5; }
pre { background: #f5f7f9; padding: .8rem 1rem; overflow-x: auto; }
details { margin: .4rem 0; } summary { cursor: pointer; } blockquote { margin: .2rem 0 .6rem 1rem; color: #49535e; }
"""


def page(report: Mapping[str, Any]) -> str:
    return "".join(_parts(report))


def _parts(report: Mapping[str, Any]) -> Iterator[str]:
    name = f"{report['namespace']}/{report['project']}, database {report['database']}"
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Evaluation of {escape(name)}</title>'
    yield f"<style>{STYLE}</style></head><body><h1>Evaluation of {escape(name)}</h1>"
    yield f'<p class="quiet">{report["question_count"]} questions, {len(report["configurations"])} configurations</p>'
    yield from _advice(report)
    for warning in report["warnings"]:
        yield f'<p class="warning">{escape(warning)}</p>'
    yield f"<figure>{svg(report)}</figure>"
    yield from _table(report)
    yield "<h2>What went worst</h2>"
    for line in measured(report):
        yield from _worst(line)
    yield "</body></html>\n"


def _advice(report: Mapping[str, Any]) -> Iterator[str]:
    advice = report.get("recommendation")
    if not advice:
        return
    verb = "Change to" if advice["is_change"] else "Keep"
    over = "" if advice["chunking"] == "current" else f" over chunks of <b>{escape(advice['chunking'])}</b>"
    yield f'<div class="advice"><b>{verb} {escape(advice["strategy"])}</b>{over}. {escape(advice["reason"])}.</div>'
    if advice["is_change"]:
        yield f"<pre>{escape(advice['yaml'])}</pre>"


def _table(report: Mapping[str, Any]) -> Iterator[str]:
    advice, names = report.get("recommendation") or {}, report["measures"]
    heads = ["strategy", "chunks", "count", *names, "p50 ms", "p95 ms", "context chars"]
    yield "<h2>All measures</h2><table><tr>" + "".join(f"<th>{escape(each)}</th>" for each in heads) + "</tr>"
    for line in measured(report):
        is_chosen = (line["strategy"], line["chunking"]) == (advice.get("strategy"), advice.get("chunking"))
        latency = line["latency_ms"]
        cells = [
            escape(line["strategy"]),
            escape(line["chunking"]),
            f"{line['chunk_count']:,}",
            *(_measure(line["metrics"][name]) for name in names),
            f"{latency['p50']:.1f}{latency_mark(line)}",
            f"{latency['p95']:.1f}{latency_mark(line)}",
            f"{line['context_chars']:,}",
        ]
        row = "".join(f"<td>{each}</td>" for each in cells)
        yield _row(row, is_chosen=is_chosen)
    yield "</table>"
    if any(map(latency_mark, measured(report))):
        yield f'<p class="quiet">{IN_MEMORY}</p>'
    for line in report["configurations"]:
        if line.get("error"):
            where = f"{line['strategy']} over {line['chunking']}"
            yield f'<p class="warning">{escape(where)} could not be measured: {escape(line["error"])}</p>'


def _row(cells: str, *, is_chosen: bool) -> str:
    return f'<tr class="chosen">{cells}</tr>' if is_chosen else f"<tr>{cells}</tr>"


def _measure(value: Mapping[str, float]) -> str:
    return f'<span title="95 % interval: {value["low"]:.3f} to {value["high"]:.3f}">{value["mean"]:.3f}</span>'


def _worst(line: Mapping[str, Any]) -> Iterator[str]:
    if not line["worst"]:
        return
    yield f"<details><summary>{escape(line['strategy'])} over {escape(line['chunking'])}</summary>"
    for miss in line["worst"]:
        expected = "; ".join(escape(each["passage"] or each["file"] or "") for each in miss["expected"])
        yield f"<p><b>{escape(miss['question'])}</b> (nDCG@10 {miss['ndcg@10']:.2f})<br>expected: {expected}</p>"
        for found in miss["found"]:
            page_number = "" if found["page"] is None else f", page {found['page']}"
            yield f"<blockquote>{escape(found['file'])}{page_number}: {escape(found['content'])}</blockquote>"
    yield "</details>"
