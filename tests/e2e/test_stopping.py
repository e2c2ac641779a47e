"""A cancel gives the processor back, in the real pool of parse processes."""

import time

import psutil

from tests.e2e.system import System, wait_for

SENTENCE = "The inlet pressure of pump number {} exceeds the limit of section {}, says the operator. "
IDLE_SHARE = 0.5
"""Of one core, over a second: a parse that goes on takes all of it."""


def test_a_huge_file_that_is_parsed_stops_soon_after_its_cancel(system: System) -> None:
    project = system.project("cancel", "huge")
    project.create_dataset("docs")
    text = "".join(SENTENCE.format(number, number % 97) for number in range(200_000))
    project.upload("docs", "huge.txt", text.encode())
    project.upload("docs", "small.txt", b"A small file about windmills.")
    task_id = project.start("docs")
    url = f"{project.path}/tasks/{task_id}"

    def stages() -> dict[str, str]:
        return {file["filename"]: file["stage"] for file in system.client.get(url).json()["meta"]["files"]}

    wait_for(lambda: stages()["huge.txt"] == "parsing", 60, "the huge file is being parsed")
    started = time.monotonic()
    assert system.client.delete(url).json()["cancelled"] is True
    wait_for(lambda: system.client.get(url).json()["state"] == "FAILURE", 10, "the task has ended")
    assert time.monotonic() - started < 6
    time.sleep(0.5)
    before = parse_seconds(system)
    time.sleep(1)
    assert parse_seconds(system) - before < IDLE_SHARE
    status = system.client.get(url).json()
    assert (status["error"], status["cancelled"]) == ("Task cancelled", True)
    assert {info["status"] for _, info in status["result"]["details"]} == {"cancelled"}
    body = {"action_type": "process", "file_hash": status["result"]["details"][1][1]["file_hash"]}
    again = system.client.post(f"{project.path}/datasets/docs/actions", json=body).json()["task_id"]
    wait_for(
        lambda: system.client.get(f"{project.path}/tasks/{again}").json()["state"] == "SUCCESS", 60, "the pool goes on"
    )


def parse_seconds(system: System) -> float:
    """Processor seconds of the processes that parse, all together."""
    pool = psutil.Process(int(system.parts()["worker-parse"]["pid"])).children(recursive=True)
    return sum(sum(process.cpu_times()[:2]) for process in pool)
