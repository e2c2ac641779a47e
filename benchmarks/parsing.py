"""How fast are PDF files read, and what do page map, columns and tables cost over bare text extraction?

    python -m benchmarks.parsing [--pdf-dir DIR] [--runs N]

Without --pdf-dir it writes born-digital PDF files of four kinds: one column of prose, the same with headings and
running lines, two columns drawn row by row (the case that has to be put in order), and ruled tables. Both sides read
the same files in the same run, file by file in turns, after a warm-up. Seconds are CPU seconds of this one-threaded
process, so the figures are per core and a busy machine disturbs them less; they are medians. What they do not show:
scanned pages (they have no text to read), pages full of drawings, the wait for a disk, and the time to store or embed
anything.
"""

import argparse
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import pypdfium2
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from rag.errors import UnreadableFileError
from rag.parsers import parsers
from rag.parsers.base import ParseLimits
from rag.parsers.detect import probe_file

WORDS = [
    "retrieval", "ledger", "harbour", "committee", "dosage", "warranty", "quarterly", "turbine", "clause", "moisture",
    "the", "of", "and", "to", "in", "for", "with", "that", "is", "as", "by", "on", "under", "within", "may", "shall",
]  # fmt: skip
LINES_PER_PAGE = 48
WORDS_PER_LINE = 12


def main() -> None:
    arguments = _arguments()
    print(f"machine   {platform.platform()}, {os.cpu_count()} CPUs, one process, one thread")
    print(f"versions  Python {platform.python_version()}, pypdfium2 {version('pypdfium2')}")
    if arguments.pdf_dir:
        report(str(arguments.pdf_dir), sorted(arguments.pdf_dir.rglob("*.pdf")), arguments.runs)
        return
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            report(kind, write_files(Path(folder), kind=kind), arguments.runs)


def report(name: str, files: Sequence[Path], run_count: int) -> None:
    files = [file for file in files if is_readable(file)]
    if not files:
        raise SystemExit(f"{name}: no readable PDF file found")
    page_count = sum(count_pages(file) for file in files)
    char_count = sum(len(text) for text in map(read_bare, files))
    times = measure({"bare pypdfium2": read_bare, "PDFParser": read_with_map}, files, run_count)
    print(f"\n{name}: {len(files)} files, {page_count} pages, {char_count / page_count:,.0f} characters a page")
    for reader, seconds in times.items():
        low, high = page_count / max(seconds), page_count / min(seconds)
        rate = page_count / statistics.median(seconds)
        print(f"{reader:<16}{rate:>8,.0f} pages/s per core   median of {len(seconds)} runs, {low:,.0f} to {high:,.0f}")
    ratio = statistics.median(times["bare pypdfium2"]) / statistics.median(times["PDFParser"])
    print(f"PDFParser reads {ratio:.2f} times as many pages a second as bare text extraction")


def measure(
    readers: dict[str, Callable[[Path], object]], files: Sequence[Path], run_count: int
) -> dict[str, list[float]]:
    """CPU seconds per run over all files; the readers take turns so that a busy machine hits them alike."""
    times: dict[str, list[float]] = {name: [] for name in readers}
    for run in range(run_count + 1):
        seconds = dict.fromkeys(readers, 0.0)
        for file in files:
            for name, read in readers.items():
                begin = time.process_time()
                read(file)
                seconds[name] += time.process_time() - begin
        if run > 0:  # the first is the warm-up
            for name, value in seconds.items():
                times[name].append(value)
    return times


def read_bare(file: Path) -> str:
    pdf = pypdfium2.PdfDocument(file)
    texts = []
    for index in range(len(pdf)):
        page = pdf[index]
        textpage = page.get_textpage()
        texts.append(textpage.get_text_range())
        textpage.close()
        page.close()
    pdf.close()
    return "".join(texts)


def read_with_map(file: Path) -> object:
    parser = parsers.build("PDFParser", {"use_ocr": False})
    return parser.parse(probe_file(file, file.name), ParseLimits())


def is_readable(file: Path) -> bool:
    try:
        read_with_map(file)
    except UnreadableFileError as error:
        print(f"left out: {error}")
        return False
    return True


def count_pages(file: Path) -> int:
    pdf = pypdfium2.PdfDocument(file)
    try:
        return len(pdf)
    finally:
        pdf.close()


def write_files(folder: Path, *, kind: str = "prose", file_count: int = 10, pages_per_file: int = 60) -> list[Path]:
    """Files of fixed content: the words are drawn with a fixed seed."""
    chance = random.Random(7)
    files = []
    for number in range(file_count):
        path = folder / f"report-{number:02}.pdf"
        canvas = Canvas(str(path), pagesize=A4, invariant=1, pageCompression=1)
        for page in range(pages_per_file):
            KINDS[kind](canvas, chance, page + 1)
            canvas.showPage()
        canvas.save()
        files.append(path)
    return files


def _draw_prose(canvas: Canvas, chance: random.Random, _page: int) -> None:
    text = canvas.beginText(60, 790)
    text.setFont("Times-Roman", 11)
    for _ in range(LINES_PER_PAGE):
        text.textLine(_words(chance, WORDS_PER_LINE))
    canvas.drawText(text)


def _draw_report(canvas: Canvas, chance: random.Random, page: int) -> None:
    canvas.setFont("Times-Italic", 9)
    canvas.drawString(60, 810, "Annual report of the harbour committee")
    canvas.drawString(290, 30, f"Page {page}")
    text = canvas.beginText(60, 770)
    for _ in range(4):
        text.setFont("Times-Bold", 14)
        text.textLine(_words(chance, 3).capitalize())
        text.setFont("Times-Roman", 11)
        for _ in range(10):
            text.textLine(_words(chance, WORDS_PER_LINE))
        text.textLine("")
    canvas.drawText(text)


def _draw_columns(canvas: Canvas, chance: random.Random, _page: int) -> None:
    canvas.setFont("Times-Roman", 10)
    for line in range(54):
        for left in (60, 310):
            canvas.drawString(left, 790 - 13 * line, _words(chance, 6))


def _draw_table(canvas: Canvas, chance: random.Random, _page: int) -> None:
    canvas.setFont("Times-Roman", 10)
    for row in range(30):
        y = 780 - 20 * row
        canvas.line(60, y - 6, 540, y - 6)
        for column in range(5):
            text = _words(chance, 1) if column in {0, 3} else f"{chance.random() * 1000:.2f}"
            canvas.drawString(64 + 96 * column, y, text)


def _words(chance: random.Random, count: int) -> str:
    return " ".join(chance.choices(WORDS, k=count))


KINDS = {"prose": _draw_prose, "report": _draw_report, "columns": _draw_columns, "tables": _draw_table}


def _arguments() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--pdf-dir", type=Path, help="read the PDF files in this folder instead of generated ones")
    arguments.add_argument("--runs", type=int, default=5, help="measured runs, after one warm-up (default 5)")
    return arguments.parse_args()


if __name__ == "__main__":
    main()
