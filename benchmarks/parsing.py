"""How fast are PDF files read, and what does the page map cost over bare text extraction?

    python -m benchmarks.parsing [--pdf-dir DIR] [--runs N]

Without --pdf-dir it writes born-digital PDF files (one column of prose, one font). Both sides read the same files in
the same run, file by file in turns, after a warm-up. Seconds are CPU seconds of this one-threaded process, so the
figures are per core and a busy machine disturbs them less; they are medians. What they do not show: scanned pages
(they have no text to read), pages full of drawings, the wait for a disk, and the time to store or embed anything.
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
    with tempfile.TemporaryDirectory() as folder:
        files = sorted(arguments.pdf_dir.rglob("*.pdf")) if arguments.pdf_dir else write_files(Path(folder))
        files = [file for file in files if is_readable(file)]
        if not files:
            raise SystemExit("no readable PDF file found")
        page_count = sum(count_pages(file) for file in files)
        char_count = sum(len(text) for text in map(read_bare, files))
        times = measure({"bare pypdfium2": read_bare, "PDFParser": read_with_map}, files, arguments.runs)
    print(f"machine   {platform.platform()}, {os.cpu_count()} CPUs, one process, one thread")
    print(f"versions  Python {platform.python_version()}, pypdfium2 {version('pypdfium2')}")
    print(f"data      {len(files)} files, {page_count} pages, {char_count / page_count:,.0f} characters a page")
    for name, seconds in times.items():
        low, high = page_count / max(seconds), page_count / min(seconds)
        rate = page_count / statistics.median(seconds)
        print(f"{name:<16}{rate:>8,.0f} pages/s per core   median of {len(seconds)} runs, {low:,.0f} to {high:,.0f}")
    ratio = statistics.median(times["PDFParser"]) / statistics.median(times["bare pypdfium2"])
    print(f"PDFParser takes {ratio:.2f} times the time of bare text extraction")


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
    parser = parsers.build("PDFParser", {})
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


def write_files(folder: Path, *, file_count: int = 10, pages_per_file: int = 60) -> list[Path]:
    """Files of fixed content: the words are drawn with a fixed seed."""
    chance = random.Random(7)
    files = []
    for number in range(file_count):
        path = folder / f"report-{number:02}.pdf"
        canvas = Canvas(str(path), pagesize=A4, invariant=1, pageCompression=1)
        for _ in range(pages_per_file):
            text = canvas.beginText(60, 790)
            text.setFont("Times-Roman", 11)
            for _ in range(LINES_PER_PAGE):
                text.textLine(" ".join(chance.choices(WORDS, k=WORDS_PER_LINE)))
            canvas.drawText(text)
            canvas.showPage()
        canvas.save()
        files.append(path)
    return files


def _arguments() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--pdf-dir", type=Path, help="read the PDF files in this folder instead of generated ones")
    arguments.add_argument("--runs", type=int, default=5, help="measured runs, after one warm-up (default 5)")
    return arguments.parse_args()


if __name__ == "__main__":
    main()
