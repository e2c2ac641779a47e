"""How long `lf server start` takes until everything is ready, what the idle system holds, and how fast a large
dataset is accepted for processing.

    python -m benchmarks.startup [--runs 3] [--files 1000]
"""

import argparse
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.report import print_header, spread
from tests.e2e.system import System, running_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--files", type=int, default=1000)
    options = parser.parse_args()
    print_header("start-up")
    seconds, memory, accepted = [], [], []
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            with running_system(Path(folder)) as system:
                seconds.append(time.perf_counter() - started)
                warm_up(system)
                memory.append(resident_mb(system))
                accepted.append(accept_seconds(system, options.files) * 1000)
    print(f"ready after {spread(seconds, 's')}")
    print(f"idle with the model in API and embed worker: {spread(memory, 'MB RSS')} (all processes added up)")
    print(f"process request for {options.files} files answered in {spread(accepted, 'ms')}")


def warm_up(system: System) -> None:
    project = system.project("bench", "warm")
    project.create_dataset("docs")
    project.upload("docs", "a.txt", b"The pump exceeds the inlet pressure.")
    assert project.process("docs")["state"] == "SUCCESS"
    assert project.query("inlet pressure")


def resident_mb(system: System) -> float:
    time.sleep(5)
    root = psutil.Process(system.process.pid)
    processes = {root, *root.children(recursive=True)}
    pids = {int(part["pid"]) for part in system.parts().values() if part.get("pid")}
    processes |= {psutil.Process(pid) for pid in pids}
    processes |= {child for process in list(processes) for child in process.children(recursive=True)}
    return sum(process.memory_info().rss for process in processes) / 2**20


def accept_seconds(system: System, file_count: int) -> float:
    project = system.project("bench", "many")
    project.create_dataset("docs")
    for number in range(file_count):
        project.upload("docs", f"{number}.txt", f"File number {number}.".encode())
    started = time.perf_counter()
    task_id = project.start("docs")
    seconds = time.perf_counter() - started
    system.client.delete(f"{project.path}/tasks/{task_id}")
    return seconds


if __name__ == "__main__":
    main()
