"""Does memory grow with what was ingested, and what does one huge file cost?

    python -m benchmarks.memory [--files 1000] [--no-large]

Files go through the HTTP API into one database: a tenth of them first, then the rest; resident memory is taken after
each part, some seconds after the last file. Then come a text of 1 GB and a PDF of 100,000 pages, alone: what became of
each, and the most that all processes held meanwhile. The cache of vectors is off, as texts repeat.
"""

import argparse
import io
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from reportlab.pdfgen.canvas import Canvas

from benchmarks.corpus import read_texts
from benchmarks.report import print_header
from tests.e2e.system import ProjectClient, System, running_system

SAMPLE_S = 0.2
SETTLE_S = 8
TASK_TIMEOUT_S = 1800.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--no-large", action="store_true", help="leave the two huge files out")
    options = parser.parse_args()
    print_header("memory")
    with tempfile.TemporaryDirectory() as folder, running_system(Path(folder), LF_EMBEDDING_CACHE_MB="0") as system:
        project = system.project("bench", "memory")
        texts = read_texts(None, options.files * 4)
        first = options.files // 10
        after_first = ingest(system, project, "first", texts[: first * 4])
        after_all = ingest(system, project, "rest", texts[first * 4 :])
        for name in after_all:
            before, after = after_first.get(name, 0.0), after_all[name]
            print(f"{name}: {before:.0f} MB after {first} files, {after:.0f} MB after {options.files}", end="")
            print(f" ({after / before:.2f}x)" if before else "")
        if not options.no_large:
            large(system, project, "one text of 1 GB", "huge.txt", big_text(Path(folder)))
            large(system, project, "a PDF of 100,000 pages", "huge.pdf", big_pdf(Path(folder)))


def ingest(system: System, project: ProjectClient, dataset: str, texts: list[str]) -> dict[str, float]:
    """Resident MB by kind of process, and `all`, after files of four paragraphs; every fifth is a PDF."""
    project.create_dataset(dataset)
    for number in range(len(texts) // 4):
        paragraphs = texts[number * 4 : number * 4 + 4]
        if number % 5 == 0:
            project.upload(dataset, f"{number}.pdf", pdf(paragraphs))
        else:
            project.upload(dataset, f"{number}.txt", "\n\n".join(paragraphs).encode())
    task = project.wait(project.start(dataset), TASK_TIMEOUT_S)
    assert task["state"] == "SUCCESS", task["error"]
    time.sleep(SETTLE_S)
    return resident_mb(system)


def pdf(paragraphs: list[str]) -> bytes:
    stream = io.BytesIO()
    canvas = Canvas(stream)
    for paragraph in paragraphs:
        for line, start in enumerate(range(0, len(paragraph), 90)):
            canvas.drawString(50, 780 - 14 * line, paragraph[start : start + 90])
        canvas.showPage()
    canvas.save()
    return stream.getvalue()


def large(system: System, project: ProjectClient, label: str, name: str, path: Path) -> None:
    """Upload and process one file while memory is watched."""
    dataset = f"large-{path.suffix[1:]}"
    project.create_dataset(dataset)
    before = resident_mb(system)["all"]
    peak, seconds, outcome = watched(system, lambda: process_one(project, dataset, name, path))
    path.unlink()
    print(f"{label} ({outcome}): {before:.0f} MB before, {peak:.0f} MB at most, {seconds:.1f} s")


def process_one(project: ProjectClient, dataset: str, name: str, path: Path) -> str:
    with path.open("rb") as stream:
        answer = project.client.post(
            f"{project.path}/datasets/{dataset}/data", files={"file": (name, stream)}, timeout=600
        )
    if answer.status_code != 200:
        return f"upload answered {answer.status_code}: {answer.json()['message']}"
    task = project.wait(project.start(dataset), TASK_TIMEOUT_S)
    return "; ".join(str(each.get("error") or each["state"]) for each in task["meta"]["files"])


def watched(system: System, run: Callable[[], str]) -> tuple[float, float, str]:
    """(most MB held meanwhile, seconds, what `run` returned)."""
    is_over = threading.Event()
    samples = [0.0]

    def sample() -> None:
        while not is_over.wait(SAMPLE_S):
            samples.append(resident_mb(system)["all"])

    watcher = threading.Thread(target=sample)
    watcher.start()
    started = time.perf_counter()
    try:
        outcome = run()
    finally:
        is_over.set()
        watcher.join()
    return max(samples), time.perf_counter() - started, outcome


def big_text(folder: Path) -> Path:
    path = folder / "huge.txt"
    line = b"The pump exceeds the inlet pressure during start-up by 42 units. " * 16 + b"\n"
    with path.open("wb") as stream:
        for _ in range(1_000_000_000 // len(line) // 1000):
            stream.write(line * 1000)
    return path


def big_pdf(folder: Path) -> Path:
    path = folder / "huge.pdf"
    canvas = Canvas(str(path))
    for number in range(100_000):
        canvas.drawString(50, 780, f"Page {number + 1}: the valve releases a flow of oil.")
        canvas.showPage()
    canvas.save()
    return path


def resident_mb(system: System) -> dict[str, float]:
    """By the part of the supervisor that a process belongs to, and `all`. Shared pages count in each process."""
    found: dict[str, float] = {}
    for name, part in system.parts().items():
        try:
            root = psutil.Process(int(part["pid"]))
            processes = [root, *root.children(recursive=True)]
            found[name] = sum(_resident(process) for process in processes)
        except psutil.NoSuchProcess:
            continue
    found["all"] = sum(found.values())
    return found


def _resident(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 2**20
    except psutil.NoSuchProcess:  # a worker that was recycled in the meantime
        return 0.0


if __name__ == "__main__":
    main()
