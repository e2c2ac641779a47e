"""Small real processes as parts. Run as a script, it is a supervisor over them: `python stubs.py DATA_DIR SPEC…`.

A spec is `name[:flag…]`; a `/` between specs begins the next stage. Flags:

stubborn: ignores SIGTERM · patient: is given long to stop · forks: starts a child of its own · dies: ends at once ·
slow: is ready after half a second · rank0, rank1, rank2: when it is stopped · once: a one-shot that succeeds ·
fails: a one-shot that does not
"""

import os
import signal
import sys
from pathlib import Path

from cli.checks import file_check
from cli.environment import prepare_data_dir, supervision_mark
from cli.errors import CliError
from cli.parts import Part, Plan
from cli.report import ConsoleReporter
from cli.state_file import RunLock, log_dir, run_dir
from cli.supervisor import Supervisor

PART = """
import os, pathlib, signal, subprocess, sys, time
name, *flags = sys.argv[1].split(":")
def note(text):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(f"{name} {text}\\n")
def on_term(*_):
    note("SIGTERM")
    if "stubborn" not in flags:
        sys.exit(0)
signal.signal(signal.SIGTERM, on_term)
note(f"up {os.getpid()}")
if "once" in flags:
    sys.exit(0)
if "fails" in flags:
    sys.exit("the state database is from the future")
if "dies" in flags:
    sys.exit(7)
if "forks" in flags:
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    note(f"forked {grandchild.pid}")
if "slow" in flags:
    time.sleep(0.5)
pathlib.Path(os.environ["LF_READY_FILE"]).touch()
while True:
    time.sleep(0.05)
"""


def stub_part(data_dir: Path, spec: str) -> Part:
    name, *flags = spec.split(":")
    ready_file = run_dir(data_dir) / f"{name}.ready"
    ranks = [int(flag[-1]) for flag in flags if flag.startswith("rank")]
    return Part(
        name=name,
        command=(sys.executable, "-c", PART, spec),
        environment={
            "NOTES": str(data_dir / "notes"),
            "LF_READY_FILE": str(ready_file),
            "LF_SUPERVISED": supervision_mark(data_dir),
            "PATH": os.environ["PATH"],
        },
        check=file_check(ready_file),
        stop=((signal.SIGTERM, 20.0 if "patient" in flags else 0.5),),
        stop_rank=ranks[0] if ranks else 0,
        ready_file=ready_file,
        is_oneshot="once" in flags or "fails" in flags,
    )


def main() -> int:
    data_dir, specs = Path(sys.argv[1]), sys.argv[2:]
    prepare_data_dir(data_dir)
    lock = RunLock(data_dir)
    try:
        lock.acquire()
        stages = [stage.split() for stage in " ".join(specs).split("/")]
        parts = tuple(tuple(stub_part(data_dir, spec) for spec in stage) for stage in stages)
        plan = Plan(stages=parts, external={}, url="http://127.0.0.1:1")
        Supervisor(plan, data_dir, ConsoleReporter(log_dir(data_dir) / "supervisor.log", None)).run()
    except CliError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
