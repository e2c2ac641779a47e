"""Jobs: leases, ends that never change, and parents whose counts add up whatever happens."""

import itertools
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.errors import NotFoundError
from state.cloud.jobs import FINAL, CloudJob, CloudJobs, JobFilter, NewJob
from state.database import StateDatabase
from tests.unit.cloud.conftest import Clock

LEASE_S = 10.0
NUMBERS = itertools.count()

pytestmark = pytest.mark.state("sqlite", "postgresql")


@pytest.fixture
def jobs(database: StateDatabase, clock: Clock) -> CloudJobs:
    return CloudJobs(database, lease_s=LEASE_S, clock=clock)


def new(job_id: str, *, stage: str = "parse", **values: Any) -> NewJob:
    return NewJob(job_id, values.pop("kind", "sheets"), "p1", {"file_id": "f"}, stage=stage, **values)


def claimed(jobs: CloudJobs, owner: str = "w1", stage: str = "parse") -> CloudJob:
    job = jobs.claim(stage, owner)
    assert job is not None
    return job


def test_the_urgent_and_then_the_oldest_is_claimed_first_and_by_one_alone(jobs: CloudJobs) -> None:
    for name, priority in (("a", 0), ("b", 0), ("c", 5)):
        jobs.create(new(name, priority=priority))
    assert [claimed(jobs, f"w{at}").id for at in range(3)] == ["c", "a", "b"]
    assert jobs.claim("parse", "w9") is None


def test_a_stage_gets_its_own_jobs_only(jobs: CloudJobs) -> None:
    jobs.create(new("a", stage="ask"))
    assert jobs.claim("parse", "w") is None
    assert claimed(jobs, stage="ask").id == "a"


def test_what_a_step_leaves_is_there_for_the_next(jobs: CloudJobs) -> None:
    jobs.create(new("a", progress={"from": "creation"}))
    assert jobs.go_on(claimed(jobs), "embed", pages=3)
    job = claimed(jobs, "w2", "embed")
    assert job.progress == {"from": "creation", "pages": 3}
    assert jobs.finish(job, "completed", result={"n": 1}, error=None)
    assert (jobs.get("sheets", "a").state, jobs.get("sheets", "a").result) == ("completed", {"n": 1})


def test_who_lost_the_lease_changes_nothing(jobs: CloudJobs, clock: Clock) -> None:
    jobs.create(new("a"))
    first = claimed(jobs, "w1")
    clock.now += LEASE_S + 1
    assert jobs.take_over_expired() == 1
    second = claimed(jobs, "w2")
    assert not jobs.finish(first, "failed", result=None, error="late")
    assert not jobs.report(first, done=1)
    assert jobs.finish(second, "completed", result=None, error=None)
    assert jobs.get("sheets", "a").state == "completed"


def test_a_renewed_lease_is_not_taken_over(jobs: CloudJobs, clock: Clock) -> None:
    jobs.create(new("a"))
    job = claimed(jobs)
    clock.now += LEASE_S - 1
    jobs.renew({(job.id, job.owner)})
    clock.now += LEASE_S - 1
    assert jobs.take_over_expired() == 0


def test_a_job_that_took_two_processes_with_it_fails_and_says_so(jobs: CloudJobs, clock: Clock) -> None:
    jobs.create(new("a"))
    for owner in ("w1", "w2"):
        claimed(jobs, owner)
        clock.now += LEASE_S + 1
        jobs.take_over_expired()
    job = jobs.get("sheets", "a")
    assert job.state == "failed"
    assert "worker processes" in (job.error or "")


def test_a_retry_waits_its_time(jobs: CloudJobs, clock: Clock) -> None:
    jobs.create(new("a"))
    jobs.retry_later(claimed(jobs), delay_s=4.0, error="down")
    assert jobs.claim("parse", "w") is None
    clock.now += 5
    assert claimed(jobs).attempts == 1


def test_cancelling_ends_what_waits_at_once_and_what_runs_when_it_ends(jobs: CloudJobs) -> None:
    jobs.create(new("batch", stage="", kind="batch"), [new("x"), new("y"), new("z")])
    running = claimed(jobs)
    assert jobs.cancel("batch", "batch")
    assert [each.state for each in jobs.items("batch")] == ["running", "cancelled", "cancelled"]
    assert not jobs.is_wanted(running)
    assert not jobs.finish(running, "completed", result={}, error=None)
    assert [each.state for each in jobs.items("batch")] == ["cancelled"] * 3
    assert jobs.get("batch", "batch").state == "cancelled"
    assert not jobs.cancel("batch", "batch")


