"""Several processes at once, each with connections of its own: on both databases."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import pytest

from rag.errors import ConflictError
from state.cloud.jobs import CloudJobs, JobFilter, NewJob
from state.cloud.objects import CloudObjects
from state.database import StateDatabase
from state.generations import GenerationStore

pytestmark = pytest.mark.state("sqlite", "postgresql")

THREADS = 6
JOBS = 40
LEASE_S = 10.0


def at_once(url: str, work: Callable[[StateDatabase, int], None], count: int = THREADS) -> list[BaseException]:
    """Do it in as many threads, each with a database of its own; returns what was raised."""
    barrier, errors = threading.Barrier(count), list[BaseException]()

    def run(number: int) -> None:
        database = StateDatabase(url)
        barrier.wait()
        try:
            work(database, number)
        except BaseException as error:  # noqa: BLE001  # told to the test
            errors.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def new(job_id: str, stage: str = "parse", kind: str = "sheets") -> NewJob:
    return NewJob(job_id, kind, "p", {}, stage=stage)


def test_no_job_is_claimed_twice_and_their_parent_ends_once(state_url: str) -> None:
    jobs = CloudJobs(StateDatabase(state_url), lease_s=LEASE_S)
    jobs.create(new("parent", "", "batch"), [new(f"j{at}") for at in range(JOBS)])
    taken: Counter[str] = Counter()

    def work(database: StateDatabase, number: int) -> None:
        mine = CloudJobs(database, lease_s=LEASE_S)
        for turn in itertools.count():
            job = mine.claim("parse", f"w{number}:{turn}")
            if job is None:
                return
            taken[job.id] += 1
            assert mine.finish(job, "completed", result={}, error=None)

    assert at_once(state_url, work) == []
    assert taken == dict.fromkeys((f"j{at}" for at in range(JOBS)), 1)
    assert jobs.get("batch", "parent").state == "completed"
    assert jobs.counts(["parent"]) == {"parent": {"completed": JOBS}}


def test_of_many_who_take_over_a_lost_job_one_ends_it(state_url: str) -> None:
    now = time.time()
    first = CloudJobs(StateDatabase(state_url), lease_s=LEASE_S, clock=lambda: now - 2 * LEASE_S)
    first.create(new("j"))
    lost = first.claim("parse", "dead")
    assert lost is not None
    ended: list[str] = []

    def work(database: StateDatabase, number: int) -> None:
        mine = CloudJobs(database, lease_s=LEASE_S)
        mine.take_over_expired()
        job = mine.claim("parse", f"w{number}")
        if job is not None and mine.finish(job, "completed", result={"by": job.owner}, error=None):
            ended.append(job.owner)

    assert at_once(state_url, work) == []
    assert len(ended) == 1
    assert not first.finish(lost, "failed", result=None, error="too late")
    assert first.get("sheets", "j").result == {"by": ended[0]}
    assert first.all("sheets", JobFilter())[0].crashes == 1


def test_of_many_who_want_a_name_one_gets_it_and_the_others_are_told(state_url: str) -> None:
    def work(database: StateDatabase, number: int) -> None:
        CloudObjects(database).insert("pipeline", f"p{number}", project_id="p", body={}, unique_key="p/name")

    errors = at_once(state_url, work)
    assert [type(each) for each in errors] == [ConflictError] * (THREADS - 1)
    assert len(CloudObjects(StateDatabase(state_url)).all("pipeline")) == 1


def test_of_many_who_rename_to_one_name_one_does_and_the_others_keep_theirs(state_url: str) -> None:
    objects = CloudObjects(StateDatabase(state_url))
    for number in range(THREADS):
        objects.insert("pipeline", f"p{number}", project_id="p", body={}, unique_key=f"p/{number}", name=str(number))

    def work(database: StateDatabase, number: int) -> None:
        values = {"unique_key": "p/name", "name": "name"}
        CloudObjects(database).change("pipeline", f"p{number}", lambda _: values)

    errors = at_once(state_url, work)
    assert [type(each) for each in errors] == [ConflictError] * (THREADS - 1)
    names = Counter(each.name for each in objects.all("pipeline"))
    assert names["name"] == 1
    assert names.total() == THREADS


def test_who_writes_has_waited_for_whoever_wrote_before(state_url: str) -> None:
    """What is read within a write is what the last writer left, whoever reads it."""
    objects = CloudObjects(StateDatabase(state_url))
    objects.insert("index", "i", project_id="p", body={"count": 0})

    def work(database: StateDatabase, _: int) -> None:
        for _turn in range(10):
            CloudObjects(database).change("index", "i", lambda found: {"body": {"count": found.body["count"] + 1}})

    assert at_once(state_url, work) == []
    assert objects.get("index", "i").body == {"count": 10 * THREADS}


def test_rows_of_files_that_many_make_at_once_are_there_once(state_url: str) -> None:
    files = {f"{at:064}": f"{at}.txt" for at in range(20)}

    def work(database: StateDatabase, _: int) -> None:
        GenerationStore(database).ensure("ns", "p", "docs", files)

    assert at_once(state_url, work) == []
    assert GenerationStore(StateDatabase(state_url)).of_dataset("ns", "p", "docs").keys() == files.keys()


def test_a_transaction_that_fails_leaves_nothing_and_lets_the_next_one_write(state_url: str) -> None:
    database = StateDatabase(state_url)
    objects = CloudObjects(database)
    objects.insert("file", "a", project_id="p", body={}, unique_key="k")
    with suppress(ConflictError):
        objects.insert("file", "b", project_id="p", body={}, unique_key="k")
    objects.insert("file", "c", project_id="p", body={})
    assert [each.id for each in objects.all("file")] == ["a", "c"]
    database.close()
