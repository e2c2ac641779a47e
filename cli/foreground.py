"""`lf server start`: everything around the supervisor's loop."""

import os
import threading

from rich.console import Console

from cli.environment import prepare_data_dir
from cli.leftovers import kill_leftovers
from cli.logs import rotate
from cli.parts import Plan, make_plan
from cli.ports import require_listenable
from cli.report import ConsoleReporter
from cli.state_file import RunLock, log_dir
from cli.supervisor import Supervisor
from config.settings import Settings


def run_supervisor(settings: Settings, example: str | None, *, is_background: bool) -> None:
    """Hold the data directory, run all parts until told to stop."""
    if example is not None:
        from cli.example import read_example  # holds 20 MB that the supervisor of every day need not

        read_example(settings, example)  # a name that does not exist is told before anything is started
    prepare_data_dir(settings.data_dir)
    os.umask(0o077)  # logs and state hold what documents hold
    lock = RunLock(settings.data_dir)
    lock.acquire()
    console = None if is_background else Console()
    try:
        log_path = log_dir(settings.data_dir) / "supervisor.log"
        rotate(log_path)
        reporter = ConsoleReporter(log_path, console)
        killed_count = kill_leftovers(settings.data_dir)
        if killed_count:
            reporter.warning(f"ended {killed_count} processes that an earlier run had left behind")
        require_listenable(settings.host, settings.port)
        plan = make_plan(settings)
        supervisor = Supervisor(plan, settings.data_dir, reporter, is_background=is_background)

        def on_ready() -> None:
            if console is not None:
                _welcome(console, settings, plan)
                if example is not None:
                    _run_example_beside(console, settings, plan.url, example)

        supervisor.run(on_ready)
    finally:
        lock.release()
        if console is not None:
            console.show_cursor(True)  # the example's progress bar may have been cut off


def _welcome(console: Console, settings: Settings, plan: Plan) -> None:
    console.print(summary(settings, plan.url, stop_hint="Ctrl-C"), highlight=False, soft_wrap=True)


def summary(settings: Settings, url: str, *, stop_hint: str) -> str:
    return (
        f"\nPaddock listens on {url}\n"
        f"  API reference  {url}/docs\n"
        f"  data           {settings.data_dir}\n"
        f"  stop           {stop_hint}\n"
    )


def _run_example_beside(console: Console, settings: Settings, url: str, example: str) -> None:
    from cli.quickstart import report_example

    threading.Thread(target=report_example, args=(console, settings, url, example), daemon=True).start()