def test_a_parent_fails_only_with_all_of_its_items(jobs: CloudJobs) -> None:
    for parent, states in (("p1", ("failed", "failed")), ("p2", ("failed", "completed"))):
        jobs.create(new(parent, stage="", kind="batch"), [new(f"{parent}{at}") for at in range(2)])
        for state in states:
            jobs.finish(claimed(jobs), state, result=None, error=None)  # type: ignore[arg-type]
    assert jobs.get("batch", "p1").state == "failed"
    assert "2 items" in (jobs.get("batch", "p1").error or "")
    assert jobs.get("batch", "p2").state == "completed"


def test_a_parent_of_nothing_has_ended(jobs: CloudJobs) -> None:
    assert jobs.create(new("p", stage="", kind="batch")).state == "completed"


def test_jobs_of_other_kinds_and_projects_are_not_found(jobs: CloudJobs) -> None:
    jobs.create(new("a"))
    for kind, visible in (("split", None), ("sheets", "p2")):
        with pytest.raises(NotFoundError, match="'a' not found"):
            jobs.get(kind, "a", visible)
    assert jobs.get("sheets", "a", "p1").id == "a"


def test_pages_have_each_job_once_while_others_are_made(jobs: CloudJobs) -> None:
    for at in range(7):
        jobs.create(new(f"j{at}"))
    seen, token = [], None
    while True:
        page = jobs.page("sheets", JobFilter(project_id="p1"), token, 3)
        seen += [each.id for each in page.items]
        jobs.create(new(f"late{len(seen)}", kind="sheets"))
        token = page.next_page_token
        if token is None or len(seen) > 30:
            break
    assert seen[:7] == [f"j{at}" for at in range(7)]
    assert len(seen) == len(set(seen))


def test_the_same_work_is_found_again(jobs: CloudJobs) -> None:
    jobs.create(new("a", item_key="hash", params_hash="h"))
    assert jobs.last_same("sheets", "hash", "h", "p1") is None
    jobs.finish(claimed(jobs), "completed", result=None, error=None)
    found = jobs.last_same("sheets", "hash", "h", "p1")
    assert found is not None
    assert found.id == "a"
    assert jobs.last_same("sheets", "hash", "other", "p1") is None
    assert jobs.last_same("sheets", "hash", "h", "p2") is None


STEPS = st.lists(
    st.sampled_from(["claim", "complete", "fail", "retry", "lose", "cancel", "cancel one", "skip time"]),
    min_size=1,
    max_size=40,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, count=st.integers(1, 5))
def test_whatever_happens_counts_add_up_and_ends_stay(
    database: StateDatabase, clock: Clock, steps: list[str], count: int
) -> None:
    jobs = CloudJobs(database, lease_s=LEASE_S, clock=clock)
    parent = f"p{next(NUMBERS)}"
    jobs.create(new(parent, stage="", kind="batch"), [new(f"{parent}-{at}", stage=parent) for at in range(count)])
    held: list[CloudJob] = []
    ended: dict[str, str] = {}
    for step in [*steps, *["skip time", "claim", "complete"] * (2 * count + 6)]:
        if step == "claim" and (job := jobs.claim(parent, f"w{clock()}")) is not None:
            held.append(job)
        elif step == "complete" and held:
            jobs.finish(held.pop(0), "completed", result={}, error=None)
        elif step == "fail" and held:
            jobs.finish(held.pop(), "failed", result=None, error="no")
        elif step == "retry" and held:
            jobs.retry_later(held.pop(), delay_s=1.0, error="again")
        elif step == "lose" and held:
            held.pop()
        elif step == "cancel":
            jobs.cancel("batch", parent)
        elif step == "cancel one":
            jobs.cancel("sheets", f"{parent}-0")
        elif step == "skip time":
            clock.now += LEASE_S + 1
            jobs.take_over_expired()
        states = {each.id: each.state for each in jobs.items(parent)}
        assert sum(jobs.counts([parent])[parent].values()) == count
        assert ended.items() <= states.items(), "a final state changed"
        ended = {each: state for each, state in states.items() if state in FINAL}
        assert (jobs.get("batch", parent).state in FINAL) == (len(ended) == count), states
    assert Counter(state in FINAL for state in states.values()) == {True: count}
